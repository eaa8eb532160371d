"""Centres, distances to them, and what is learned from and read off those distances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from leatherens.core.geometry import valid_positions
from leatherens.core.neighbours import nearest_indices


class SquaredDistances(torch.autograd.Function):
    """Of rows (M, C) to the centres chosen for each (M, k), from the differences: (M, k).

    Keeps no differences for the backward pass: they would be k times the rows, and take twice the time.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, centres: Tensor, chosen: Tensor) -> Tensor:
        """One centre of all rows at a time."""
        ctx.save_for_backward(rows, centres, chosen)
        columns = [(rows - centres[index]).square().sum(dim=1) for index in chosen.unbind(dim=1)]
        return torch.stack(columns, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Each centre pulls by twice the difference; centres never move."""
        rows, centres, chosen = ctx.saved_tensors
        (gradient,) = gradients
        pull = rows * gradient.sum(dim=1, keepdim=True)
        for weight, index in zip(gradient.unbind(dim=1), chosen.unbind(dim=1), strict=True):
            pull.addcmul_(weight[:, None], centres[index], value=-1)
        return 2 * pull, None, None


def nearest_centres(rows: Tensor, centres: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Of rows (M, C) the squared distances to the nearest centres (M, count), nearest first, and which."""
    chosen = nearest_indices(rows.detach(), centres, count)
    squared: Tensor = SquaredDistances.apply(rows, centres, chosen)
    ordered, order = squared.sort(dim=1, stable=True)
    return ordered, chosen.gather(1, order)


def coupled_loss(squared: Tensor, radius: Tensor, *, attracting: int, nu: float, alpha: float) -> Tensor:
    """Attraction into the spheres of the nearest centres, repulsion out of those of the next ones; scalar.

    squared: (M, K + J) squared distances, nearest first, of which the first K attract. Unlike the score, the
    loss squares, as in the authors' code.

    >>> near_and_far = torch.tensor([[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]])
    >>> [round(float(coupled_loss(near_and_far, torch.tensor(r), attracting=3, nu=1e-3, alpha=0.1)))
    ...  for r in (0.0, 2.0)]
    [1000, 1900]
    """
    square = radius.square()
    attraction = (squared[:, :attracting] - square).clamp_min(0).mean()
    repulsion = (square - squared[:, attracting:] - alpha).clamp_min(0).mean()
    return (attraction + repulsion) / nu


def softmin_score(distances: Tensor) -> Tensor:
    """Distances (M, K) to the nearest centres, nearest first, to scores (M,).

    The nearest one, weighed by how clearly it is the nearest: K centres equally far give 1/K of it.
    """
    return F.softmin(distances, dim=1)[:, 0] * distances[:, 0]


def mean_of_images(seen: Iterable[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor]:
    """Of maps (B, C, h, w) and valid pixels (B, H, W), batch by batch, the mean over all images (C, h, w).

    Also how many images count at each position (h, w); where none does, the mean is 0.
    """
    total, counts = torch.zeros(()), torch.zeros(())
    for maps, valid in seen:
        height, width = maps.shape[-2:]
        counted = maps.new_ones(len(maps), height, width)
        if valid is not None:
            counted *= valid_positions(valid, (height, width))
        total = total + (maps * counted[:, None]).sum(dim=0, dtype=torch.float64)
        counts = counts + counted.sum(dim=0)
    return (total / counts.clamp_min(1)).float(), counts
