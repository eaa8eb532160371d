"""A photograph's own level: what its calm part shows everywhere is light or hide, not a defect.

Good photographs differ in how high all their pixels score: another light, another roll of cloth, another
hide. Held-out good images cannot say how much those of tomorrow will, so that pixels of one photograph
outrank the defects of another. Part of each photograph's own calm level is therefore taken off its pixels
before voters are fused. It needs no other image, moves no ranking within one, and leaves image scores alone:
a photograph that is odd as a whole still says so there.
"""

from __future__ import annotations

from torch import Tensor

SHARE = 0.5
"""Of the level that is taken off; a defect may also raise a whole photograph, so not all of it."""
CALM = 0.25
"""The level is this quantile of a photograph's pixels: a defect may cover three quarters of it."""
GRID = 64
"""Rows and columns that the quantile is read from at most: a level needs no more."""


def less_own_level(pixels: Tensor) -> Tensor:
    """Maps (B, H, W) in nats, each less a share of its own calm level.

    >>> import torch
    >>> less_own_level(torch.tensor([[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]])).tolist()
    [[[-1.0, 0.0, 1.0], [2.0, 3.0, 4.0]]]
    """
    return pixels - SHARE * own_level(pixels)[:, None, None]


def own_level(pixels: Tensor) -> Tensor:
    """(B,) calm levels of maps (B, H, W), read from a grid of `GRID` rows and columns at most.

    Pixels that hold the smallest score of their map do not count: so do those that a mask silences.
    """
    height, width = pixels.shape[-2:]
    some = pixels[:, :: -(-height // GRID), :: -(-width // GRID)].flatten(1).sort(dim=1).values  # (B, N)
    silent = (some == some[:, :1]).sum(dim=1) % some.shape[1]  # a constant map: all count
    place = silent + ((some.shape[1] - 1 - silent) * CALM).long()
    return some.gather(1, place[:, None])[:, 0]
