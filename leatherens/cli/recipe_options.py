"""From the text of `leatherens run`'s options to values, and to the recipe they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from leatherens.cli.options import setting, sides
from leatherens.configs.checked import content_of
from leatherens.configs.from_options import recipe_of
from leatherens.configs.options import Options, listed
from leatherens.configs.recipe import Calibration, Recipe
from leatherens.core.errors import ConfigError
from leatherens.core.host import PluginHost


def recipe_from(options: Mapping[str, Any], host: PluginHost) -> Recipe:
    """The recipe that --config names with what the options say over it, or that the options make alone.

    What neither says is left to the recipe's defaults.
    """
    if options.get("splits") is not None and any(
        options.get(key) is not None for key in ("shares", "labelled_share")
    ):
        raise ConfigError("--splits: says already who learns; leave out --shares and --labelled-share")
    base = content_of(options.get("config"), host)
    members = listed(options["members"] or "")
    if not members and not base.get("members"):
        known = ", ".join(host.detectors().ids())
        ways = "--config with a scenario, or --members" if "usual_calibration" in options else "--members"
        raise click.UsageError(f"which detectors? give {ways} with one or more of: {known}")
    said = options_from(options)
    if said.get("calibration") is None and "calibration" not in base:
        said["calibration"] = options.get("usual_calibration")
    return recipe_of(members, said, host, base=base)


def options_from(given: Mapping[str, Any]) -> Options:
    """The values that the text of the options says; other options are passed over."""
    read = {
        "features": _features,
        "shares": _shares,
        "size": sides,
        "tile": lambda text: sides(text, "--tile"),
        "settings": _settings,
    }
    said = {key: given[key] for key in Options.__annotations__ if given.get(key) is not None}
    found: Any = {key: read[key](value) if key in read else value for key, value in said.items()}
    options: Options = found
    return options


def refuse_folds(options: Mapping[str, Any], why: str) -> None:
    """Refuse --calibration auto and cross where a share of the good images must be held out."""
    asked = options.get("calibration")
    if asked not in (None, Calibration.split.value):
        raise ConfigError(f"--calibration {asked}: {why}; leave it out")


def _shares(text: str) -> list[float]:
    try:
        return [float(share) for share in text.split(",")]
    except ValueError:
        raise ConfigError(f"--shares: expected three numbers, such as 0.7,0.15,0.15, got '{text}'") from None


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """What --set says, by path."""
    return dict(setting(text, "KEY=VALUE, such as stfpm.steps=100 or seed=1") for text in given)


def _features(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
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
            found[member] = (*found.get(member, ()), pattern)
    return found
