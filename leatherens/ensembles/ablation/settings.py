"""What an ablation varies, and how finely it tells luck from worth."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictFloat, StrictInt

from leatherens.configs.recipe import Mode
from leatherens.core.params import Params


class AblationSettings(Params):
    """What varies around the recipe, one thing at a time. Of parts, `None` means all that are registered."""

    blocks: tuple[str, ...] | None = None
    heads: tuple[str, ...] | None = None
    fusions: tuple[str, ...] | None = None
    components: tuple[StrictInt | StrictFloat, ...] = (16, 64, 0.99)
    """Components of every block that has the option: few, the blocks' cap, and their default."""
    subsets: Annotated[int, Field(ge=0)] = 2
    """Largest size of the subsets tried; below 2, none."""
    subset_mode: Mode | None = None
    """How subsets, with one member left out too, are fused; by default as the whole is."""
    resamplings: Annotated[int, Field(ge=2)] = 500
    """Enough for the ends of a 95 % interval to move by a few hundredths of its width."""
    adopted: tuple[str, ...] = ()
    """Finished runs whose members were taken over, absolute."""
