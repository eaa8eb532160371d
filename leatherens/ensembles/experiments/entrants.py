"""What competes in an experiment: detectors alone and ensembles of some, in one set-up or in several."""

from __future__ import annotations

from dataclasses import dataclass

from leatherens.configs.recipe import Recipe
from leatherens.ensembles.experiments.setups import Setup

PLUS = "+"
"""Between the members of an ensemble in its name."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A resolved recipe under a name, such as `stfpm`, `patchcore+cs-flow` or `stfpm-mask-before`.

    setup: which one of the line-clearance grid it is, in an experiment on these.
    """

    name: str
    recipe: Recipe
    setup: Setup | None = None

    @classmethod
    def of(cls, members: str, recipe: Recipe, setup: Setup | None = None) -> Entrant:
        """Named after its members and its set-up."""
        return cls(members if setup is None else f"{members}-{setup.name}", recipe, setup)

    @property
    def alone(self) -> bool:
        """Whether it is one detector."""
        return len(self.recipe.members) == 1

    @property
    def members(self) -> str:
        """Its name less the set-up."""
        return self.name if self.setup is None else self.name.removesuffix(f"-{self.setup.name}")

    def single(self, member: str) -> str:
        """What one of its members is called where it competes alone, in the same set-up."""
        return member if self.setup is None else f"{member}-{self.setup.name}"
