"""From log-likelihoods of positions to scores of pixels, measured against the likeliest good position.

The authors subtract the largest log-likelihood, and later the largest sum of densities, of the images under
test, so that an image's map depends on the others'. Here both are learned from good images and stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from leatherens.core.geometry import Size, resize_scores


def density_sum(surprises: Sequence[Tensor], calm: Sequence[float], size: Size) -> Tensor:
    """(B, H, W) in 0..levels: densities relative to the likeliest good position's, enlarged and added.

    surprises: -log p per channel of each level, (B, h_i, w_i). calm: the smallest of good images; what is
    likelier still counts as that, so that nothing overflows.
    """
    densities = [torch.exp(-(s - least).clamp_min(0)) for s, least in zip(surprises, calm, strict=True)]
    return torch.stack([resize_scores(d, size, align_corners=True) for d in densities]).sum(dim=0)


def mean_surprise(surprises: Sequence[Tensor], calm: Sequence[float], size: Size) -> Tensor:
    """(B, H, W): how much less likely than the likeliest good position, per channel, mean over levels."""
    above = [s - least for s, least in zip(surprises, calm, strict=True)]
    return torch.stack([resize_scores(a, size, align_corners=True) for a in above]).mean(dim=0)


def calmest(good: Iterable[Sequence[Tensor]]) -> list[float]:
    """The smallest surprise of each level, over batches of good images."""
    batches = [[float(level.min()) for level in levels] for levels in good]
    return [min(level) for level in zip(*batches, strict=True)]
