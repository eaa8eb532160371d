"""What learns in MemSeg: the fusion of three levels and their differences, and the decoder.

Layer sizes follow from the backbone's channels; for ResNet-18 they are those of the open implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from leatherens.core.geometry import resize

REDUCTION, NARROWEST = 32, 8
"""Coordinate attention squeezes channels to this fraction, and to no fewer."""


def doubled(maps: Tensor) -> Tensor:
    """(B, C, h, w) to (B, C, 2 h, 2 w), bilinear with aligned corners."""
    height, width = maps.shape[-2:]
    return resize(maps, (2 * height, 2 * width), align_corners=True)


class CoordinateAttention(nn.Module):
    """(B, C, h, w), each channel weighed by its row and by its column (Hou et al., CVPR 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(NARROWEST, channels // REDUCTION)
        self.squeeze = nn.Sequential(nn.Conv2d(channels, narrow, 1), nn.BatchNorm2d(narrow), nn.Hardswish())
        self.down = nn.Conv2d(narrow, channels, 1)
        self.across = nn.Conv2d(narrow, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Of the same shape."""
        height, width = maps.shape[-2:]
        rows, columns = maps.mean(dim=3, keepdim=True), maps.mean(dim=2, keepdim=True).mT  # (B, C, h or w, 1)
        rows, columns = self.squeeze(torch.cat([rows, columns], dim=2)).split([height, width], dim=2)
        weighed: Tensor = maps * self.down(rows).sigmoid() * self.across(columns.mT).sigmoid()
        return weighed


class Mixed(nn.Module):
    """Features and differences of a level, (B, 2 C, h, w), to (B, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        both = 2 * channels
        self.convolved = nn.Conv2d(both, both, 3, padding=1)
        self.attended = CoordinateAttention(both)
        self.halved = nn.Sequential(
            nn.Conv2d(both, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, level: Tensor) -> Tensor:
        """What the convolution sees, weighed by what attention lets through."""
        mixed: Tensor = self.halved(self.convolved(level) * self.attended(level))
        return mixed


class Fusion(nn.Module):
    """Three levels (B, 2 C_i, h_i, w_i), fine to coarse, to (B, C_i, h_i, w_i).

    Coarse levels are added to fine ones; then each counts where the image differs from the memory.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.mixed = nn.ModuleList(Mixed(wide) for wide in channels)
        self.coarse_to_middle = nn.Conv2d(coarse, middle, 3, padding=1)
        self.middle_to_fine = nn.Conv2d(middle, fine, 3, padding=1)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Fine to coarse."""
        fine, middle, coarse = (mix(level) for mix, level in zip(self.mixed, levels, strict=True))
        middle = middle + self.coarse_to_middle(doubled(coarse))
        fine = fine + self.middle_to_fine(doubled(middle))
        weights = spatial_weights(levels)
        return [level * weight for level, weight in zip((fine, middle, coarse), weights, strict=True)]


def spatial_weights(levels: Sequence[Tensor]) -> list[Tensor]:
    """(B, 1, h, w) a level: the mean of its differences, times the next coarser level's weights."""
    weights: list[Tensor] = []
    for level in reversed(levels):
        mean = level[:, level.shape[1] // 2 :].mean(dim=1, keepdim=True)
        weights.insert(0, mean * doubled(weights[0]) if weights else mean)
    return weights


class Up(nn.Module):
    """(B, before, h, w) to (B, after, 2 h, 2 w)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Enlarged, then convolved."""
        grown: Tensor = self.layers(doubled(maps))
        return grown


class Segmented(NamedTuple):
    """Logits (B, 2, H, W): good, anomalous; the fused levels, fine to coarse; and the decoder's stages at
    strides 16, 8, 4 and 2."""

    logits: Tensor
    fused: list[Tensor]
    decoded: list[Tensor]


class MemSegNetwork(nn.Module):
    """From a pyramid's stem (B, C, H / 2, W / 2), three compared levels and its deepest level to logits.

    width: channels of the two finest stages, 48 as published.
    """

    def __init__(self, stem: int, levels: Sequence[int], deep: int, width: int = 48) -> None:
        super().__init__()
        fine, middle, coarse = levels
        self.fusion = Fusion(levels)
        ups = [(deep, coarse), (2 * coarse, middle), (2 * middle, fine), (2 * fine, width)]
        self.up = nn.ModuleList(Up(before, after) for before, after in ups)
        self.stem = nn.Conv2d(stem, width, 3, padding=1)
        self.last = Up(2 * width, width)
        self.out = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, stem: Tensor, compared: Sequence[Tensor], deep: Tensor) -> Segmented:
        """compared: fine to coarse, (B, 2 C_i, h_i, w_i)."""
        fused = self.fusion(compared)
        skips, decoded, maps = [*reversed(fused), self.stem(stem)], [], deep
        for up, skip in zip(self.up, skips, strict=True):
            decoded.append(up(maps))
            maps = torch.cat([decoded[-1], skip], dim=1)
        return Segmented(self.out(self.last(maps)), fused, decoded)
