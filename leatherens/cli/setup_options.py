"""The options that each set-up of the line-clearance grid makes of those that were given once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from leatherens.ensembles.experiments.setups import Setup

MASK, REGISTRATION = "mask", "registration"
"""The steps that vary; those beside them that --prepare names are taken in every set-up."""

UNMASKED = (
    "No region was given to leave out (--ignore), so that no mask was tried; `leatherens mask suggest` "
    "proposes one."
)


def by_setup(options: Mapping[str, Any]) -> dict[Setup, dict[str, Any]]:
    """The options of every set-up; registration comes first unless --prepare gives it another place."""
    from leatherens.ensembles.experiments.setups import setups

    if any(text.startswith(f"{MASK}.when=") for text in options["settings"]):
        raise ConfigError("--set mask.when: both are tried; leave it out")
    steps = [step.strip() for step in (options["prepare"] or "").split(",") if step.strip()]
    masked = options["ignore"] is not None or MASK in steps
    if REGISTRATION not in steps:
        steps = [REGISTRATION, *steps]
    return {setup: _options(setup, options, steps) for setup in setups(masked=masked)}


def _options(setup: Setup, options: Mapping[str, Any], steps: Sequence[str]) -> dict[str, Any]:
    without = {MASK} if setup.masking is None else set()
    if not setup.registered:
        without.add(REGISTRATION)
    return {
        **options,
        "prepare": ",".join(step for step in steps if step not in without) or None,
        "ignore": options["ignore"] if setup.masking else None,
        "masking": setup.masking,
        "settings": tuple(text for text in options["settings"] if text.partition(".")[0] not in without),
        "keep_every": options["checkpoints"],
    }
