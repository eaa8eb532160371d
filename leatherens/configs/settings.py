"""Single keys of a recipe, set by the way to them: `stfpm.steps`, `members.stfpm.steps`, `head.k`, `seed`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leatherens.configs.recipe import Recipe
from leatherens.configs.written import CHOICES
from leatherens.core.errors import ConfigError, did_you_mean

_SETTABLE = tuple(
    key for key in Recipe.model_fields if key not in (*CHOICES, "members", "preparation", "weights")
)
"""Recipe keys with a value of their own."""


def settings_of(given: Mapping[str, Any], ids: list[str]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What is set, by member, step of the preparation or part; and what is a key of the recipe itself."""
    found: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    if not isinstance(given, Mapping):
        raise ConfigError(
            f'--set: expected {{MEMBER.KEY: VALUE}}, such as {{"stfpm.steps": 100}}, got {given!r}'
        )
    for path, value in given.items():
        if path in _SETTABLE:
            plain[path] = both_sides(path, value) if path in ("size", "tile") and value is not None else value
            continue
        short = _within(path)
        owner = _owner(short, ids)
        found.setdefault(owner, {})[short.removeprefix(f"{owner}.").removeprefix("options.")] = value
    return found, plain


def _within(path: str) -> str:
    """A path as the recipe has it, from the member or the step on."""
    for above in ("members.", "preparation."):
        if path.startswith(above):
            return path.removeprefix(above)
    return path


def _owner(path: str, ids: list[str]) -> str:
    """The member, step or part that a path begins with."""
    owners = [*ids, *CHOICES]
    for owner in owners:
        if path.startswith(f"{owner}."):
            return owner
    if path in owners:
        raise ConfigError(f"--set {path}: which option of it? expected {path}.KEY=VALUE")
    if "." not in path:
        raise ConfigError(
            f"--set {path}: no key of a recipe{did_you_mean(path, _SETTABLE)}; an option of a member or part "
            f"is set by MEMBER.KEY=VALUE (keys: {', '.join(_SETTABLE)})"
        )
    named = path.partition(".")[0]
    hint = did_you_mean(named, owners)
    known = f"members: {', '.join(ids)}; parts: {', '.join(CHOICES)}"
    raise ConfigError(f"--set {path}: no member or part is called '{named}'{hint} ({known})")


def both_sides(key: str, size: object) -> tuple[object, object]:
    """Height and width; a single number is both."""
    if isinstance(size, int):
        return size, size
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ConfigError(f"--{key}: expected a number of pixels, or (height, width), got {size!r}")
    return size[0], size[1]
