"""Losses that several detectors share, as maps: the caller takes the mean it needs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_WIDTH, SSIM_SIGMA = 11, 1.5


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
        covariance = product - mean_x * mean_y
        variances = square_x - mean_x**2 + square_y - mean_y**2
        c1, c2 = 0.01**2, 0.03**2
        luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        similarity: Tensor = luminance * (2 * covariance + c2) / (variances + c2)
        return similarity


def _windowed(maps: Tensor) -> Tensor:
    """Gaussian means of (B, C, H, W), along rows, then along columns.

    One group per channel in channels-last order: on processors a tenth of the time of a plane at a time.
    """
    offsets = torch.arange(SSIM_WIDTH, device=maps.device, dtype=maps.dtype) - SSIM_WIDTH // 2
    window = torch.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    window = (window / window.sum()).expand(maps.shape[1], 1, 1, -1)  # (C, 1, 1, 11)
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
