"""Noise put into images, and taken out again towards a target.

Ho et al., NeurIPS 2020, for the noise; Song et al., ICLR 2021, for skipping steps; DDAD, section 3.2, for the
target. Images are in -1..1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""Noisy images (B, 3, H, W) and times (B,) to the noise in them."""

FIRST, LAST = 1e-4, 0.02
"""Variances that the first and the last step add; those between lie on a line."""


@lru_cache
def kept_shares(steps: int) -> Tensor:
    """(steps + 1,) float64: how much of an image's variance is left after so many steps; 1 after none.

    >>> round(float(kept_shares(1000)[251]), 6)
    0.521423
    """
    with torch.inference_mode(False):
        betas = torch.linspace(FIRST, LAST, steps, dtype=torch.float64)
        return torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(dim=0)])


def noised(images: Tensor, noise: Tensor, times: Tensor, steps: int) -> Tensor:
    """Images after the steps 0 to `times` (B,), that one included."""
    kept = kept_shares(steps).to(times.device)[times + 1].float()[:, None, None, None]
    return kept.sqrt() * images + (1 - kept).sqrt() * noise


@dataclass(frozen=True, slots=True)
class Reverse:
    """How images are denoised.

    steps: of the whole diffusion. start: up to which of them noise is put in. skip: from one call of the
    network to the next. eta: how much of the noise is drawn anew at each call; 0 draws none. weight: how
    strongly the target pulls; at 0 it does not. exact: the network is told of the noise that there is;
    in the authors' code it is told of `skip` steps fewer at first, which few long steps make a lie.
    """

    steps: int = 1000
    start: int = 250
    skip: int = 25
    eta: float = 1.0
    weight: float = 0.0
    exact: bool = False

    @property
    def times(self) -> list[int]:
        """What the network is told, call by call.

        >>> Reverse().times
        [225, 200, 175, 150, 125, 100, 75, 50, 25, 0]
        >>> Reverse(start=200, skip=80, exact=True).times
        [200, 120, 40]
        """
        if self.exact:
            return list(range(self.start, 0, -self.skip))
        return list(range(0, self.start, self.skip))[::-1]

    def shares(self, time: int, before: int) -> tuple[float, float]:
        """How much noise drawn anew, and of the noise found, is in the image of the time before."""
        table = kept_shares(self.steps)
        kept, less_noisy = float(table[time + 1]), float(table[before + 1])
        anew = self.eta * math.sqrt((1 - kept / less_noisy) * (1 - less_noisy) / (1 - kept))
        return anew, math.sqrt(max(0.0, 1 - less_noisy - anew**2))


def reconstructed(
    denoiser: Denoiser, images: Tensor, targets: Tensor, reverse: Reverse, draw: Callable[[], Tensor]
) -> Tensor:
    """Images (B, 3, H, W), noised and denoised towards the targets; neither clipped nor bounded.

    draw: the next noise, of their shape or of one that stretches to it.
    """
    table = kept_shares(reverse.steps)
    kept = float(table[reverse.start + 1])
    x = math.sqrt(kept) * images + math.sqrt(1 - kept) * draw().to(images.device)
    for time, before in zip(reverse.times, [*reverse.times[1:], -1], strict=True):
        kept, less_noisy = float(table[time + 1]), float(table[before + 1])
        root, noisy = math.sqrt(kept), math.sqrt(1 - kept)
        found = denoiser(x, torch.full((len(x),), time, device=x.device)).float()
        target = root * targets + noisy * found
        pulled = found - reverse.weight * noisy * (target - x)
        clean = (x - noisy * pulled) / root
        anew, again = reverse.shares(time, before)
        x = math.sqrt(less_noisy) * clean + again * pulled
        if anew:
            x = x + anew * draw().to(images.device)
    return x


def denoised(
    denoiser: Denoiser, images: Tensor, targets: Tensor, reverse: Reverse, draw: Callable[[], Tensor]
) -> Tensor:
    """`reconstructed` for images and targets in 0..1; what comes out may lie a little beyond."""
    return reconstructed(denoiser, 2 * images - 1, 2 * targets - 1, reverse, draw) / 2 + 0.5


def by_image(network: Denoiser, steps: int) -> Denoiser:
    """A denoiser of a network that says which image, instead of which noise, is in what it sees.

    The one follows from the other. Noise has no structure, and cannot pass through fewer channels than it has
    values; an image can (Salimans and Ho, ICLR 2022, compare what to predict).
    """

    def noise(x: Tensor, times: Tensor) -> Tensor:
        kept = kept_shares(steps).to(times.device)[times + 1].float()[:, None, None, None]
        return (x - kept.sqrt() * network(x, times).float()) / (1 - kept).sqrt()

    return noise


def noises(shape: Sequence[int], generator: torch.Generator) -> Callable[[], Tensor]:
    """One draw after the other."""
    return lambda: torch.randn(shape, generator=generator)
