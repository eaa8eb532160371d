"""Levelling the frame of an error map: along the edge of an image networks repeat even good leather badly.

The usual remedies throw away a strip of the map, or every blob of the mask that touches the edge, and with
them the defects that are there. Here the error is divided by how much larger that of held-out good images is
at the same distance from the edge: what these show all along it is taken off, a defect stands out.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from leatherens.core.geometry import Size


def edge_distance(size: Size) -> Tensor:
    """(H, W) int64: pixels between each pixel and the nearest edge.

    >>> edge_distance((3, 4)).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    down, across = (torch.minimum(torch.arange(side), torch.arange(side - 1, -1, -1)) for side in size)
    return torch.minimum(down[:, None], across)


def learn_frame(errors: Iterable[tuple[Tensor, Tensor | None]], width: int) -> Tensor:
    """(width,): by distance from the edge, the mean error over that of what lies further in, at least 1.

    errors: maps (B, H, W) of good images, not negative, and what of them is valid, (B, H, W) bool.
    """
    sums = torch.zeros(width + 1, dtype=torch.float64)
    counts = torch.zeros(width + 1, dtype=torch.float64)
    for maps, valid in errors:
        rows = edge_distance((maps.shape[-2], maps.shape[-1])).clamp_max(width).expand(maps.shape)
        counted = torch.ones(maps.shape) if valid is None else valid.cpu().float()
        sums.index_add_(0, rows.flatten(), (maps.cpu() * counted).double().flatten())
        counts.index_add_(0, rows.flatten(), counted.double().flatten())
    means = sums / counts.clamp_min(1)
    if not counts[width] or not means[width]:  # no inside to compare with
        return torch.ones(width)
    return (means[:width] / means[width]).clamp_min(1).float()


def levelled(errors: Tensor, frame: Tensor) -> Tensor:
    """(B, H, W), divided along the edge by what `learn_frame` learned."""
    if not len(frame):
        return errors
    inside = torch.cat([frame, frame.new_ones(1)])
    distance = edge_distance((errors.shape[-2], errors.shape[-1])).clamp_max(len(frame)).to(frame.device)
    return errors / inside[distance]
