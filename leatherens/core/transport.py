"""Entropic optimal transport between two clouds of points: the Sinkhorn divergence.

Feydy et al., AISTATS 2019: transport blurred at a small scale, less what the blur alone costs each cloud, so
that a cloud is at divergence 0 of itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinkhorn_divergence(
    first: Tensor, second: Tensor, *, blur: float = 0.05, scaling: float = 0.95
) -> Tensor:
    """Between points (N, D) and (M, D) of equal weight; a scalar, cost |x - y|² / 2.

    blur: length below which points are not told apart. scaling: how fast the blur shrinks, from the clouds'
    extent down to `blur`, a step of the iteration each; nearer 1 is slower and more exact (0.95: to a few
    hundredths, 0.999: to a thousandth).
    """
    with torch.autocast(first.device.type, enabled=False):  # a cost is a small difference of large numbers
        both = torch.cat([first, second]).float()
        both = both - both.mean(dim=0)
        x, y = both[: len(first)], both[len(first) :]
        blurs = _shrinking(_extent(both.detach()), blur, scaling)
        between, own_x, own_y = (_blurred_cost(_cost(a, b), blurs) for a, b in ((x, y), (x, x), (y, y)))
        return between - (own_x + own_y) / 2


def _extent(points: Tensor) -> float:
    """Of the box around points (N, D), from corner to corner."""
    return float((points.amax(dim=0) - points.amin(dim=0)).norm())


def _cost(first: Tensor, second: Tensor) -> Tensor:
    """(N, M), without a table of N * M * D differences."""
    squares = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)
    return (squares / 2 - first @ second.T).clamp_min(0)


def _shrinking(extent: float, blur: float, scaling: float) -> list[float]:
    """Falling geometrically from the extent to the blur."""
    steps = max(0, math.ceil(math.log(max(extent, blur) / blur) / -math.log(scaling)))
    return [extent * scaling**i for i in range(steps)] + [blur]


def _blurred_cost(cost: Tensor, blurs: list[float]) -> Tensor:
    """The dual value after symmetric Sinkhorn steps (averaged, as both clouds may be one).

    Only the last step is differentiated: where the iteration stands still, its slope is the transport plan,
    which is that of the value.
    """
    f, g = cost.new_zeros(cost.shape[0]), cost.new_zeros(cost.shape[1])
    with torch.no_grad():
        for blur in blurs:
            f, g = _step(cost, f, g, blur**2)
    f, g = _step(cost, f, g, blurs[-1] ** 2)
    return f.mean() + g.mean()


def _step(cost: Tensor, f: Tensor, g: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Both potentials half way to what the other asks of them."""
    asked_f = _soft_least(cost - g, temperature, 1)
    asked_g = _soft_least(cost - f[:, None], temperature, 0)
    return (f + asked_f) / 2, (g + asked_g) / 2


def _soft_least(cost: Tensor, temperature: float, dim: int) -> Tensor:
    """The smoothed minimum over an axis whose entries weigh the same."""
    return -temperature * ((-cost / temperature).logsumexp(dim=dim) - math.log(cost.shape[dim]))
