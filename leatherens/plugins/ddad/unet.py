"""The denoising network: a U-Net of residual blocks with attention, told how noisy its image is.

Dhariwal and Nichol, NeurIPS 2021, in the variant that DDAD's authors train. Widths and depths are free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.geometry import block_mean, repeated

GROUPS = 32
"""Of group normalisation, where the channels can be shared out so."""

LEAST = 2
"""Channels of a group: normalised by itself, a channel would lose what its block adds to it for the time. The
authors' small network has such channels."""

SLOWEST = 1e4
"""Ratio of the fastest to the slowest wave of a time's code."""

Resampling = Literal["down", "up", "no"]


def published_plan(side: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Multipliers of the width, a level each, and the reductions with attention, for images of this side.

    Attention works on grids of 32, 16 and 8 positions a side. Sides in between go by the next smaller one.

    >>> published_plan(256)
    ((1, 1, 2, 2, 4, 4), (8, 16, 32))
    """
    plans = {512: (0.5, 1, 1, 2, 2, 4, 4), 256: (1, 1, 2, 2, 4, 4), 128: (1, 1, 2, 3, 4), 32: (1, 2, 3, 4)}
    known = next((known for known in plans if side >= known), 32)
    nominal = 64 if 64 <= side < 128 else known
    return plans[known], tuple(nominal // grid for grid in (32, 16, 8))


def time_code(times: Tensor, channels: int) -> Tensor:
    """(B,) to (B, channels): sines, then cosines, of the time at falling frequencies."""
    half = channels // 2
    frequencies = torch.exp(torch.arange(half, device=times.device) * (-math.log(SLOWEST) / half))
    phases = times.float()[:, None] * frequencies  # (B, half)
    return torch.cat([phases.sin(), phases.cos()], dim=1)


class Block(nn.Module):
    """Two convolutions beside a skip, the time's code added in between; may halve or double the grid."""

    def __init__(
        self, before: int, after: int, code: int, dropout: float, resampling: Resampling = "no"
    ) -> None:
        super().__init__()
        self.resampling = resampling
        self.enter = nn.Sequential(_norm(before), nn.SiLU())
        self.first = nn.Conv2d(before, after, 3, padding=1)
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(code, after))
        self.second = nn.Sequential(
            _norm(after), nn.SiLU(), nn.Dropout(dropout), _silent(nn.Conv2d(after, after, 3, padding=1))
        )
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, maps: Tensor, code: Tensor) -> Tensor:
        """(B, before, h, w) and (B, code) to (B, after, h', w')."""
        inner: Tensor = self.first(self._resampled(self.enter(maps)))
        inner = self.second(inner + self.time(code)[:, :, None, None])
        skipped: Tensor = self.skip(self._resampled(maps))
        return skipped + inner

    def _resampled(self, maps: Tensor) -> Tensor:
        if self.resampling == "down":
            return block_mean(maps, 2)
        height, width = maps.shape[-2:]
        return repeated(maps, (2 * height, 2 * width)) if self.resampling == "up" else maps


class Attention(nn.Module):
    """Every position looks at every other; (B, C, h, w) to the same, nothing added at first."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = _norm(channels)
        self.ask = nn.Conv2d(channels, 3 * channels, 1)
        self.answer = _silent(nn.Conv2d(channels, channels, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """With heads that share the channels out among them."""
        batch, channels, height, width = maps.shape
        asked = self.ask(self.norm(maps)).view(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = asked.mT.unbind(dim=1)  # each (B, heads, h * w, C / heads)
        seen = F.scaled_dot_product_attention(query, key, value)
        added: Tensor = self.answer(seen.mT.reshape(batch, channels, height, width))
        return maps + added


class Stage(nn.Module):
    """A block, and attention after it where the grid is coarse."""

    def __init__(self, block: Block, attention: Attention | None = None) -> None:
        super().__init__()
        self.block = block
        self.attention = attention

    def forward(self, maps: Tensor, code: Tensor) -> Tensor:
        """What both make of the maps."""
        made: Tensor = self.block(maps, code)
        if self.attention is not None:
            made = self.attention(made)
        return made


class UNet(nn.Module):
    """Says which noise is in an image: (B, 3, H, W) and times (B,) to (B, 3, H, W), at first zero.

    width: channels that `multipliers` multiply, one a level; each level has half the grid of the one before.
    attention: the reductions of the grid after whose blocks there is attention.
    patch: squares of so many pixels a side are one position with all their values as channels; 1 as
        published. H and W are divisible by `unit`.
    """

    BLOCKS = 2
    """A level on the way down; one more on the way up."""

    def __init__(
        self,
        width: int,
        multipliers: Sequence[float],
        attention: Sequence[int],
        *,
        heads: int = 4,
        dropout: float = 0.0,
        patch: int = 1,
    ) -> None:
        super().__init__()
        self.width, self.patch = width, patch
        self.unit = patch * 2 ** (len(multipliers) - 1)
        code, wide = 4 * width, [int(width * times) for times in multipliers]

        def stage(before: int, level: int) -> Stage:
            block = Block(before, wide[level], code, dropout)
            attends = 2**level in attention
            return Stage(block, Attention(wide[level], heads) if attends else None)

        def resampling(level: int, way: Resampling) -> Stage:
            return Stage(Block(wide[level], wide[level], code, dropout, way))

        self.time = nn.Sequential(nn.Linear(width, code), nn.SiLU(), nn.Linear(code, code))
        self.enter = nn.Conv2d(3 * patch**2, wide[0], 3, padding=1)
        self.down, skips = nn.ModuleList(), [wide[0]]
        for level in range(len(wide)):
            for _ in range(self.BLOCKS):
                self.down.append(stage(skips[-1], level))
                skips.append(wide[level])
            if level + 1 < len(wide):
                self.down.append(resampling(level, "down"))
                skips.append(wide[level])
        deep = wide[-1]
        self.middle = nn.ModuleList(
            [
                Stage(Block(deep, deep, code, dropout), Attention(deep, heads)),
                Stage(Block(deep, deep, code, dropout)),
            ]
        )
        self.up, before = nn.ModuleList(), deep
        for level in reversed(range(len(wide))):
            up = nn.ModuleList()
            for _ in range(self.BLOCKS + 1):
                up.append(stage(before + skips.pop(), level))
                before = wide[level]
            if level:
                up.append(resampling(level, "up"))
            self.up.append(up)
        self.leave = nn.Sequential(
            _norm(before), nn.SiLU(), _silent(nn.Conv2d(before, 3 * patch**2, 3, padding=1))
        )

    def forward(self, images: Tensor, times: Tensor) -> Tensor:
        """images in about -1..1, noisy; times: how many of the diffusion's steps made them so."""
        code = self.time(time_code(times, self.width))
        maps = self.enter(F.pixel_unshuffle(images, self.patch))
        kept = [maps]
        for stage in self.down:
            maps = stage(maps, code)
            kept.append(maps)
        for stage in self.middle:
            maps = stage(maps, code)
        for level in self.up:
            for number, stage in enumerate(level):  # type: ignore[arg-type]
                joined = torch.cat([maps, kept.pop()], dim=1) if number <= self.BLOCKS else maps
                maps = stage(joined, code)
        return F.pixel_shuffle(self.leave(maps), self.patch)


def _norm(channels: int) -> nn.GroupNorm:
    groups = (GROUPS >> halving for halving in range(GROUPS.bit_length()))
    fitting = (some for some in groups if channels % some == 0 and channels >= LEAST * some)
    return nn.GroupNorm(next(fitting, 1), channels)


def _silent(layer: nn.Conv2d) -> nn.Conv2d:
    """A layer that begins with weights of zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
