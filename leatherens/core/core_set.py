"""Core-set selection: few rows such that every row has one of them nearby (greedy k-centre).

Gonzalez (1985): take the row farthest from all taken so far, again and again. The covering radius is
at most twice the best possible. Used for memory banks by Roth et al. (PatchCore, CVPR 2022). Cheaper ways
to choose rows, and the one contract they share, are in `core_set_methods`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leatherens.core.neighbours import nearest_once
from leatherens.core.progress import Advance

CANDIDATES = 2048
"""Rows the greedy step looks at between two passes over all rows; they fit into a CPU's cache."""

BLOCK = 1 << 20
"""Distances held at a time, 4 MB, so that a pass stays in cache instead of streaming through memory."""

ROWS_A_PIECE = 1 << 14
"""Rows that are copied at a time: all of them would double the memory."""

COVERED = 1e-6
"""Share of the largest squared norm below which a squared distance is rounding: the row is covered."""


def greedy_core_set(
    points: Tensor,
    count: int,
    *,
    start: int = 0,
    slack: float = 1.0,
    advance: Advance = lambda taken: None,
) -> Tensor:
    """Indices (M,) of at most `count` rows of points (N, d) in the order they are taken, from row `start`.

    `advance` is told how many more were taken. slack: a row may be taken when it is at least this share as
    far as the farthest of all; below 1 fewer passes over all rows are needed, and the covering radius is at
    most 2 / slack times the best possible.

    The exact greedy order, lazily: only the `CANDIDATES` farthest rows are followed step by step. Distances
    to what is taken only shrink, so a candidate farther than every row outside was before is the farthest of
    all. When none is, all rows are brought up to date by one matrix product, and new candidates are drawn.

    Ends early when every row coincides with a taken one: duplicates cover nothing new.

    >>> greedy_core_set(torch.tensor([[0.0], [1.0], [2.0], [10.0]]), 3).tolist()
    [0, 3, 2]
    """
    centre = points.mean(dim=0)  # taken off: smaller norms, fewer digits lost in a² + b² - 2ab
    norms = torch.cat([(rows - centre).square().sum(dim=1) for rows in torch.split(points, ROWS_A_PIECE)])
    covered = float(norms.max()) * COVERED
    taken = torch.tensor([start], device=points.device)
    nearest = torch.full_like(norms, torch.inf)  # squared distance of each row to the taken ones
    pending = taken
    advance(1)
    while len(taken) < count:
        _bring_up_to_date(nearest, points, centre, norms, pending)
        pending = _next_picks(points, centre, nearest, count - len(taken), covered, slack)
        if not len(pending):
            break
        taken = torch.cat([taken, pending])
        advance(len(pending))
    return taken


def _bring_up_to_date(nearest: Tensor, points: Tensor, centre: Tensor, norms: Tensor, picks: Tensor) -> None:
    """Lower `nearest` (N,) to the squared distance to any of `picks`, in place."""
    height = min(ROWS_A_PIECE, max(1, BLOCK // len(picks)))
    columns, offsets = (points[picks] - centre).T * -2, norms[picks]
    for start in range(0, len(points), height):
        rows = slice(start, start + height)
        squared = torch.addmm(offsets, points[rows] - centre, columns).amin(dim=1) + norms[rows]
        torch.minimum(nearest[rows], squared, out=nearest[rows])
    nearest[picks] = 0.0


def _next_picks(
    points: Tensor, centre: Tensor, nearest: Tensor, wanted: int, covered: float, slack: float
) -> Tensor:
    """The next rows of the greedy order, as many as can be told from the farthest candidates alone."""
    farthest = nearest.topk(min(CANDIDATES + 1, len(nearest)))
    outside = float(farthest.values[-1]) if len(nearest) > CANDIDATES else 0.0
    enough = outside * slack**2  # squared distances
    rows = farthest.indices[:CANDIDATES]
    between = _squared_distances(points[rows] - centre).cpu().numpy()
    left = farthest.values[:CANDIDATES].cpu().numpy().copy()
    picks: list[int] = []
    while len(picks) < wanted:
        best = int(left.argmax())
        if left[best] <= covered or (picks and left[best] < enough):
            break
        picks.append(best)
        np.minimum(left, between[best], out=left)  # numpy: thousands of tiny steps, threads would only wait
    return rows[torch.tensor(picks, dtype=torch.long, device=rows.device)]


def _squared_distances(rows: Tensor) -> Tensor:
    """(M, d) to (M, M), zero on the diagonal."""
    norms = rows.square().sum(dim=1)
    squared = torch.addmm(norms, rows, rows.T, alpha=-2).add_(norms[:, None]).clamp_min_(0)
    return squared.fill_diagonal_(0)


def projected(points: Tensor, dimensions: int, generator: torch.Generator) -> Tensor:
    """(N, C) to (N, dimensions) by a Gaussian matrix, which nearly keeps distances (Johnson, Lindenstrauss).

    The same rows when they have no more than twice as many channels: that saves little time and the covering
    radius grows by a tenth (`benchmarks/core_sets.py`).
    """
    channels = points.shape[1]
    if channels <= 2 * dimensions:
        return points
    matrix = torch.randn(channels, dimensions, generator=generator) / dimensions**0.5
    reduced: Tensor = points @ matrix.to(points)
    return reduced


def covering_radius(points: Tensor, chosen: Tensor) -> float:
    """The largest distance of any row of points (N, C) to the nearest of those `chosen` (M,) from them.

    Exact, from differences; `projected` rows give the radius in the space a core set is chosen in.

    >>> covering_radius(torch.tensor([[0.0], [1.0], [2.0], [10.0]]), torch.tensor([0, 3]))
    2.0
    """
    return float(nearest_once(points, points[chosen]).distances.max())
