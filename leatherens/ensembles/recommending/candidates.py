"""The scenarios there are, each with what the images meet and do not meet of its conditions, best first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from leatherens.configs.checked import require_parts
from leatherens.configs.options import CALIBRATION
from leatherens.configs.recipe import Calibration, Places, Recipe
from leatherens.configs.recipe_file import read_recipe_file
from leatherens.core.errors import InputError, LeatherensError
from leatherens.core.host import PluginHost
from leatherens.core.looks import Look
from leatherens.core.scenario import About
from leatherens.ensembles.parts import needs_labels, resolve
from leatherens.ensembles.recommending.rules import Check, checks


@dataclass(frozen=True, slots=True)
class Candidate:
    """One scenario against the images.

    recipe: resolved for this machine, `None` where it cannot be used. broken: why not, in a sentence.
    written: the recipe before its members' options were written out, for another effort.
    """

    id: str
    about: About | None
    recipe: Recipe | None
    checks: tuple[Check, ...] = ()
    broken: str | None = None
    written: Recipe | None = None

    @property
    def fits(self) -> bool:
        """Whether the images are what it is for."""
        return self.recipe is not None and all(check.met for check in self.checks)

    @property
    def rank(self) -> int:
        """The weights of what is met together: how special it is."""
        return sum(check.weight for check in self.checks if check.met)

    @property
    def tight(self) -> bool:
        """Whether it is meant for when others cost too much."""
        return self.about is not None and self.about.when.budget == "tight"

    @property
    def met(self) -> tuple[Check, ...]:
        """The conditions that the images meet."""
        return tuple(check for check in self.checks if check.met)

    @property
    def unmet(self) -> tuple[Check, ...]:
        """Those they do not meet."""
        return tuple(check for check in self.checks if not check.met)


def candidates(host: PluginHost, look: Look, places: Places) -> tuple[Candidate, ...]:
    """Every scenario of every plugin: those that fit first, the most special of them first and those for a
    tight budget last; then those that do not fit."""
    ids = host.scenarios().ids()
    if not ids:
        raise InputError("no scenarios are there to choose from; do not leave out the built-in plugins")
    found = [candidate(id, host, look, places) for id in ids]
    return tuple(sorted(found, key=_order))


def candidate(id: str, host: PluginHost, look: Look, places: Places) -> Candidate:
    """One scenario; one that is broken or needs a plugin that is missing spoils only itself."""
    try:
        read = read_recipe_file(id, host)
        require_parts(read, host)
        recipe = read.recipe
        if "calibration" not in read.content:  # as `leatherens run` does
            recipe = recipe.model_copy(update={"calibration": Calibration(CALIBRATION)})
        written = recipe.at(places)
        recipe = resolve(written, host)
    except LeatherensError as error:
        return Candidate(id, None, None, broken=str(error).splitlines()[0])
    found = Candidate(id, read.about, recipe, written=written)
    if needs_labels(recipe, host):
        return replace(found, recipe=None, broken="its threshold learns from labelled defects")
    return replace(found, checks=checks(read.about.when, look, recipe) if read.about else ())


def _order(candidate: Candidate) -> tuple[bool, bool, int, int, str]:
    """Of equals the one with fewer members comes first, which is the cheaper one as a rule."""
    members = len(candidate.recipe.members) if candidate.recipe else 0
    return not candidate.fits, candidate.tight, -candidate.rank, members, candidate.id
