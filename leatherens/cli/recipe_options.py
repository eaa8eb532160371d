"""From the options of `leatherens run` to a recipe; every mistake names its option."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from leatherens.configs.recipe import Mode, Recipe
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.host import PluginHost
from leatherens.core.params import parse_params

_PLAIN = ("effort", "mode", "device", "seed")
"""Options that are recipe keys as they stand."""


def recipe_from(options: Mapping[str, Any], host: PluginHost) -> Recipe:
    """The recipe that the given options make; those not given are left to the recipe's defaults."""
    members = _members(options, host)
    content: dict[str, Any] = {"members": members, **_threshold(options, host)}
    content |= {key: options[key] for key in _PLAIN if options[key] is not None}
    content |= {
        key: {"id": options[key]} for key in ("block", "head", "score_fusion") if options[key] is not None
    }
    if options["size"] is not None:
        content["size"] = _size(options["size"])
    content["weights"] = absolute(options["weights"])
    content["allow_download"] = options["allow_download"]
    recipe = parse_params(Recipe, content, owner="run")
    _refuse_idle(options, recipe)
    return recipe


def absolute(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Paths that mean the same from anywhere."""
    return tuple(str(path.resolve()) for path in paths)


def _members(options: Mapping[str, Any], host: PluginHost) -> dict[str, dict[str, Any]]:
    """The members with the options set for them; a texture folder goes to every member that takes one."""
    ids = _ids(options["members"], host)
    members: dict[str, dict[str, Any]] = {id: {"options": {}} for id in ids}
    detectors = {id: host.detectors().load(id) for id in ids}
    if options["textures"]:
        takers = [id for id in ids if "textures" in detectors[id].Params.model_fields]
        _check_textures(options["textures"], ids, takers)
        for id in takers:
            members[id]["options"]["textures"] = str(options["textures"].resolve())
    for setting in options["settings"]:
        member, key, value = _setting(setting, ids)
        members[member]["options"][key] = value
    return members


def _ids(text: str | None, host: PluginHost) -> list[str]:
    ids = [id.strip() for id in (text or "").split(",") if id.strip()]
    if not ids:
        known = ", ".join(host.detectors().ids())
        raise click.UsageError(f"which detectors? give --members with one or more of: {known}")
    for id in ids:
        if ids.count(id) > 1:
            raise ConfigError(f"--members: '{id}' is named twice; name each detector once")
    return ids


def _check_textures(folder: Path, ids: list[str], takers: list[str]) -> None:
    if not takers:
        raise ConfigError(f"--textures: none of the members ({', '.join(ids)}) takes textures; leave it out")
    if not folder.is_dir():
        raise ConfigError(f"--textures: {folder}: no such folder; check the name")


def _setting(text: str, ids: list[str]) -> tuple[str, str, Any]:
    import yaml

    path, equals, value = text.partition("=")
    if not equals or "." not in path:
        raise ConfigError(f"--set: expected MEMBER.KEY=VALUE, such as stfpm.steps=100, got '{text}'")
    member = next((id for id in ids if path.startswith(f"{id}.")), None)
    if member is None:
        named = path.partition(".")[0]
        raise ConfigError(
            f"--set {text}: '{named}' is not among the members{did_you_mean(named, ids)} ({', '.join(ids)})"
        )
    try:
        return member, path.removeprefix(f"{member}."), yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text}: the value '{value}' is not YAML; put it in quotes") from None


def _threshold(options: Mapping[str, Any], host: PluginHost) -> dict[str, Any]:
    """The threshold's part of the recipe; empty where nothing was said about it."""
    id, rate = options["threshold"], options["false_alarms"]
    if id is None and rate is None:
        return {}
    id = id or Recipe.model_fields["threshold"].default.id
    if rate is None:
        return {"threshold": {"id": id}}
    if "false_alarms" not in host.thresholds().load(id).Params.model_fields:
        raise ConfigError(f"--false-alarms: the threshold '{id}' takes no rate; leave one of the two out")
    if not 0 < rate < 1:
        raise ConfigError(f"--false-alarms: expected a share between 0 and 1, such as 0.01, got {rate:g}")
    return {"threshold": {"id": id, "options": {"false_alarms": rate}}}


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9][0-9]*)(?:x([1-9][0-9]*))?", text.lower())
    if not found:
        raise ConfigError(f"--size: expected one number, or HEIGHTxWIDTH such as 256x320, got '{text}'")
    return int(found[1]), int(found[2] or found[1])


def _refuse_idle(options: Mapping[str, Any], recipe: Recipe) -> None:
    """Refuse options that would change nothing, which somebody may believe in."""
    mode = recipe.fusion_mode
    for flag in ("block", "head"):
        if options[flag] is not None and mode is Mode.score:
            raise ConfigError(f"--{flag}: mode 'score' fuses no features; add --mode feature or hybrid")
    voters = (len(recipe.members) if mode is not Mode.feature else 0) + (mode is not Mode.score)
    if options["score_fusion"] is not None and voters == 1:
        raise ConfigError("--score-fusion: there is one score only, so that nothing is fused; leave it out")
