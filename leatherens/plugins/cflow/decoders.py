"""What CFLOW learns: a flow on the feature vectors of a level, steered by where in the picture they lie."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.flows import (
    ChannelAffine,
    Coupling,
    Flow,
    Rotation,
    Step,
    log_likelihood,
    tanh_clamp,
)
from leatherens.core.positions import position_code
from leatherens.core.rows import maps_of, rows_of

META_EPOCHS, WARM_EPOCHS = 25, 2
"""The authors lower the learning rate this many times, after raising it through the first two."""

FIRST_RATE, LAST_RATE = 0.1, 1e-3
"""Shares of the highest learning rate: where it starts, and what its cosine falls to."""


def subnetwork(channels: int, condition: int) -> nn.Module:
    """From the passive channels of a vector and its position's code to log-scales and shifts of the rest."""
    seen = channels - channels // 2 + condition
    return nn.Sequential(nn.Linear(seen, 2 * seen), nn.ReLU(), nn.Linear(2 * seen, 2 * (channels // 2)))


class Decoder(nn.Module):
    """The flow of one level, on maps or on rows of them; `condition` channels of position code."""

    def __init__(self, channels: int, *, condition: int, blocks: int, clamp: float) -> None:
        super().__init__()
        self.condition = condition

        def block() -> list[Step]:
            coupling = Coupling(subnetwork(channels, condition), tanh_clamp(clamp, slope=clamp))
            return [coupling, ChannelAffine(channels), Rotation(channels)]

        self.flow = Flow(chain.from_iterable(block() for _ in range(blocks)))

    def vectors(self, maps: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Maps (B, C, h, w) as vectors (M, C) with their position codes (M, K), invalid ones left out."""
        batch, _, height, width = maps.shape
        code = position_code((height, width), self.condition).to(maps)
        return rows_of(maps, valid), rows_of(code.expand(batch, -1, -1, -1), valid)

    def forward(self, rows: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (M, C) to latents (M, C) and log p per channel (M,), in nats."""
        latent, stretch = self.flow(rows, codes)
        return latent, log_likelihood(latent, stretch) / rows.shape[1]

    def seen(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (B, C, h, w) to latents (B, C, h, w) and log p per channel (B, h, w)."""
        latent, likelihood = self(*self.vectors(maps))
        return maps_of(latent, maps), maps_of(likelihood[:, None], maps)[:, 0]


def damped(likelihood: Tensor) -> Tensor:
    """Log p per channel to the loss, -log sigmoid of it: what is likely already hardly pulls any more."""
    return -F.logsigmoid(likelihood)


def fibres(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of `count` vectors, shuffled and dealt out in fibres of `size`; what fills none is left out.

    Fewer vectors than a fibre holds make one.

    >>> [[len(fibre) for fibre in fibres(count, 4, torch.Generator())] for count in (10, 3)]
    [[4, 4], [3]]
    """
    order = torch.randperm(count, generator=generator)
    for start in range(0, max(1, count - size + 1), size):
        yield order[start : start + size]


def rate(step: int, steps: int) -> float:
    """The learning rate of a step of `steps`, as a share of the highest: a ramp, then a falling staircase.

    >>> round(rate(16, 200), 4), round(rate(199, 200), 6)  # published: 2e-4 of 200 epochs
    (0.9843, 0.004939)
    """
    if step * META_EPOCHS < WARM_EPOCHS * steps:
        ramp = step * META_EPOCHS / (WARM_EPOCHS * steps)
        return FIRST_RATE + ramp * (_cosine(WARM_EPOCHS) - FIRST_RATE)
    return _cosine(step * META_EPOCHS // steps)


def _cosine(epoch: int) -> float:
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * epoch / META_EPOCHS)) / 2
