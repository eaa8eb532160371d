"""From options to a recipe; every mistake names its option.

Sentences spell an option as it is typed on the command line (`--false-alarms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leatherens.configs.options import Options, listed
from leatherens.configs.recipe import Calibration, Mode, Places, Recipe
from leatherens.configs.settings import both_sides, settings_of
from leatherens.configs.written import CHOICES, MASK
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.host import PluginHost
from leatherens.core.listing import images_under
from leatherens.core.params import parse_params

_PLAIN = ("effort", "mode", "calibration", "folds", "overlap", "keep_every", "device", "seed")
"""Options that are recipe keys as they stand."""

NOTHING: Mapping[str, Any] = {}
"""No recipe to begin with."""


def recipe_of(
    members: Sequence[str],
    options: Options,
    host: PluginHost,
    *,
    owner: str = "run",
    base: Mapping[str, Any] = NOTHING,
) -> Recipe:
    """The recipe that the given options make; those not given are left to `base`, then to the defaults.

    members: ids, of which those that `base` names keep what it says of them; none: its own.
    owner: who was told, for messages. base: keys of a recipe, as `recipe_file` writes them out.
    """
    said: dict[str, Any] = {
        key: value for key, value in options.items() if value is not None and value not in ((), {})
    }
    before = base.get("members") or {}
    ids = _members(members or list(before), host)
    steps = _steps(said, ids, base, host)
    settings, plain = settings_of(said.get("settings", {}), [*ids, *steps])
    cuts = _features(said.get("features", {}), ids)
    asked: dict[str, Any] = {
        "members": {id: _member(before.get(id, {}), settings.get(id, {}), cuts.get(id)) for id in ids}
    }
    if steps:
        _add_masking(said, settings)
        before_it = base.get("preparation", ())
        asked["preparation"] = [_step(id, before_it, settings.get(id, {})) for id in steps]
    _add_textures(said.get("textures"), asked["members"], host)
    for part in CHOICES:
        if part in said or part in settings:
            asked[part] = _part(part, said.get(part), base.get(part), settings.get(part, {}))
    _add_false_alarms(said.get("false_alarms"), asked, base, host)
    asked |= plain | {key: said[key] for key in _PLAIN if key in said}
    asked |= _sizes(said, base)
    asked |= _sharing(said)
    if "weights" in said or not base:
        asked["weights"] = weight_places(said.get("weights", ()))
    if said.get("allow_download"):
        asked["allow_download"] = True
    recipe = parse_params(Recipe, {**base, **asked}, owner=owner)
    _refuse_idle(asked | ({"features": cuts} if cuts else {}), recipe)
    return recipe


def _member(before: Mapping[str, Any], options: Mapping[str, Any], cut: Any) -> dict[str, Any]:
    """What is said of a member over what was said before."""
    return {
        "options": {**before.get("options", {}), **options},
        "features": before.get("features") if cut is None else cut,
    }


def _step(id: str, before: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> dict[str, Any]:
    """One step of the preparation over the same one before."""
    known: Mapping[str, Any] = next((s.get("options", {}) for s in before if s.get("id") == id), {})
    return {"id": id, "options": {**known, **options}}


def _part(
    part: str, asked: str | None, before: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """A part over the one before, whose options go with its id."""
    id = asked or (before or {}).get("id") or _default(part)
    known = before.get("options", {}) if before and before.get("id") == id else {}
    return {"id": id, "options": {**known, **options}}


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


def _sizes(said: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of sizes; tiles are brought to their own size where none is named."""
    found: dict[str, Any] = {key: both_sides(key, said[key]) for key in ("size", "tile") if key in said}
    if "tile" in found:
        found.setdefault("size", found["tile"])
    elif "overlap" in said and base.get("tile") is None:
        raise ConfigError("--overlap: there are no tiles to overlap; give --tile as well")
    return found


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


def _steps(
    said: Mapping[str, Any], members: list[str], base: Mapping[str, Any], host: PluginHost
) -> list[str]:
    """The preparation's steps in order; `ignore` adds a mask, at the end unless its place is named."""
    steps = listed(said.get("prepare", ())) or [step["id"] for step in base.get("preparation", ())]
    for id in steps:
        if steps.count(id) > 1 or id in members:
            raise ConfigError(f"--prepare: '{id}' is named twice; name each step once")
        host.preparations().entry(id)
    if "ignore" in said and MASK not in steps:
        steps.append(MASK)
    if "masking" in said and MASK not in steps:
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
            settings.setdefault(MASK, {}).setdefault(key, value)


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


def _add_false_alarms(
    rate: float | None, asked: dict[str, Any], base: Mapping[str, Any], host: PluginHost
) -> None:
    """The rate to every rule that takes one."""
    if rate is None:
        return
    rate = _share("false-alarms", rate, ", such as 0.01")
    for part in ("threshold", "pixel_threshold"):
        if part not in asked and (part == "threshold" or part in base):
            asked[part] = _part(part, None, base.get(part), {})
    rules = [asked[part] for part in ("threshold", "pixel_threshold") if part in asked]
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
