"""A normalising flow over maps of several scales at once, as in CS-Flow; AST's has one scale."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from leatherens.core.errors import ConfigError
from leatherens.core.flows import DoubleCoupling, Levels, Permutation, no_stretch
from leatherens.core.geometry import valid_positions

MOST_SAID = 1e6
"""What a sub-network says is cut off here, as in AST: no picture, however strange, can overflow float32.

With log-scales below 3 and four blocks a latent then stays below 1e12, and a sum of its squares below 1e30.
"""


class LevelsFlow(nn.Module):
    """Two-sided couplings one after the other; before each, every scale's channels change places.

    couplings: all for the same, even number of channels. Build it under `randomness.seeded_construction`.
    """

    def __init__(self, channels: int, scales: int, couplings: Iterable[DoubleCoupling]) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(couplings)
        self.shuffles = nn.ModuleList(
            nn.ModuleList(Permutation(channels) for _ in range(scales)) for _ in self.couplings
        )

    def forward(self, levels: Levels) -> tuple[list[Tensor], list[Tensor]]:
        """Levels of the same shapes, and log |det J| at each position of each, (B, h_i, w_i)."""
        moved, stretches = list(levels), [no_stretch(level) for level in levels]
        for shuffles, coupling in self._blocks():
            shuffled = [shuffle(level)[0] for shuffle, level in zip(shuffles, moved, strict=True)]
            moved, more = coupling(shuffled)
            stretches = [a + b for a, b in zip(stretches, more, strict=True)]
        return moved, stretches

    def inverse(self, levels: Levels) -> list[Tensor]:
        """The levels that `forward` makes these of: the last block undone first."""
        moved = list(levels)
        for shuffles, coupling in reversed(self._blocks()):
            shuffled = coupling.inverse(moved)
            moved = [shuffle.inverse(level) for shuffle, level in zip(shuffles, shuffled, strict=True)]
        return moved

    def _blocks(self) -> list[tuple[Any, Any]]:
        return list(zip(self.shuffles, self.couplings, strict=True))


def refuse_odd(channels: int, *, owner: str, source: str, layer: int) -> None:
    """Raise a `ConfigError` unless channels have two equal halves, as the couplings need them."""
    if channels % 2:
        raise ConfigError(
            f"{owner}: expected a map of two equal halves of channels, {source} gives {channels} at layer "
            f"{layer}; choose another layer or backbone"
        )


def surprise(latents: Levels, stretches: Levels) -> list[Tensor]:
    """-log p at each position of each scale, (B, h_i, w_i), in nats, without the normal's constant."""
    return [0.5 * z.square().sum(dim=1) - s for z, s in zip(latents, stretches, strict=True)]


def counted_mean(levels: Levels, valid: Tensor | None = None) -> Tensor:
    """(B,): the mean over the positions of all scales (B, h_i, w_i); each position counts once.

    Positions mostly on invalid pixels (B, H, W) do not count.
    """
    counted = [_counted(level, valid) for level in levels]
    sums = [(level * c).flatten(1).sum(dim=1) for level, c in zip(levels, counted, strict=True)]
    counts = [c.flatten(1).sum(dim=1) for c in counted]
    return torch.stack(sums).sum(dim=0) / torch.stack(counts).sum(dim=0)


def _counted(level: Tensor, valid: Tensor | None) -> Tensor:
    if valid is None:
        return torch.ones_like(level)
    return valid_positions(valid, (level.shape[-2], level.shape[-1])).to(level)
