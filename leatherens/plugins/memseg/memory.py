"""The memory: feature maps of some good images, and what separates an image from the nearest of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leatherens.core.geometry import Size, positions_of


class Memory(nn.Module):
    """Levels (M, C, h, w) of M good images; they never move.

    scales: what each level is divided by before anything else; ones as published.
    """

    scales: Tensor

    def __init__(self, count: int, channels: Sequence[int], sizes: Sequence[Size]) -> None:
        super().__init__()
        for i, (wide, size) in enumerate(zip(channels, sizes, strict=True)):
            self.register_buffer(f"level{i}", torch.zeros(count, wide, *size))
        self.register_buffer("scales", torch.ones(len(channels)))

    @property
    def levels(self) -> list[Tensor]:
        """Each (M, C, h, w), scaled."""
        return [self.get_buffer(f"level{i}") for i in range(len(self.scales))]

    def fill(self, levels: Sequence[Tensor], *, scaled: bool) -> None:
        """Remember levels (M, C, h, w); scaled: divided by the root of their mean square."""
        for i, level in enumerate(levels):
            if scaled:
                self.scales[i] = level.square().mean().sqrt().clamp_min(1e-6)
            self.get_buffer(f"level{i}").copy_(level / self.scales[i])

    def compared(
        self, levels: Sequence[Tensor], valid: Tensor | None = None, barred: Tensor | None = None
    ) -> list[Tensor]:
        """Levels (B, C, h, w), scaled, and after them their squared differences: (B, 2 C, h, w) each.

        Differences are to the one remembered image that is nearest in all levels together. valid: pixels
        (B, H, W) that count. barred: (B, M), which remembered images an image must not be compared with.
        """
        ours = [level / scale for level, scale in zip(levels, self.scales, strict=True)]
        nearest = self.nearest(ours, valid, barred)
        return [
            torch.cat([level, (level - known[nearest]).square()], dim=1)
            for level, known in zip(ours, self.levels, strict=True)
        ]

    def nearest(
        self, levels: Sequence[Tensor], valid: Tensor | None = None, barred: Tensor | None = None
    ) -> Tensor:
        """(B,): the remembered image with the smallest sum over levels of mean squared differences."""
        counted = [positions_of(level, valid) for level in levels]
        rows = []
        for i in range(len(levels[0])):  # image by image: all pairs at once would take gigabytes
            apart = [
                _mean_square(known - level[i], None if seen is None else seen[i])
                for level, known, seen in zip(levels, self.levels, counted, strict=True)
            ]
            rows.append(torch.stack(apart).sum(dim=0))  # (M,)
        distances = torch.stack(rows)
        return (distances if barred is None else distances.masked_fill(barred, torch.inf)).argmin(dim=1)


def _mean_square(differences: Tensor, counted: Tensor | None) -> Tensor:
    """(M, C, h, w) to (M,), over the positions counted (h, w)."""
    squares = differences.square()
    if counted is None:
        return squares.flatten(1).mean(dim=1)
    return squares[:, :, counted].flatten(1).mean(dim=1)
