"""What competes in an experiment: detectors alone and ensembles of some."""

from __future__ import annotations

from dataclasses import dataclass

from leatherens.configs.recipe import Recipe

PLUS = "+"
"""Between the members of an ensemble in its name."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A resolved recipe under a name, such as `stfpm` or `patchcore+cs-flow`."""

    name: str
    recipe: Recipe

    @property
    def alone(self) -> bool:
        """Whether it is one detector."""
        return len(self.recipe.members) == 1
