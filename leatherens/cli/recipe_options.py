"""From the options of `leatherens run` to a recipe; every mistake names its option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from leatherens.cli.options import setting, sides
from leatherens.configs.recipe import Calibration, Mode, Places, Recipe
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.host import PluginHost
from leatherens.core.listing import images_under
from leatherens.core.params import parse_params

_PLAIN = ("effort", "mode", "calibration", "folds", "keep_every", "device", "seed")
"""Options that are recipe keys as they stand."""

_PARTS = ("block", "head", "score_fusion", "calibrator", "threshold", "pixel_threshold")
"""Recipe keys that name one plugin each; --set takes them like members."""

_MASK = "mask"
"""The step that --ignore adds."""


def recipe_from(options: Mapping[str, Any], host: PluginHost) -> Recipe:
    """The recipe that the given options make; those not given are left to the recipe's defaults."""
    ids = _ids(options["members"], host)
    steps = _steps(options, ids, host)
    settings = _settings(options["settings"], [*ids, *steps])
    cuts = _features(options.get("features") or (), ids)
    content: dict[str, Any] = {
        "members": {id: {"options": settings.get(id, {}), "features": cuts.get(id)} for id in ids}
    }
    if steps:
        _add_masking(options, settings)
        content["preparation"] = [{"id": id, "options": settings.get(id, {})} for id in steps]
    _add_textures(options["textures"], content["members"], host)
    for part in _PARTS:
        if options.get(part) is not None or part in settings:
            content[part] = {"id": options.get(part) or _default(part), "options": settings.get(part, {})}
    _add_false_alarms(options["false_alarms"], content, host)
    content |= {key: options[key] for key in _PLAIN if options.get(key) is not None}
    content |= _sizes(options)
    content |= _sharing(options)
    content["weights"] = weight_places(options["weights"])
    content["allow_download"] = options["allow_download"]
    recipe = parse_params(Recipe, content, owner="run")
    _refuse_idle(content | ({"features": cuts} if cuts else {}), recipe)
    return recipe


def _default(part: str) -> str:
    """What a part is unless something is said; pixels have a rule of their own only if one is named."""
    if part == "pixel_threshold":
        raise ConfigError("--set pixel_threshold: pixels have no rule of their own; give --pixel-threshold")
    id: str = Recipe.model_fields[part].default.id
    return id


def _sizes(options: Mapping[str, Any]) -> dict[str, Any]:
    """What --size, --tile and --overlap say; tiles are brought to their own size where none is named."""
    found: dict[str, Any] = {}
    if options["size"] is not None:
        found["size"] = sides(options["size"])
    if options.get("tile") is not None:
        found["tile"] = sides(options["tile"], "--tile")
        found.setdefault("size", found["tile"])
    if options.get("overlap") is not None:
        if "tile" not in found:
            raise ConfigError("--overlap: there are no tiles to overlap; give --tile as well")
        found["overlap"] = options["overlap"]
    return found


def _sharing(options: Mapping[str, Any]) -> dict[str, Any]:
    """What --shares and --labelled-share say; a given --splits says all of it."""
    shares, labelled = options.get("shares"), options.get("labelled_share")
    if options.get("splits") is not None and (shares is not None or labelled is not None):
        raise ConfigError("--splits: says already who learns; leave out --shares and --labelled-share")
    found: dict[str, Any] = {}
    if shares is not None:
        try:
            found["shares"] = [float(share) for share in shares.split(",")]
        except ValueError:
            raise ConfigError(
                f"--shares: expected three numbers, such as 0.7,0.15,0.15, got '{shares}'"
            ) from None
    if labelled is not None:
        if not 0 < labelled < 1:
            raise ConfigError(f"--labelled-share: expected a share between 0 and 1, got {labelled:g}")
        found["labelled"] = labelled
    return found


def places_of(options: Mapping[str, Any]) -> Places:
    """Where to compute and where weights lie, as asked for."""
    return Places(options["device"], weight_places(options["weights"]), options["allow_download"])


def refuse_folds(options: Mapping[str, Any], why: str) -> None:
    """Refuse --calibration auto and cross where a share of the good images must be held out."""
    asked = options.get("calibration")
    if asked not in (None, Calibration.split.value):
        raise ConfigError(f"--calibration {asked}: {why}; leave it out")


def weight_places(paths: Sequence[Path]) -> tuple[str, ...]:
    """What --weights names, as paths that mean the same from anywhere."""
    for path in paths:
        if not path.exists():
            raise ConfigError(f"--weights: {path}: no such file or folder; check the name")
    return tuple(str(path.resolve()) for path in paths)


def _ids(text: str | None, host: PluginHost) -> list[str]:
    ids = [id.strip() for id in (text or "").split(",") if id.strip()]
    if not ids:
        known = ", ".join(host.detectors().ids())
        raise click.UsageError(f"which detectors? give --members with one or more of: {known}")
    for id in ids:
        if ids.count(id) > 1:
            raise ConfigError(f"--members: '{id}' is named twice; name each detector once")
        host.detectors().entry(id)  # a mistyped one is told before anything said about it
    return ids


def _steps(options: Mapping[str, Any], members: list[str], host: PluginHost) -> list[str]:
    """The preparation's steps in order; --ignore adds a mask, at the end unless its place is named."""
    steps = [id.strip() for id in (options.get("prepare") or "").split(",") if id.strip()]
    for id in steps:
        if steps.count(id) > 1 or id in members:
            raise ConfigError(f"--prepare: '{id}' is named twice; name each step once")
        host.preparations().entry(id)
    if options.get("ignore") is not None and _MASK not in steps:
        steps.append(_MASK)
    if options.get("masking") is not None and _MASK not in steps:
        raise ConfigError("--masking: there is no mask to apply; give --ignore FILE as well")
    return steps


def _add_masking(options: Mapping[str, Any], settings: dict[str, dict[str, Any]]) -> None:
    """What --ignore and --masking say, to the mask's own options."""
    given = {"ignore": options.get("ignore"), "when": options.get("masking")}
    if given["ignore"] is not None:
        if not given["ignore"].is_file():
            raise ConfigError(f"--ignore: {given['ignore']}: no such file; check the name")
        given["ignore"] = str(given["ignore"].resolve())
    for key, value in given.items():
        if value is not None:
            settings.setdefault(_MASK, {}).setdefault(key, value)


def _settings(given: Sequence[str], ids: list[str]) -> dict[str, dict[str, Any]]:
    """What --set says, by member, step of the preparation or part."""
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        path, value = setting(text, "MEMBER.KEY=VALUE, such as stfpm.steps=100")
        owner = _owner(path, ids)
        found.setdefault(owner, {})[path.removeprefix(f"{owner}.")] = value
    return found


def _features(given: Sequence[str], ids: list[str]) -> dict[str, tuple[str, ...]]:
    """What --features says, by member; a pattern without a member belongs to the one before it."""
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        member = ""
        for part in text.split(","):
            named, equals, rest = part.partition("=")
            member, pattern = (named.strip(), rest.strip()) if equals else (member, part.strip())
            if not member or not pattern:
                raise ConfigError(
                    f"--features: expected MEMBER=PATTERN, such as stfpm=difference*, got '{text}'"
                )
            if member not in ids:
                near = did_you_mean(member, ids)
                raise ConfigError(
                    f"--features {text}: no member is called '{member}'{near} (members: {', '.join(ids)})"
                )
            found[member] = (*found.get(member, ()), pattern)
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


def _add_textures(folder: Path | None, members: dict[str, Any], host: PluginHost) -> None:
    """A texture folder goes to every member that takes one."""
    if folder is None:
        return
    takers = [id for id in members if "textures" in host.detectors().load(id).Params.model_fields]
    if not takers:
        raise ConfigError(
            f"--textures: none of the members ({', '.join(members)}) takes textures; leave it out"
        )
    if not folder.is_dir() or not images_under(folder).images:
        raise ConfigError(f"--textures: {folder}: no folder with pictures in it; check the name")
    for id in takers:
        members[id]["options"]["textures"] = str(folder.resolve())


def _add_false_alarms(rate: float | None, content: dict[str, Any], host: PluginHost) -> None:
    if rate is None:
        return
    if not 0 < rate < 1:
        raise ConfigError(f"--false-alarms: expected a share between 0 and 1, such as 0.01, got {rate:g}")
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
