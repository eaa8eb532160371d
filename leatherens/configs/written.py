"""A recipe as people write it: what may be said in short is written out, and paths are made absolute.

```yaml
members: [padim, stfpm]          # or {padim: {}, stfpm: {steps: 100, features: [difference*]}}
head: gaussian                   # or {id: memory-bank, neighbours: 3}; an option alone keeps the usual head
preparation: [registration]
size: 256                        # both sides
ignore: masks/B.png              # a mask at the end of the preparation
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from leatherens.configs.recipe import MemberChoice, Recipe
from leatherens.core.errors import ConfigError
from leatherens.core.params import Owner, Params, parse_params

CHOICES = ("block", "head", "score_fusion", "calibrator", "threshold", "pixel_threshold")
"""Keys of a recipe that name one plugin each."""

MASK = "mask"
"""The step that `ignore` adds to a preparation."""


class Masking(Params):
    """A mask step in short."""

    ignore: str | None = None
    masking: Literal["before", "after"] | None = None


def written_out(content: Mapping[str, Any], base: Path, owner: str) -> dict[str, Any]:
    """A recipe's keys with what may be said in short written out; relative paths mean the folder `base`."""
    found: dict[str, Any] = {
        key: _chosen(value) if key in CHOICES else value for key, value in content.items()
    }
    members, steps = (found.get(key) for key in ("members", "preparation"))
    if isinstance(members, list):
        members = _members(members, owner)
    if isinstance(members, Mapping):
        found["members"] = {id: _member(said) for id, said in members.items()}
    if isinstance(steps, list):
        found["preparation"] = [_chosen(step) for step in steps]
    for key in ("size", "tile"):
        if isinstance(found.get(key), int):
            found[key] = (found[key], found[key])
    if "weights" in found:
        found["weights"] = _weights(found["weights"], base, owner)
    return {key: _located(value, base) for key, value in found.items()}


def with_mask(recipe: dict[str, Any], said: Mapping[str, Any], base: Path, owner: Owner) -> dict[str, Any]:
    """A written-out recipe with the mask that `ignore` names: the one of its preparation, or one at the end.

    said: what `Masking` holds.
    """
    masking = parse_params(Masking, said, owner=owner)
    name = owner if isinstance(owner, str) else owner(("ignore",) if masking.ignore else ("masking",))
    given: dict[str, Any] = {"ignore": absolute(masking.ignore, base), "when": masking.masking}
    given = {key: value for key, value in given.items() if value is not None}
    if not given:
        return recipe
    steps = list(recipe.get("preparation", ()))
    if not any(_is_mask(step) for step in steps):
        if masking.ignore is None:
            raise ConfigError(f"{name}: masking: there is no mask to apply; give ignore as well")
        steps.append({"id": MASK})
    if masking.ignore is not None and not Path(given["ignore"]).is_file():
        raise ConfigError(f"{name}: ignore: {given['ignore']}: no such file; check the name")
    steps = [{**s, "options": {**given, **s.get("options", {})}} if _is_mask(s) else s for s in steps]
    return {**recipe, "preparation": steps}


def with_usual_parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Where only options of a part are said, they are those of the part that is taken unless one is named."""
    return {key: _usual(key, value) if key in CHOICES else value for key, value in content.items()}


def absolute(path: str | None, base: Path) -> str | None:
    """A path that means the same from anywhere."""
    return None if path is None else str((base / path).resolve())


def _usual(key: str, value: object) -> object:
    usual = Recipe.model_fields[key].default
    if isinstance(value, Mapping) and "id" not in value and usual is not None:
        return {"id": usual.id, **value}
    return value


def _chosen(value: object) -> object:
    """One plugin: its id alone, or with its options beside it."""
    if isinstance(value, str):
        return {"id": value}
    return _with_options(value, ("id",)) if isinstance(value, Mapping) else value


def _member(said: object) -> object:
    """What is said of a member: nothing, or its options and its cut."""
    if said is None:
        return {}
    return _with_options(said, tuple(MemberChoice.model_fields)) if isinstance(said, Mapping) else said


def _with_options(said: Mapping[Any, Any], own: tuple[str, ...]) -> dict[str, Any]:
    """Keys that are not a choice's own are options of what is chosen."""
    kept = {key: value for key, value in said.items() if key in (*own, "options")}
    options = {key: value for key, value in said.items() if key not in kept}
    if not options:
        return kept
    given = kept.get("options", {})
    return {**kept, "options": {**options, **given}} if isinstance(given, Mapping) else kept


def _members(ids: list[Any], owner: str) -> dict[Any, Any]:
    for id in ids:
        if not isinstance(id, str):
            raise ConfigError(
                f"{owner}: option 'members': expected ids, got {id!r}; options need 'ID: {{...}}'"
            )
        if ids.count(id) > 1:
            raise ConfigError(f"{owner}: option 'members': '{id}' is named twice; name each detector once")
    return {id: {} for id in ids}


def _is_mask(step: object) -> bool:
    return isinstance(step, Mapping) and step.get("id") == MASK


def _weights(said: object, base: Path, owner: str) -> object:
    paths = [said] if isinstance(said, str) else said
    for path in paths if isinstance(paths, list) else ():
        if isinstance(path, str) and not _exists(base / path):
            raise ConfigError(f"{owner}: weights: {path}: no such file or folder; check the name")
    return [str((base / str(path)).resolve()) for path in paths] if isinstance(paths, list) else paths


def _located(value: Any, base: Path) -> Any:
    """A value in which texts that look like paths, and are some from the folder, are absolute."""
    if isinstance(value, str):
        looks = "/" in value or "." in value
        return str((base / value).resolve()) if looks and _exists(base / value) else value
    if isinstance(value, Mapping):
        return {key: _located(inner, base) for key, inner in value.items()}
    if isinstance(value, Iterable):
        return [_located(inner, base) for inner in value]
    return value


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a zero byte: no path
        return False
