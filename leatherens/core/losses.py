"""Losses that several detectors share, as maps: the caller takes the mean it needs."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_WIDTH, SSIM_SIGMA = 11, 1.5

STABLE = (0.01**2, 0.03**2)
"""Wang et al.'s two constants for values in 0..1, which keep quotients of dark or flat places finite."""

GREY = 0.5
"""Taken off before squares are: variances do not change, and small numbers leave them more exact."""

REMEMBERED = 8
"""Matrices of weights, one for each length of a side; of 1024 pixels one takes 4 MB."""


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of every pixel of two (B, C, H, W) images in 0..1; (B, C, H, W), 1 where equal.

    Wang et al., IEEE TIP 2004, eq. 13, channel by channel, with their 11 x 11 Gaussian window of sigma 1.5
    and zeros beyond the border. The dynamic range L is always 1: to guess it from the values of each call, as
    some do, changes the loss in the middle of a training as soon as one reconstructed pixel overshoots.
    """
    # Variances are small differences of large numbers: reduced precision would return noise.
    with torch.autocast(first.device.type, enabled=False):
        x, y = first.float(), second.float()
        means = _windowed(torch.cat([x, y, x * x, y * y, x * y], dim=1))
        mean_x, mean_y, square_x, square_y, product = means.chunk(5, dim=1)
        variances = square_x - mean_x**2 + square_y - mean_y**2
        return _similarity(mean_x, mean_y, product - mean_x * mean_y, variances, STABLE)


def dissimilarity(first: Tensor, second: Tensor, constants: tuple[float, float] = STABLE) -> Tensor:
    """1 - SSIM of every pixel of two (B, C, H, W) images in 0..1, mirrored beyond the border; in 0..2.

    With zeros there, both images would be alike along the border whatever they show. A matrix product a side
    takes half the time of the convolutions; H and W are at least 6.
    """
    with torch.autocast(first.device.type, enabled=False):
        x, y = first.float() - GREY, second.float() - GREY
        down, across = (_mirroring_window(side).to(x) for side in x.shape[-2:])
        means = down @ torch.cat([x, y, x * x + y * y, x * y], dim=1) @ across.mT
        mean_x, mean_y, squares, product = means.chunk(4, dim=1)
        variances = squares - mean_x**2 - mean_y**2
        covariance = product - mean_x * mean_y
        alike = _similarity(mean_x + GREY, mean_y + GREY, covariance, variances, constants)
        return (1 - alike).clamp_min(0)  # rounding lets flat places be a little more than alike


def _similarity(
    mean_x: Tensor, mean_y: Tensor, covariance: Tensor, variances: Tensor, constants: tuple[float, float]
) -> Tensor:
    """variances: the sum of both."""
    c1, c2 = constants
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


def _window(device: torch.device | None = None, dtype: torch.dtype | None = None) -> Tensor:
    """(11,): the Gaussian, of sum 1."""
    offsets = torch.arange(SSIM_WIDTH, device=device, dtype=dtype) - SSIM_WIDTH // 2
    window = torch.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    return window / window.sum()


@lru_cache(maxsize=REMEMBERED)
def _mirroring_window(side: int) -> Tensor:
    """(side, side): row i says what each pixel counts in the mean about pixel i; the edge is not repeated."""
    with torch.inference_mode(False):  # what is remembered must do for losses too
        sources = torch.arange(side)[:, None] + torch.arange(SSIM_WIDTH) - SSIM_WIDTH // 2
        sources = (side - 1) - ((side - 1) - sources.abs()).abs()
        rows = torch.arange(side)[:, None].expand_as(sources)
        weights = torch.zeros(side, side, dtype=torch.float64)
        return weights.index_put_(
            (rows, sources), _window(dtype=torch.float64).expand(sources.shape), accumulate=True
        )


def _windowed(maps: Tensor) -> Tensor:
    """Gaussian means of (B, C, H, W), along rows, then along columns.

    One group per channel in channels-last order: on processors a tenth of the time of a plane at a time.
    """
    window = _window(maps.device, maps.dtype).expand(maps.shape[1], 1, 1, -1)  # (C, 1, 1, 11)
    groups, margin = maps.shape[1], SSIM_WIDTH // 2
    rows = F.conv2d(
        maps.contiguous(memory_format=torch.channels_last), window, padding=(0, margin), groups=groups
    )
    return F.conv2d(rows, window.mT, padding=(margin, 0), groups=groups)


def focal(probabilities: Tensor, target: Tensor, *, gamma: float = 2.0, smoothing: float = 1e-5) -> Tensor:
    """Focal loss of every pixel, -(1 - p)^gamma log p with p the probability of the true class; (B, H, W).

    Lin et al., ICCV 2017, eq. 4, without class weights.

    probabilities: (B, K, H, W), summing to 1 over K. target: (B, H, W) integer or bool.
    smoothing keeps the logarithm finite: the true class counts 1 - smoothing, the others smoothing, and p is
    raised by it.
    """
    classes = probabilities.shape[1]
    weights = (
        F.one_hot(target.long(), classes)
        .movedim(-1, 1)
        .to(probabilities.dtype)
        .clamp(smoothing, 1 - smoothing)
    )
    true = (weights * probabilities).sum(dim=1) + smoothing
    return -((1 - true).clamp(min=0) ** gamma) * true.log()
