"""Photographs lit from one side, as if the light were even."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from leatherens.core.light import flatten
from leatherens.core.params import Params
from leatherens.core.preparation import Preparation, Prepared


class Flatten(Preparation):
    """Divides every photograph by its own smooth lightness.

    A stain as wide as `sigma` is taken for a shadow and fades: keep it larger than any defect.
    """

    id = "flatten"

    class Params(Params):
        """sigma: of the Gaussian that smooths, as a share of the shorter side."""

        sigma: Annotated[float, Field(gt=0, le=1)] = 0.2

    def _apply(self, picture: Prepared) -> Prepared:
        counted = picture.counted
        if counted is not None and not counted.any():
            return picture  # refused later, with the reason
        return replace(picture, pixels=flatten(picture.pixels, sigma=self.params.sigma, valid=counted))
