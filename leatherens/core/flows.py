"""Steps of normalising flows: invertible maps over channels that know how much they stretch volume.

Every step takes maps (B, C, ...), vectors (N, C) among them, and gives maps of the same shape and, at each
position, the logarithm of the Jacobian's determinant, (B, ...) or (N,); summed over positions it is that of
the whole map, whatever the sub-network sees of the neighbourhood. CFLOW, FastFlow, CS-Flow and AST are made
of these.

Dinh et al. (Real NVP, ICLR 2017) and Kingma and Dhariwal (Glow, NeurIPS 2018); the constants of the one-sided
block are those of the FrEIA library, on which the published detectors are built.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Clamp = Callable[[Tensor], Tensor]
"""What keeps a log-scale within bounds, so that its exponential can neither overflow nor vanish."""

GAIN = 0.1
"""A one-sided coupling starts near the identity: its sub-network's output counts a tenth."""

UNIT_SCALE = 2 * math.log(math.expm1(5))
"""0.1 softplus of it (beta 0.5) is 1: where the scales of `ChannelAffine` start."""


def tanh_clamp(limit: float, slope: float = 1.0) -> Clamp:
    """limit * tanh(slope * s / limit): this slope at zero, within -limit..limit.

    FrEIA has slope 1 since August 2023. Before it was `limit`, limit * tanh(s), which is what the published
    code of CFLOW-AD and the usual one of FastFlow ran with.
    """
    return lambda s: limit * torch.tanh(slope * s / limit)


def atan_clamp(limit: float) -> Clamp:
    """limit * 0.636 * atan(s / limit): within -limit..limit, 0.636 being nearly 2 / pi; as in CS-Flow."""
    return lambda s: limit * 0.636 * torch.atan(s / limit)


class Step(nn.Module):
    """An invertible map; `condition` (B, K, ...) steers the steps that take one."""

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Maps of the same shape, and log |det J| at each position."""
        raise NotImplementedError

    def inverse(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """The maps that `forward` makes these of."""
        raise NotImplementedError


def no_stretch(maps: Tensor) -> Tensor:
    """The log-determinant of a step that keeps volume: zero at each position."""
    return maps.new_zeros((len(maps), *maps.shape[2:]))


class Permutation(Step):
    """Channels in another, fixed order; build it under `randomness.seeded_construction`."""

    order: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("order", torch.randperm(channels))

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Volume is kept."""
        return maps.index_select(1, self.order), no_stretch(maps)

    def inverse(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """Channels back in their places."""
        return maps.index_select(1, self.order.argsort())


class Rotation(Step):
    """Channels mixed by a fixed random rotation (determinant 1, uniform over SO(C) by a QR decomposition)."""

    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        turned, upper = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))
        turned = turned * upper.diagonal().sign()
        turned[:, 0] *= torch.linalg.det(turned).sign()
        self.register_buffer("matrix", turned.float())

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Volume is kept."""
        return _mixed(maps, self.matrix), no_stretch(maps)

    def inverse(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """The rotation back."""
        return _mixed(maps, self.matrix.T)


def _mixed(maps: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("dc,bc...->bd...", matrix, maps)


class ChannelAffine(Step):
    """A learned scale, always positive, and offset for each channel; begins as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.raw_scale = nn.Parameter(torch.full((channels,), UNIT_SCALE))
        self.offset = nn.Parameter(torch.zeros(channels))

    def scale(self) -> Tensor:
        """(C,)."""
        return 0.1 * F.softplus(self.raw_scale, beta=0.5)

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """maps * scale + offset; every position is stretched alike."""
        stretch = no_stretch(maps) + self.scale().log().sum()
        return maps * _along(self.scale(), maps) + _along(self.offset, maps), stretch

    def inverse(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """(maps - offset) / scale."""
        return (maps - _along(self.offset, maps)) / _along(self.scale(), maps)


def _along(values: Tensor, maps: Tensor) -> Tensor:
    """(C,) shaped to act on the channels of maps (B, C, ...)."""
    return values.view(-1, *(1 for _ in maps.shape[2:]))


class Coupling(Step):
    """One-sided affine coupling: the last C // 2 channels are scaled and shifted by what the others say.

    network: from the passive channels (C - C // 2, and the condition's behind them) to 2 (C // 2), log-scales
    first, then shifts. Half of the channels pass unchanged: mix them between couplings.
    """

    def __init__(self, network: nn.Module, clamp: Clamp, gain: float = GAIN) -> None:
        super().__init__()
        self.network = network
        self.clamp = clamp
        self.gain = gain

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Stretched by the log-scales."""
        passive, active = split(maps)
        log_scale, shift = self._say(passive, condition)
        return torch.cat([passive, active * log_scale.exp() + shift], dim=1), log_scale.sum(dim=1)

    def inverse(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """The shift off, then the scale."""
        passive, active = split(maps)
        log_scale, shift = self._say(passive, condition)
        return torch.cat([passive, (active - shift) * (-log_scale).exp()], dim=1)

    def _say(self, passive: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        seen = passive if condition is None else torch.cat([passive, condition], dim=1)
        log_scale, shift = (self.gain * self.network(seen)).to(passive.dtype).chunk(2, dim=1)
        return self.clamp(log_scale), shift


def split(maps: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, ...) to its first C - C // 2 channels and the rest."""
    first = maps.shape[1] - maps.shape[1] // 2
    return maps[:, :first], maps[:, first:]


Levels = Sequence[Tensor]
"""Maps of several scales, (B, C, h_i, w_i) each; a flow on one scale has one."""


class DoubleCoupling(nn.Module):
    """Two-sided affine coupling on several scales at once: each half is stretched by what the other says.

    first, second: from one half of every scale to log-scales and shifts of the other half, (B, C, h_i, w_i)
    each, log-scales first. C is even. `first` reads the second half, `second` the stretched first one.
    """

    def __init__(self, first: nn.Module, second: nn.Module, clamp: Clamp) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.clamp = clamp

    def forward(self, levels: Levels) -> tuple[list[Tensor], list[Tensor]]:
        """Levels of the same shapes, and log |det J| at each position of each, (B, h_i, w_i)."""
        lower, upper = _halves(levels)
        lower, early = self._stretched(lower, self.first(upper))
        upper, late = self._stretched(upper, self.second(lower))
        return _joined(lower, upper), [a + b for a, b in zip(early, late, strict=True)]

    def inverse(self, levels: Levels) -> list[Tensor]:
        """The levels that `forward` makes these of."""
        lower, upper = _halves(levels)
        upper = self._shrunk(upper, self.second(lower))
        lower = self._shrunk(lower, self.first(upper))
        return _joined(lower, upper)

    def _stretched(self, halves: Levels, said: Levels) -> tuple[list[Tensor], list[Tensor]]:
        pairs = self._pairs(halves, said)
        moved = [h * scale.exp() + shift for h, (scale, shift) in zip(halves, pairs, strict=True)]
        return moved, [scale.sum(dim=1) for scale, _ in pairs]

    def _shrunk(self, halves: Levels, said: Levels) -> list[Tensor]:
        pairs = self._pairs(halves, said)
        return [(h - shift) * (-scale).exp() for h, (scale, shift) in zip(halves, pairs, strict=True)]

    def _pairs(self, halves: Levels, said: Levels) -> list[tuple[Tensor, Tensor]]:
        """Log-scale and shift of each scale, in the halves' own precision."""
        chunks = [s.to(h.dtype).chunk(2, dim=1) for h, s in zip(halves, said, strict=True)]
        return [(self.clamp(log_scale), shift) for log_scale, shift in chunks]


def _halves(levels: Levels) -> tuple[list[Tensor], list[Tensor]]:
    pairs = [level.chunk(2, dim=1) for level in levels]
    return [lower for lower, _ in pairs], [upper for _, upper in pairs]


def _joined(lower: Levels, upper: Levels) -> list[Tensor]:
    return [torch.cat(pair, dim=1) for pair in zip(lower, upper, strict=True)]


class Flow(Step):
    """Steps one after the other."""

    def __init__(self, steps: Iterable[Step]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log-determinants add up."""
        stretch = no_stretch(maps)
        for step in self.steps:
            maps, more = step(maps, condition)
            stretch = stretch + more
        return maps, stretch

    def inverse(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """The last step undone first."""
        for step in reversed(list(self.steps)):
            maps = step.inverse(maps, condition)  # type: ignore[operator]
        return maps


def log_likelihood(latent: Tensor, stretch: Tensor) -> Tensor:
    """log p of what a flow brought to `latent` (B, C, ...), under a standard normal: (B, ...), in nats."""
    channels = latent.shape[1]
    return stretch - 0.5 * (latent.square().sum(dim=1) + channels * math.log(2 * math.pi))


def full_precision(tensor: Tensor) -> torch.autocast:
    """Where nothing on the tensor's device is rounded to save time.

    A flow would learn the rounding as variation of good images, and sums of squares and logarithms over many
    channels would drown in it.
    """
    return torch.autocast(tensor.device.type, enabled=False)
