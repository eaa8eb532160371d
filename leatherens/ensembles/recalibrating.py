"""`recalibrate`: calibration and thresholds for a new line or lighting, and nothing else.

Members, head and the common scale stay: raw scores and maps are bit for bit what they were, so that figures
from before and after can be laid side by side. What calibrated before does so no longer.
"""

from __future__ import annotations

from leatherens.configs.recipe import Choice, Recipe
from leatherens.core.errors import ConfigError, InputError
from leatherens.ensembles.adapting import Adapting, taken
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.deciding import Rules
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.history import Entry
from leatherens.ensembles.known import TAUGHT
from leatherens.ensembles.parts import needs_labels
from leatherens.ensembles.splits import FEWEST


def recalibrate(adapting: Adapting, good: DataChoice, *, false_alarms: float | None = None) -> Entry:
    """Learn thresholds and calibrators from the good images of a folder, all of them.

    false_alarms: the share of fresh good images that may be flagged; by default as before. Raises
    `InputError` for fewer than `FEWEST` images that did not teach the run.
    """
    with adapting.change() as change:
        recipe = _asking(change.opened.recipe, change.opened.deciders[ENSEMBLE].rules, false_alarms)
        if needs_labels(recipe, adapting.host):
            raise ConfigError(
                "this run's threshold learns from labelled images, and those given are all good: choose "
                "another first (leatherens thresholds RUN --use conformal), or learn it anew from labelled "
                "images (leatherens thresholds RUN --labelled DIR --use RULE)"
            )
        fresh = change.good_images(good, TAUGHT)
        if len(fresh.samples) < FEWEST:
            raise InputError(
                f"{good.root}: at least {FEWEST} good images are needed to calibrate, got "
                f"{len(fresh.samples)}; with fewer, one good image in {FEWEST} or more would be flagged"
            )
        deciders = change.decide(change.opened.ensemble, recipe, fresh.samples)
        images = taken(fresh.samples, fresh, "calibrate")
        changed = ["calibrators and thresholds: learned anew; members, head and scale stay as they are"]
        return change.keep("recalibrate", adapting.command, images, changed, deciders)


def _asking(recipe: Recipe, rules: Rules, false_alarms: float | None) -> Recipe:
    """The recipe that asks for another rate; refuses one that the threshold does not take."""
    if false_alarms is None:
        return recipe
    if not 0 < false_alarms < 1:
        raise ConfigError(
            f"--false-alarms: expected a share between 0 and 1, such as 0.01, got {false_alarms:g}"
        )
    if "false_alarms" not in type(rules.images.params).model_fields:
        raise ConfigError(
            f"--false-alarms: the threshold '{recipe.threshold.id}' takes no rate; leave it out"
        )
    options = {**recipe.threshold.options, "false_alarms": false_alarms}
    return recipe.model_copy(update={"threshold": Choice(id=recipe.threshold.id, options=options)})
