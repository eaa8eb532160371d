"""Photographs under lights of several colours, as if all light were white."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from leatherens.core.light import shades_of_grey
from leatherens.core.params import Params
from leatherens.core.preparation import Preparation, Prepared


class ColourConstancy(Preparation):
    """Takes the colour of the light out of every photograph (Finlayson & Trezzi, CIC 2004).

    It cannot tell a coloured light from coloured leather: leather of one colour turns grey, and what is
    left are differences within a picture. So it is for lights that change, not for telling colours apart.
    """

    id = "colour-constancy"

    class Params(Params):
        """norm: of Minkowski; 1 is grey-world, 6 the paper's best, more looks at the lightest parts."""

        norm: Annotated[float, Field(ge=1, le=100)] = 6.0

    def _apply(self, picture: Prepared) -> Prepared:
        counted = picture.counted
        if counted is not None and not counted.any():
            return picture  # refused later, with the reason
        return replace(picture, pixels=shades_of_grey(picture.pixels, norm=self.params.norm, valid=counted))
