"""A bank of rows seen on good images, thinned by a core set, and what distances to it say.

Roth et al. (PatchCore, CVPR 2022), sections 3.2 and 3.3: used on patch descriptors by the detector and
on fused maps by the head.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from leatherens.core.core_set import greedy_core_set, projected
from leatherens.core.neighbours import Neighbours, NeighbourSearch, reweighted
from leatherens.core.progress import Progress
from leatherens.core.randomness import derive


def thinned(rows: Tensor, count: int, *, projection: int, seed: int, progress: Progress, name: str) -> Tensor:
    """At most `count` of the rows (N, C), chosen greedily to cover the others.

    projection: dimensions they are chosen in; those kept are the original rows. `seed` decides which row
    comes first and how rows are projected; `name` is for the progress.
    """
    if count >= len(rows):
        return rows
    start = int(np.random.default_rng(seed).integers(len(rows)))
    matrix = torch.Generator().manual_seed(derive(seed, "projection"))
    with progress.step(f"{name}: core set", count) as advance:
        low = projected(rows, projection, matrix)
        return rows[greedy_core_set(low, count, start=start, advance=advance)]


class MemoryBank:
    """Searches rows (M, C); made anew wherever they are moved to."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self._search = NeighbourSearch(rows)

    def nearest(self, maps: Tensor, count: int) -> Neighbours:
        """The nearest rows of every position of maps (B, C, h, w), in order: (B * h * w, count).

        A bank of fewer rows gives as many as it has.
        """
        queries = maps.permute(0, 2, 3, 1).flatten(0, 2)  # (B, C, h, w) -> (B * h * w, C)
        return self._search.nearest(queries, min(count, len(self.rows)))

    def image_scores(
        self, patches: Tensor, maps: Tensor, positions: Tensor | None, *, reweight: int
    ) -> Tensor:
        """(B,): the largest position score, less where its nearest row stands alone among `reweight` rows.

        patches (B, h, w) are the scores of maps (B, C, h, w); `positions` (B, h, w) may count, all if `None`.
        """
        seen = patches if positions is None else patches.masked_fill(~positions, -math.inf)
        scores, worst = seen.flatten(1).max(dim=1)  # (B,) each
        support = min(reweight, len(self.rows))
        if support <= 1:
            return scores
        queries = maps.flatten(2)[torch.arange(len(maps), device=maps.device), :, worst]  # (B, C)
        return reweighted(scores, *self._support(queries, support))

    def _support(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Distances (B,) to each query's nearest row, and (B, count) to that row's neighbours."""
        found = self._search.nearest(queries)
        own = found.indices[:, 0]
        around = self._search.nearest(self.rows[own], count).indices  # (B, count)
        around = torch.where((around == own[:, None]).any(dim=1, keepdim=True), around, _first(around, own))
        return found.distances[:, 0], (queries[:, None] - self.rows[around]).norm(dim=2)


def _first(around: Tensor, own: Tensor) -> Tensor:
    """`around` with the row itself in front: where rows coincide, the search may name only its twins."""
    return torch.cat([own[:, None], around[:, :-1]], dim=1)
