"""Samples as lines of a table: where each image lies, what it teaches or tests, and what it shows.

| column | |
|---|---|
| path | the image, below the table's folder |
| split | train, validation (val) or test; where empty, good images teach and defective ones are tested |
| label | good (normal, ok, 0), defective (anomaly, bad, 1 ...); where empty, images that teach are good |
| defect | kind of defect |
| mask | files below the same folder, several separated by `;` or as a JSON list |
| view, part, group | as in `Sample`; the group is the part where nothing else is said |
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leatherens.core.errors import InputError, did_you_mean
from leatherens.core.grouping import torn_groups
from leatherens.core.listing import counted, named, sample_id
from leatherens.core.reading import DEFECT_NAMES, GOOD, GOOD_NAMES, Sample
from leatherens.core.tables import Row

COLUMNS = ("path", "split", "label", "defect", "mask", "view", "part", "group")
SPLITS = {
    "train": "train",
    "test": "test",
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    "": "",
}
LABELS: Mapping[str, bool | None] = {
    **dict.fromkeys(sorted(GOOD_NAMES | {"0"}), False),
    **dict.fromkeys(sorted(DEFECT_NAMES | {"1"}), True),
    "": None,
}
DEFECTIVE = "defective"
"""The kind of defect where none is named."""

_LISTED = 10


@dataclass(frozen=True, slots=True)
class Listed:
    """Samples by what they are for, each part sorted by id, and one sentence on everything to be known."""

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    remarks: tuple[str, ...]


def listed_samples(rows: Iterable[Row], *, table: Path, base: Path, root: Path) -> Listed:
    """What the rows of a table name; an `InputError` lists the lines that cannot be used.

    base: the folder that paths are meant below. root: the one that images must lie in, and ids begin at.
    """
    parts: dict[str, list[Sample]] = {"train": [], "validation": [], "test": []}
    lines: dict[str, int] = {}
    faults, bare = [], 0
    for row in rows:
        try:
            split, sample = _sample(row.cells, base, root)
            if sample.id in lines:
                raise InputError(f"{sample.id} stands in line {lines[sample.id]} already; leave out one")
        except InputError as error:
            faults.append(f"line {row.line}: {error}")
            continue
        lines[sample.id] = row.line
        bare += sample.defective is False and bool(row.cells.get("mask"))
        parts[split].append(sample)
    _refuse_faults(table, faults, len(faults) + len(lines))
    ordered = {part: tuple(sorted(found, key=lambda sample: sample.id)) for part, found in parts.items()}
    remarks = [f"passed over {counted(bare, 'mask')} of good images"] if bare else []
    return Listed(**ordered, remarks=(*remarks, *_torn(ordered)))


def _refuse_faults(table: Path, faults: list[str], total: int) -> None:
    if len(faults) == 1:
        raise InputError(f"{table}: {faults[0]}")
    if faults:
        more = [f"  and {len(faults) - _LISTED} more"] if len(faults) > _LISTED else []
        head = f"{table}: {len(faults)} of {total} lines cannot be used:"
        raise InputError("\n".join([head, *(f"  {fault}" for fault in faults[:_LISTED]), *more]))


def _torn(parts: Mapping[str, tuple[Sample, ...]]) -> list[str]:
    """What is said of groups that stand on both sides, which makes results look better than they are."""
    torn = torn_groups((*parts["train"], *parts["validation"]), parts["test"])
    return [f"{counted(len(torn), 'group')} both to learn from and to test: {named(torn)}"] if torn else []


def _sample(cells: Mapping[str, Any], base: Path, root: Path) -> tuple[str, Sample]:
    """What a row says, with the split it belongs to."""
    text = {name: _text(name, cells.get(name)) for name in COLUMNS if name != "mask"}
    if not text["path"]:
        raise InputError("the path is empty; name an image")
    path = _inside(text["path"], base, root)
    defective, split = _known("label", text["label"], LABELS), _known("split", text["split"], SPLITS)
    masks = tuple(_inside(mask, base, base) for mask in _masks(cells.get("mask")))
    if split in ("train", "validation"):
        defective = bool(defective)  # what teaches is good unless it is said not to be
        if defective:
            raise InputError(f"a defective image in {split}; only good images teach, put it into test")
    if not split and defective is None:
        raise InputError("neither a split nor a label; give one of them")
    if defective is None and (masks or text["defect"]):
        raise InputError("a defect without a label; say defective")
    kind = _kind(text["defect"], defective)
    group = text["group"] or text["part"] or None
    marked, view, part = masks if defective else (), text["view"], text["part"]
    sample = Sample(path, sample_id(path, root), defective, marked, kind, group, view, part)
    return split or ("test" if defective else "train"), sample


def _text(name: str, value: object) -> str:
    """A cell as text; JSON may hold numbers, and null where there is nothing."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{name}: expected text, got {json.dumps(value)}")
    return str(value).strip()


def _known(column: str, word: str, known: Mapping[str, Any]) -> Any:
    if word.lower() not in known:
        words = [name for name in known if name]
        hint = did_you_mean(word.lower(), words) or ";"
        raise InputError(f"unknown {column} '{word}'{hint} ({column}s: {', '.join(words)})")
    return known[word.lower()]


def _kind(said: str, defective: bool | None) -> str:
    if defective is None:
        return ""
    if defective:
        return said or DEFECTIVE
    if said.lower() not in ("", *GOOD_NAMES):
        raise InputError(f"a good image with the defect '{said}'; leave one of the two out")
    return GOOD


def _masks(cell: object) -> list[str]:
    """The names in a cell: a list, or text with names between semicolons, or text that is a JSON list."""
    if isinstance(cell, str) and cell.startswith("["):
        try:
            cell = json.loads(cell)
        except ValueError:
            raise InputError(f"mask: begins like a JSON list but is none: {cell}") from None
    names = cell if isinstance(cell, list) else _text("mask", cell).split(";")
    return [name for name in (_text("mask", name) for name in names) if name]


def _inside(name: str, base: Path, root: Path) -> Path:
    """A file that a row names, which must lie in `root`; Windows' separators count as well."""
    below = os.path.abspath(root)  # noqa: PTH100 - resolve() would follow links out of the folder
    found = os.path.abspath(base / name.replace("\\", "/"))  # noqa: PTH100
    if not Path(found).is_relative_to(below):
        raise InputError(f"{name} lies outside {root}; name files below it")
    path = root / Path(found).relative_to(below)
    if not path.is_file():
        instead = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{name}: {instead}; name an image in {base}")
    return path
