"""The options of a class as a table: name, type, default, bounds, and the meaning its author gave it."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from leatherens.cli.pages.types import bounds_in_words, type_in_words

COMMON = {
    "backbone": "The timm model whose features it reads.",
    "layers": "Feature levels of the backbone, 0 the finest.",
    "weights": "Of the backbone: pretrained, random, or a file or folder.",
    "batch_size": "Images of one step.",
    "learning_rate": "Of the optimiser.",
    "weight_decay": "Of the optimiser.",
    "momentum": "Of the optimiser.",
    "betas": "Of the optimiser (Adam).",
    "steps": "Gradient steps; null follows the published schedule.",
}
"""What options of these names mean wherever their authors say nothing else."""

HEADER = ("option", "type", "default", "bounds", "meaning")


def option_table(params: type[BaseModel]) -> list[str]:
    """The lines of a Markdown table, none for a class without options."""
    rows = list(option_rows(params))
    if not rows:
        return []
    return [_line(HEADER), _line(("---",) * len(HEADER)), *(_line(row) for row in rows)]


def option_rows(params: type[BaseModel]) -> Iterator[tuple[str, str, str, str, str]]:
    """One row per option, in the order of the class."""
    schema = params.model_json_schema()
    shared, meant = schema.get("$defs", {}), meanings(params)
    for name, field in params.model_fields.items():
        said = schema["properties"][name]
        default = "required"
        if not field.is_required():
            default = f"`{_plain(field.get_default(call_default_factory=True))}`"
        yield (
            f"`{name}`",
            type_in_words(said, shared),
            default,
            bounds_in_words(said, shared),
            meant.get(name, ""),
        )


def meanings(params: type[BaseModel]) -> dict[str, str]:
    """Meaning by option: the string below a field, else "name: meaning" in a docstring, else a common one."""
    found = {name: COMMON[name] for name in params.model_fields if name in COMMON}
    for base in reversed(params.__mro__):
        if base is not BaseModel and issubclass(base, BaseModel):
            found |= _in_docstring(base, params) | _below_fields(base)
    return found


def _below_fields(params: type[BaseModel]) -> dict[str, str]:
    """The strings that stand below fields; one below several fields in a row is of the last."""
    try:
        source = textwrap.dedent(inspect.getsource(params))
    except (OSError, TypeError):  # made at a prompt
        return {}
    found: dict[str, str] = {}
    body: list[Any] = getattr(ast.parse(source).body[0], "body", [])
    for before, after in pairwise(body):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
            value = getattr(getattr(after, "value", None), "value", None)
            if isinstance(after, ast.Expr) and isinstance(value, str):
                found[before.target.id] = _even(value)
    return found


def _in_docstring(base: type, params: type[BaseModel]) -> dict[str, str]:
    """What "sigma: how far; parts: how many." says of each, up to the next of them or a blank line."""
    text = inspect.cleandoc(base.__doc__ or "")
    names = "|".join(sorted(params.model_fields, key=len, reverse=True))
    if not names:
        return {}
    pattern = rf"(?:^|(?<=[.;]\s)|(?<=\n))((?:{names})(?:, (?:{names}))*): "
    found: dict[str, str] = {}
    for paragraph in text.split("\n\n"):
        marks = list(re.finditer(pattern, paragraph))
        ends = [*(mark.start() for mark in marks[1:]), len(paragraph)]
        for mark, end in zip(marks, ends[: len(marks)], strict=True):
            meaning = _even(paragraph[mark.end() : end]).rstrip(";. ")
            found |= dict.fromkeys(mark[1].split(", "), f"{meaning[:1].upper()}{meaning[1:]}.")
    return found


def _even(text: str) -> str:
    return " ".join(text.split())


def _plain(value: Any) -> str:
    """A default as it is typed in a recipe."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, default=str, ensure_ascii=False)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
