"""The only place that interpolates, pools or smooths maps.

Maps are (B, C, H, W) or, where said, (B, H, W). Bilinear interpolation never aligns corners unless
a method's paper does, and keeps constant maps constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]


def resize(maps: Tensor, size: Size, *, align_corners: bool = False, antialias: bool = False) -> Tensor:
    """(B, C, h, w) to (B, C, H, W), bilinear; the same tensor when the size already fits.

    antialias: widen the filter where maps shrink, so that every value counts and not only each fourth.
    """
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=align_corners, antialias=antialias)


def repeated(maps: Tensor, size: Size) -> Tensor:
    """(B, C, h, w) to (B, C, H, W), every value as often as it fits: the nearest neighbour's.

    >>> repeated(torch.tensor([[[[1.0, 2.0]]]]), (2, 4))[0, 0].tolist()
    [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """
    return maps if tuple(maps.shape[-2:]) == tuple(size) else F.interpolate(maps, size=size, mode="nearest")


def thinned(maps: Tensor, factor: int) -> Tensor:
    """(B, C, H, W) to every `factor`-th value of every `factor`-th row, the first ones among them.

    What nearest-neighbour interpolation leaves where `factor` divides the sides; fine textures alias.

    >>> thinned(torch.arange(6.0).view(1, 1, 1, 6), 3).tolist()
    [[[[0.0, 3.0]]]]
    """
    return maps[..., ::factor, ::factor]


def resize_scores(pixels: Tensor, size: Size, *, align_corners: bool = False) -> Tensor:
    """(B, h, w) to (B, H, W), bilinear."""
    return resize(pixels[:, None], size, align_corners=align_corners)[:, 0]


def bicubic_scores(pixels: Tensor, size: Size) -> Tensor:
    """(B, h, w) to (B, H, W), bicubic: constants stay, edges overshoot, and zeros beside them dip below."""
    return F.interpolate(pixels[:, None], size=size, mode="bicubic", align_corners=False)[:, 0]


def smooth(pixels: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of (B, H, W), as `scipy.ndimage.gaussian_filter` does it by default."""
    if sigma <= 0:
        return pixels
    kernel, radius = _gaussian(sigma, pixels)
    padded = _mirror(_mirror(pixels, radius, dim=-1), radius, dim=-2)[:, None]  # (B, 1, H+2r, W+2r)
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1))
    return F.conv2d(rows, kernel.view(1, 1, -1, 1))[:, 0]


def smooth_rows(pixels: Tensor, sigma: float) -> Tensor:
    """Each row of (B, H, W) smoothed along itself alone, as `scipy.ndimage.gaussian_filter1d` does it."""
    if sigma <= 0:
        return pixels
    kernel, radius = _gaussian(sigma, pixels)
    return F.conv2d(_mirror(pixels, radius, dim=-1)[:, None], kernel.view(1, 1, 1, -1))[:, 0]


def _gaussian(sigma: float, like: Tensor) -> tuple[Tensor, int]:
    """The kernel (2 * radius + 1,) and its radius."""
    radius = int(4 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return (kernel / kernel.sum()).to(like), radius


def _mirror(pixels: Tensor, radius: int, *, dim: int) -> Tensor:
    """Pad one axis by mirroring with the edge repeated, as often as the radius needs."""
    length = pixels.shape[dim]
    positions = torch.arange(-radius, length + radius, device=pixels.device) % (2 * length)
    positions = torch.where(positions < length, positions, 2 * length - 1 - positions)
    return pixels.index_select(dim, positions)


def neighbourhood_mean(maps: Tensor, side: int) -> Tensor:
    """(B, C, h, w) averaged over `side` x `side` windows (odd), zeros counted beyond the border."""
    return F.avg_pool2d(maps, side, stride=1, padding=side // 2)


def mean_filter(pixels: Tensor, width: int) -> Tensor:
    """(B, H, W) averaged over `width` x `width` windows (odd), zeros counted beyond the border."""
    return neighbourhood_mean(pixels[:, None], width)[:, 0]


def block_mean(maps: Tensor, factor: int) -> Tensor:
    """(B, C, H, W) averaged over blocks without overlap, to (B, C, H / factor, W / factor)."""
    return F.avg_pool2d(maps, factor)


def image_maximum(pixels: Tensor, valid: Tensor | None = None) -> Tensor:
    """(B, H, W) to (B,): the largest score among valid pixels."""
    if valid is not None:
        pixels = pixels.masked_fill(~valid, -math.inf)
    return pixels.flatten(1).amax(dim=1)


def mean_in_view(maps: Tensor, valid: Tensor | None) -> Tensor:
    """(B, h, w) to (B,): the mean over positions, those mostly on invalid pixels (B, H, W) left out."""
    if valid is None:
        return maps.mean(dim=(1, 2))
    counted = valid_positions(valid, (maps.shape[-2], maps.shape[-1]))
    return maps.masked_fill(~counted, 0).sum(dim=(1, 2)) / counted.sum(dim=(1, 2))


def silence(pixels: Tensor, valid: Tensor | None) -> Tensor:
    """Give invalid pixels their image's lowest valid score: nothing to see there."""
    if valid is None:
        return pixels
    lowest = pixels.masked_fill(~valid, math.inf).flatten(1).amin(dim=1)  # (B,)
    return torch.where(valid, pixels, lowest[:, None, None])


def valid_positions(valid: Tensor, size: Size) -> Tensor:
    """(B, H, W) bool to (B, h, w): positions of a coarser grid of which at least half is valid.

    Where an image has no such position, those with its largest valid share stand in.
    """
    share = F.adaptive_avg_pool2d(valid[:, None].float(), size)[:, 0]
    return share >= share.flatten(1).amax(dim=1).clamp_max(0.5)[:, None, None]


def level_positions(maps: Sequence[Tensor], valid: Tensor | None) -> list[Tensor | None]:
    """`valid_positions` on the grid of each level (B, ..., h, w): (B, h, w); `None` where all are valid."""
    return [None if valid is None else valid_positions(valid, (m.shape[-2], m.shape[-1])) for m in maps]


def largest_grid(maps: list[Tensor]) -> Size:
    """The finest (H, W) among maps of one image size."""
    heights, widths = zip(*(m.shape[-2:] for m in maps), strict=True)
    return max(heights), max(widths)
