"""Made-up feature maps, for what comes behind the members: no image is read and no backbone asked."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import FitContext
from leatherens.core.geometry import smooth
from leatherens.core.global_state import changed, global_state
from leatherens.core.randomness import torch_generator
from leatherens.core.weights import WeightFinder
from leatherens.testing.bench import Bench
from leatherens.testing.stand_ins import lent_globals

SIZE = (64, 96)
"""Of the images that the maps are of."""
GRID = (8, 12)
CHANNELS = 6


def good_maps(count: int, seed: int = 0, *, channels: int = CHANNELS, grid: tuple[int, int] = GRID) -> Tensor:
    """(count, channels, h, w) float32: correlated channels, and smooth as features of images are."""
    generator = torch_generator(seed, "fused maps", channels, *grid)
    noise = torch.randn(count * channels, *grid, generator=generator)
    maps = smooth(noise, 1.0).view(count, channels, *grid) * 3
    maps[:, -1] = 0.8 * maps[:, 0] + 0.2 * maps[:, -1]
    return maps + torch.linspace(0, 4, channels).view(1, -1, 1, 1)


def left_half(count: int) -> Tensor:
    """(count, H, W) bool: valid in the left half of the image."""
    valid = torch.zeros(count, *SIZE, dtype=torch.bool)
    valid[..., : SIZE[1] // 2] = True
    return valid


def context(seed: int = 0) -> FitContext:
    """What a fit may use; there are no weights to ask for."""
    return FitContext(BackbonePool(WeightFinder()), seed=seed)


def expect_globals_untouched(trial: Bench, use: Callable[[], object]) -> None:
    """Fail if a use moves a global generator or setting."""
    with lent_globals(1):
        before = global_state()
        use()
        moved = changed(before, global_state())
    trial.expect(not moved, f"fit or score moves {', '.join(moved)}; use leatherens.core.randomness")


def differ(one: Tensor, other: Tensor, *, rel: float = 1e-3) -> bool:
    """Whether two results are not the same up to rounding, or not of one shape."""
    if one.shape != other.shape:
        return True
    return float((one - other).abs().max()) > max(rel * float(one.max() - one.min()), 1e-5)
