"""The only place that interpolates, pools or smooths maps.

Maps are (B, C, H, W) or, where said, (B, H, W). Bilinear interpolation never aligns corners unless
a method's paper does, and keeps constant maps constant.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]

REMEMBERED = 8
"""Matrices of weights, one for each length and sigma; of 1024 pixels one takes 8 MB."""


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
    """Gaussian smoothing of (B, H, W), as `scipy.ndimage.gaussian_filter` does it by default.

    A matrix product a side, though most weights are zero: for a single channel torch's convolutions take
    several times as long.
    """
    if sigma <= 0:
        return pixels
    down, across = (_gaussian_weights(side, sigma).to(pixels) for side in pixels.shape[-2:])
    return down.mT @ pixels @ across


def smooth_rows(pixels: Tensor, sigma: float) -> Tensor:
    """Each row of (B, H, W) smoothed along itself alone, as `scipy.ndimage.gaussian_filter1d` does it."""
    return pixels if sigma <= 0 else pixels @ _gaussian_weights(pixels.shape[-1], sigma).to(pixels)


def enlarged(pixels: Tensor, size: Size, sigma: float) -> Tensor:
    """(B, h, w) to (B, H, W), bilinear and then smoothed: `smooth(resize_scores(pixels, size), sigma)`.

    Both are linear, along rows and columns alike: one small matrix a side does it all.
    """
    if sigma <= 0:
        return resize_scores(pixels, size)
    sides = zip(pixels.shape[-2:], size, strict=True)
    down, across = (_enlarging_weights(old, new, sigma).to(pixels) for old, new in sides)
    return down.mT @ pixels @ across


@lru_cache(maxsize=REMEMBERED)
def _gaussian_weights(length: int, sigma: float) -> Tensor:
    """(length, length): column i says what each value counts in the smoothed value i; beyond the ends the
    values come again, mirrored with the edge repeated, as often as the kernel reaches."""
    radius = int(4 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    targets = torch.arange(length)
    sources = (targets + offsets.long()[:, None]) % (2 * length)  # (2 * radius + 1, length)
    sources = torch.where(sources < length, sources, 2 * length - 1 - sources)
    with torch.inference_mode(False):  # what is remembered must do for losses too
        weights = torch.zeros(length, length, dtype=torch.float64)
        values = (kernel / kernel.sum())[:, None].expand_as(sources)
        return weights.index_put_((sources, targets.expand_as(sources)), values, accumulate=True)


@lru_cache(maxsize=REMEMBERED)
def _enlarging_weights(old: int, new: int, sigma: float) -> Tensor:
    """(old, new): bilinear interpolation of a row, then the Gaussian."""
    with torch.inference_mode(False):
        each = torch.eye(old, dtype=torch.float64)[None, None]  # (1, 1, old, old), a row for every value
        return resize(each, (old, new))[0, 0] @ _gaussian_weights(new, sigma)


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


def top_mean(pixels: Tensor, count: int, valid: Tensor | None = None) -> Tensor:
    """(B, H, W) to (B,): the mean of the `count` largest scores among valid pixels, of all if they are fewer.

    >>> top_mean(torch.tensor([[[1.0, 2.0, 4.0]]]), 2).tolist()
    [3.0]
    """
    flat = pixels.flatten(1)
    if valid is None:
        return flat.topk(min(count, flat.shape[1]), dim=1).values.mean(dim=1)
    scores = zip(flat, valid.flatten(1), strict=True)
    return torch.stack([row[seen].topk(min(count, int(seen.sum()))).values.mean() for row, seen in scores])


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


def positions_of(maps: Tensor, valid: Tensor | None) -> Tensor | None:
    """`valid_positions` on the grid of maps (B, ..., h, w): (B, h, w); `None` where all count."""
    return None if valid is None else valid_positions(valid, (maps.shape[-2], maps.shape[-1]))


def mean_of(values: Tensor, counted: Tensor | None = None) -> Tensor:
    """(B, ...) to (B,): the mean of what is counted (B, ...) bool; 0 where nothing is."""
    if counted is None:
        return values.flatten(1).mean(dim=1)
    total = (values * counted).flatten(1).sum(dim=1)
    return total / counted.flatten(1).sum(dim=1).clamp_min(1)


def largest_grid(maps: list[Tensor]) -> Size:
    """The finest (H, W) among maps of one image size."""
    heights, widths = zip(*(m.shape[-2:] for m in maps), strict=True)
    return max(heights), max(widths)
