"""Patch descriptors of frozen pyramids, and the score maps made of what is measured on them.

A descriptor says what a small neighbourhood looks like: the values of a 3 x 3 window of each level,
averaged down to a fixed number of channels, all levels brought to the finest one's grid (Roth et al.,
PatchCore, CVPR 2022, section 3.1; SimpleNet and CFA take over parts of it).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from leatherens.core.geometry import (
    Size,
    enlarged,
    image_maximum,
    largest_grid,
    neighbourhood_mean,
    positions_of,
    resize,
    silence,
)
from leatherens.core.types import ScoreMap


def pooled_channels(rows: Tensor, bins: int) -> Tensor:
    """(B, C, ...) to (B, bins, ...): channels averaged over `bins` windows that share them evenly.

    Window i of n channels is [floor(i n / bins), ceil((i + 1) n / bins)): windows overlap where bins do not
    divide n, and repeat channels where there are fewer than bins.

    >>> pooled_channels(torch.arange(6.0).view(1, 6), 3).tolist()
    [[0.5, 2.5, 4.5]]
    """
    batch, channels, *places = rows.shape
    if channels == bins:
        return rows
    flat = rows.reshape(batch, channels, -1).mT  # (B, places, C)
    return F.adaptive_avg_pool1d(flat, bins).mT.reshape(batch, bins, *places)


def neighbourhoods(maps: Tensor, side: int) -> Tensor:
    """(B, C, h, w) to (B, C * side², h, w): each position's window, zeros beyond the border; side is odd.

    Channel-major: all values of the first channel's window, row by row, then those of the second.
    """
    batch, channels, height, width = maps.shape
    windows = F.unfold(maps, side, padding=side // 2)  # (B, C * side², h * w)
    return windows.view(batch, channels * side**2, height, width)


def locally_aware(
    levels: Sequence[Tensor], *, side: int = 3, level_bins: int | None, bins: int | None
) -> Tensor:
    """Patch descriptors (B, D, h, w) on the grid of the finest of the levels (B, C_i, h_i, w_i).

    level_bins: channels each level's windows are averaged to; `None` takes the mean of each channel's window,
        which for 9 values a channel is the same as C_i bins, and keeps C_i.
    bins: channels of the descriptor, averaged from all levels' in order; `None` keeps them all.

    The authors bring every value of every window to the finer grid and average afterwards; averaging first
    gives the same (both are linear, one over channels, the other over positions) at a ninth of the cost.
    """
    grid = largest_grid(list(levels))
    described = [
        neighbourhood_mean(level, side)
        if level_bins is None
        else pooled_channels(neighbourhoods(level, side), level_bins)
        for level in levels
    ]
    stacked = torch.cat([resize(d, grid) for d in described], dim=1)
    return stacked if bins is None else pooled_channels(stacked, bins)


def described_channels(channels: Sequence[int], level_bins: int | None, bins: int | None) -> int:
    """Channels of `locally_aware` on levels of these channels.

    >>> described_channels((512, 1024), 1024, 1024), described_channels((40, 112), None, None)
    (1024, 152)
    """
    return bins or sum(level_bins or wide for wide in channels)


def patch_scores(
    patches: Tensor,
    size: Size,
    *,
    smoothing: float,
    valid: Tensor | None = None,
    image: Tensor | None = None,
) -> ScoreMap:
    """Scores of positions (B, h, w) as scores of pixels: bilinear to `size`, then a Gaussian of this sigma.

    Positions mostly on invalid pixels (B, H, W) are silenced first. The image score is the largest raw
    position score, before any smoothing, unless `image` (B,) is given.
    """
    positions = positions_of(patches, valid)
    pixels = enlarged(silence(patches, positions), size, smoothing)
    return ScoreMap(
        silence(pixels, valid), image_maximum(patches, positions) if image is None else image, valid
    )
