"""A recipe as text that is a recipe file again."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from leatherens.core.scenario import About

_WIDTH = 100


def recipe_text(content: Mapping[str, Any], about: About | None = None) -> str:
    """A recipe's keys as YAML; what a scenario says of itself stands above, as comments."""
    import yaml

    said = yaml.safe_dump(_plain(content), sort_keys=False, allow_unicode=True, width=_WIDTH)
    return "".join(_comments(about)) + str(said) if about else str(said)


def _comments(about: About) -> list[str]:
    sentences = (about.title, f"Use it: {about.use}", f"Avoid it: {about.avoid}", f"Cost: {about.cost}")
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, _WIDTH - 2)]
    return [f"# {line}\n" for line in lines]


def _plain(value: Any) -> Any:
    """A value as YAML is to say it: no tuples, and members without options as an empty mapping."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
