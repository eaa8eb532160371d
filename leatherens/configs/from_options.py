"""From options to a recipe; every mistake names its option.

Sentences spell an option as it is typed on the command line (`--false-alarms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leatherens.configs.options import Options, listed
from leatherens.configs.recipe import Calibration, Mode, Places, Recipe
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.host import PluginHost
from leatherens.core.listing import images_under
from leatherens.core.params import parse_params

_PLAIN = ("effort", "mode", "calibration", "folds", "overlap", "keep_every", "device", "seed")
"""Options that are recipe keys as they stand."""

_PARTS = ("block", "head", "score_fusion", "calibrator", "threshold", "pixel_threshold")
"""Recipe keys that name one plugin each; settings take them like members."""

_MASK = "mask"
"""The step that `ignore` adds."""


def recipe_of(members: Sequence[str], options: Options, host: PluginHost, *, owner: str = "run") -> Recipe:
    """The recipe that the given options make; those not given are left to the recipe's defaults.

    owner: who was told, for messages.
    """
    said: dict[str, Any] = {
        key: value for key, value in options.items() if value is not None and value not in ((), {})
    }
    ids = _members(members, host)
    steps = _steps(said, ids, host)
    settings = _settings(said.get("settings", {}), [*ids, *steps])
    cuts = _features(said.get("features", {}), ids)
    content: dict[str, Any] = {
        "members": {id: {"options": settings.get(id, {}), "features": cuts.get(id)} for id in ids}
    }
    if steps:
        _add_masking(said, settings)
        content["preparation"] = [{"id": id, "options": settings.get(id, {})} for id in steps]
    _add_textures(said.get("textures"), content["members"], host)
    for part in _PARTS:
        if part in said or part in settings:
            content[part] = {"id": said.get(part) or _default(part), "options": settings.get(part, {})}
    _add_false_alarms(said.get("false_alarms"), content, host)
    content |= {key: said[key] for key in _PLAIN if key in said}
    content |= _sizes(said)
    content |= _sharing(said)
    content["weights"] = weight_places(said.get("weights", ()))
    content["allow_download"] = said.get("allow_download", False)
    recipe = parse_params(Recipe, content, owner=owner)
    _refuse_idle(content | ({"features": cuts} if cuts else {}), recipe)
    return recipe


def places_of(options: Mapping[str, Any]) -> Places:
    """Where to compute and where weights lie, as asked for."""
    weights = weight_places(options.get("weights") or ())
    return Places(options.get("device"), weights, options.get("allow_download") or False)


def weight_places(paths: Path | str | Sequence[Path | str]) -> tuple[str, ...]:
    """The weights that were named, as paths that mean the same from anywhere."""
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    for path in given:
        if not path.exists():
            raise ConfigError(f"--weights: {path}: no such file or folder; check the name")
    return tuple(str(path.resolve()) for path in given)


def _default(part: str) -> str:
    """What a part is unless something is said; pixels have a rule of their own only if one is named."""
    if part == "pixel_threshold":
        raise ConfigError("--set pixel_threshold: pixels have no rule of their own; give --pixel-threshold")
    id: str = Recipe.model_fields[part].default.id
    return id


def _sizes(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of sizes; tiles are brought to their own size where none is named."""
    found: dict[str, Any] = {key: _both_sides(key, said[key]) for key in ("size", "tile") if key in said}
    if "tile" in found:
        found.setdefault("size", found["tile"])
    elif "overlap" in said:
        raise ConfigError("--overlap: there are no tiles to overlap; give --tile as well")
    return found


def _both_sides(key: str, size: object) -> tuple[object, object]:
    """Height and width; a single number is both."""
    if isinstance(size, int):
        return size, size
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ConfigError(f"--{key}: expected a number of pixels, or (height, width), got {size!r}")
    return size[0], size[1]


def _sharing(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the shares of the good and of the labelled images."""
    found: dict[str, Any] = {}
    if "shares" in said:
        found["shares"] = said["shares"]
    if "labelled_share" in said:
        found["labelled"] = _share("labelled-share", said["labelled_share"])
    return found


def _share(option: str, value: Any, example: str = "") -> float:
    """A share that is neither nothing nor all."""
    if not isinstance(value, int | float) or not 0 < value < 1:
        told = f"{value:g}" if isinstance(value, int | float) else repr(value)
        raise ConfigError(f"--{option}: expected a share between 0 and 1{example}, got {told}")
    return value


def _members(members: Sequence[str], host: PluginHost) -> list[str]:
    ids = list(members)
    if not ids:
        known = ", ".join(host.detectors().ids())
        raise ConfigError(f"--members: which detectors? name one or more of: {known}")
    for id in ids:
        if ids.count(id) > 1:
            raise ConfigError(f"--members: '{id}' is named twice; name each detector once")
        host.detectors().entry(id)  # a mistyped one is told before anything said about it
    return ids


def _steps(said: Mapping[str, Any], members: list[str], host: PluginHost) -> list[str]:
    """The preparation's steps in order; `ignore` adds a mask, at the end unless its place is named."""
    steps = listed(said.get("prepare", ()))
    for id in steps:
        if steps.count(id) > 1 or id in members:
            raise ConfigError(f"--prepare: '{id}' is named twice; name each step once")
        host.preparations().entry(id)
    if "ignore" in said and _MASK not in steps:
        steps.append(_MASK)
    if "masking" in said and _MASK not in steps:
        raise ConfigError("--masking: there is no mask to apply; give --ignore FILE as well")
    return steps


def _add_masking(said: Mapping[str, Any], settings: dict[str, dict[str, Any]]) -> None:
    """What is said of the mask, to the mask's own options."""
    given = {"when": said.get("masking")}
    if "ignore" in said:
        path = Path(said["ignore"])
        if not path.is_file():
            raise ConfigError(f"--ignore: {path}: no such file; check the name")
        given["ignore"] = str(path.resolve())
    for key, value in given.items():
        if value is not None:
            settings.setdefault(_MASK, {}).setdefault(key, value)


def _settings(given: Mapping[str, Any], ids: list[str]) -> dict[str, dict[str, Any]]:
    """What is set, by member, step of the preparation or part."""
    found: dict[str, dict[str, Any]] = {}
    if not isinstance(given, Mapping):
        raise ConfigError(
            f'--set: expected {{MEMBER.KEY: VALUE}}, such as {{"stfpm.steps": 100}}, got {given!r}'
        )
    for path, value in given.items():
        owner = _owner(path, ids)
        found.setdefault(owner, {})[path.removeprefix(f"{owner}.")] = value
    return found


def _owner(path: str, ids: list[str]) -> str:
    """The member, step or part that a path begins with."""
    owners = [*ids, *_PARTS]
    for owner in owners:
        if path.startswith(f"{owner}."):
            return owner
    named = path.partition(".")[0]
    hint = did_you_mean(named, owners)
    known = f"members: {', '.join(ids)}; parts: {', '.join(_PARTS)}"
    raise ConfigError(f"--set {path}: no member or part is called '{named}'{hint} ({known})")


def _features(given: Mapping[str, Sequence[str]], ids: list[str]) -> dict[str, tuple[str, ...]]:
    """The cuts, by member."""
    if not isinstance(given, Mapping):
        raise ConfigError(
            f'--features: expected {{MEMBER: PATTERNS}}, such as {{"stfpm": ["difference*"]}}, got {given!r}'
        )
    for member, patterns in given.items():
        if member not in ids:
            near = did_you_mean(member, ids)
            raise ConfigError(
                f"--features {member}={','.join(patterns)}: no member is called '{member}'{near} "
                f"(members: {', '.join(ids)})"
            )
    return {member: tuple(listed(patterns)) for member, patterns in given.items()}


def _add_textures(textures: Path | str | None, members: dict[str, Any], host: PluginHost) -> None:
    """A texture folder goes to every member that takes one."""
    if textures is None:
        return
    takers = [id for id in members if "textures" in host.detectors().load(id).Params.model_fields]
    if not takers:
        raise ConfigError(
            f"--textures: none of the members ({', '.join(members)}) takes textures; leave it out"
        )
    folder = Path(textures)
    if not folder.is_dir() or not images_under(folder).images:
        raise ConfigError(f"--textures: {folder}: no folder with pictures in it; check the name")
    for id in takers:
        members[id]["options"]["textures"] = str(folder.resolve())


def _add_false_alarms(rate: float | None, content: dict[str, Any], host: PluginHost) -> None:
    if rate is None:
        return
    rate = _share("false-alarms", rate, ", such as 0.01")
    content.setdefault("threshold", {"id": _default("threshold"), "options": {}})
    rules = [content[part] for part in ("threshold", "pixel_threshold") if part in content]
    takers = [r for r in rules if "false_alarms" in host.thresholds().load(r["id"]).Params.model_fields]
    if not takers:
        raise ConfigError(
            f"--false-alarms: the threshold '{rules[0]['id']}' takes no rate; leave one of the two out"
        )
    for rule in takers:
        rule["options"]["false_alarms"] = rate


def _refuse_idle(content: Mapping[str, Any], recipe: Recipe) -> None:
    """Refuse what would change nothing, and somebody may believe in."""
    if "folds" in content and recipe.calibration is Calibration.split:
        raise ConfigError("--folds: --calibration split has none; leave one of the two out")
    mode = recipe.fusion_mode
    for part in ("block", "head", "features"):
        if part in content and mode is Mode.score:
            raise ConfigError(f"--{part}: mode 'score' fuses no features; add --mode feature or hybrid")
    voters = (len(recipe.members) if mode is not Mode.feature else 0) + (mode is not Mode.score)
    if "score_fusion" in content and voters == 1:
        raise ConfigError("--score-fusion: there is one score only, so that nothing is fused; leave it out")
