"""From where each student fails to one score map: the mathematics, without networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from leatherens.core.geometry import Size, image_maximum, mean_of, positions_of, resize_scores, silence

Normalisation = Literal["columns", "image"]
"""By what the semantic map is divided: each image column's length, or the image's largest value."""


def half_squares(differences: Sequence[Tensor]) -> list[Tensor]:
    """Half the squared length of unit features' differences (B, C, h, w): (B, h, w) in 0..2 each."""
    return [0.5 * difference.square().sum(dim=1) for difference in differences]


def pair_loss(halves: Sequence[Tensor], valid: Tensor | None = None) -> Tensor:
    """(B,): averaged over positions, those to inspect, then over levels."""
    return torch.stack([mean_of(half, positions_of(half, valid)) for half in halves]).mean(dim=0)


def pair_map(halves: Sequence[Tensor], size: Size) -> Tensor:
    """(B, H, W): each level divided by its number of positions, brought to `size`, and added."""
    return torch.stack([resize_scores(half / half[0].numel(), size) for half in halves]).sum(dim=0)


def mixed(texture: Tensor, semantic: Tensor, valid: Tensor | None, by: Normalisation) -> Tensor:
    """The pairs' maps (B, H, W) multiplied, the semantic one weighed by how far its values spread.

    By columns, as in the authors' code, whose norm is taken along rows of the image; by the image's maximum,
    as it seems to be meant.
    """
    seen = silence(semantic, valid)
    spread = image_maximum(seen) + image_maximum(-seen)  # (B,)
    if by == "columns":
        visible = semantic if valid is None else semantic.masked_fill(~valid, 0)
        normed = F.normalize(visible, dim=1)
    else:
        normed = semantic / image_maximum(seen)[:, None, None].clamp_min(torch.finfo(semantic.dtype).tiny)
    return texture * spread[:, None, None] * normed
