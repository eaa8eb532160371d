"""A bank of rows seen on good images, thinned by a core set, and what distances to it say.

Roth et al. (PatchCore, CVPR 2022), sections 3.2 and 3.3: used on patch descriptors by the detector and
on fused maps by the head.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from leatherens.core.component import JsonValue
from leatherens.core.core_set import projected
from leatherens.core.core_set_methods import CoreSetMethod, chosen_rows
from leatherens.core.errors import InputError
from leatherens.core.neighbours import Neighbours, NeighbourSearch, reweighted
from leatherens.core.progress import Advance, Progress
from leatherens.core.randomness import derive, numpy_generator
from leatherens.core.rows import MergedRows, RowReservoir, RowSample
from leatherens.core.search_index import EXACT, SearchParams, advised_rows

OVERSAMPLED = 2
"""Rows kept of a full table when merging, for each row the bank may have: the last choice needs choice."""

BESIDE = 10
"""Numbers of 4 bytes kept for each position beside it: the reservoir's key and place, distances and norms."""

RECALL_QUERIES = 2000
"""Held-out good positions that an inexact index is measured on."""


class BankParams(SearchParams):
    """How a bank is chosen, how large it may be, and how it is searched."""

    core_set: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of all good positions that the bank keeps (PatchCore's paper: 0.25, 0.1 and 0.01)."""
    core_set_method: CoreSetMethod = "greedy"
    """How its rows are chosen: `greedy` covers best; `batched`, `k-means` and `random` are cheaper."""
    projection: PositiveInt = 128
    """Dimensions that rows of more than twice as many channels are chosen in; the bank keeps whole rows."""
    max_rows: PositiveInt | None = None
    """Cap on the bank's rows; `None` leaves it to `core_set` and `megabytes`."""
    megabytes: PositiveInt = 1024
    """Cap on the bank's rows in memory (binary megabytes)."""
    memory_mb: PositiveInt = 1024
    """Most that the positions held to choose the bank from may take, beside the bank (binary megabytes)."""
    max_positions: PositiveInt | None = None
    """Most positions held to choose the bank from; `None` leaves it to `memory_mb`."""
    sampling: Literal["uniform", "merged"] = "uniform"
    """What becomes of more positions than are held: a uniform sample of them, or core sets of pieces of the
    stream, merged as they come, which keep what is rare and take longer."""


def positions_held(params: BankParams, channels: int, *, held: int = 0) -> int:
    """Positions of so many channels that `memory_mb` and `max_positions` allow to choose a bank from.

    Counted is what is made of each: the row, its projection if one decides, the numbers that choosing needs.
    held: rows of an older bank that new ones join; all are then in memory twice.

    >>> positions_held(BankParams(memory_mb=1), 118)
    2048
    """
    projection = params.projection if channels > 2 * params.projection else 0
    fitting = params.memory_mb * 2**20 // (4 * (channels + projection + BESIDE))
    room = (fitting - held) // 2 if held else fitting
    return max(1, min(room, params.max_positions or room))


def sample_of(params: BankParams, limit: int, *, seed: int, name: str) -> RowSample:
    """What gathers at most `limit` of a stream of positions, to choose a bank from."""
    if params.sampling == "uniform":
        return RowReservoir(limit, numpy_generator(seed, name, "positions"))
    bank = min(math.ceil(limit * params.core_set), params.max_rows or limit)
    kept = max(1, min(OVERSAMPLED * bank, limit // 2))
    merging = derive(seed, name, "merging")
    return MergedRows(limit, kept, lambda rows, count: _chosen(rows, count, params, merging))


def gathered(
    pieces: Iterable[Tensor], room: int, params: BankParams, *, seed: int, name: str, progress: Progress
) -> Tensor:
    """(N, C): all positions of these pieces (M, C), or as many as there is `room` for, which is then said."""
    sample = sample_of(params, room, seed=seed, name=name)
    for rows in pieces:
        sample.add(rows)
    kept = sample.rows()
    if sample.seen > room:
        by = "max_positions" if room == params.max_positions else "memory_mb"
        found = f"{len(kept)} of {sample.seen} good positions"
        progress.say(f"{name}: chose from {found} ({by} {getattr(params, by)})")
    return kept


def thinned(
    rows: Tensor, count: int, params: BankParams, *, seed: int, progress: Progress, name: str
) -> Tensor:
    """At most `count` of the rows (N, C), and no more than the caps allow, chosen to cover the others.

    `seed` decides which row comes first and how rows are projected; `name` is for the progress. Those kept
    are the original rows. What a cap drops is said.
    """
    if not bool(rows.sum(dim=1).isfinite().all()):
        raise InputError(f"{name}: the good positions hold NaN or infinite values")
    allowed, cap = _capped(count, rows.shape[1], params)
    if allowed < count:
        progress.say(f"{name}: the bank keeps {allowed} rows, not the {count} of core_set, because of {cap}")
    if allowed >= len(rows):
        return rows.clone()  # they may be the beginning of a table with room for more
    with progress.step(f"{name}: core set", allowed) as advance:
        return rows[_chosen(rows, allowed, params, seed, advance)]


def _capped(count: int, channels: int, params: BankParams) -> tuple[int, str]:
    """The smallest of the limits on a bank's rows, and what sets it."""
    fitting = max(1, params.megabytes * 2**20 // (4 * channels))
    limits = [(count, "core_set"), (fitting, f"megabytes {params.megabytes}")]
    if params.max_rows is not None:
        limits.append((params.max_rows, f"max_rows {params.max_rows}"))
    return min(limits, key=lambda limit: limit[0])


def _chosen(
    rows: Tensor, count: int, params: BankParams, seed: int, advance: Advance = lambda taken: None
) -> Tensor:
    """Indices (M,), chosen in fewer dimensions where distances matter to the choice."""
    matrix = torch.Generator().manual_seed(derive(seed, "projection"))
    low = rows if params.core_set_method == "random" else projected(rows, params.projection, matrix)
    return chosen_rows(
        low, count, np.random.default_rng(seed), method=params.core_set_method, advance=advance
    )


class MemoryBank:
    """Searches rows (M, C); made anew wherever they are moved to, and its index with it."""

    def __init__(self, rows: Tensor, how: SearchParams = EXACT, *, owner: str = "memory bank") -> None:
        self.rows = rows
        self.how = how
        self._search = NeighbourSearch(rows, how, owner=owner)

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

    def recall(
        self, positions: Iterable[Tensor], *, seed: int, name: str, progress: Progress
    ) -> dict[str, JsonValue]:
        """How well the index finds the nearest rows of good positions, pieces (M, C), that taught it nothing.

        Measured on a sample of them. recall: share whose nearest row is found. excess: by how much the
        distances are too large, all of them together, as a share of the true ones. Both are said.
        """
        sample = RowReservoir(RECALL_QUERIES, numpy_generator(seed, name, "recall"))
        for rows in positions:
            sample.add(rows.to(self.rows.device))
        queries = sample.rows()
        true = NeighbourSearch(self.rows).nearest(queries).distances.double()
        found = self._search.nearest(queries).distances.double()
        recall = float((found <= true * (1 + 1e-6)).double().mean())
        excess = float((found - true).sum().clamp_min(0) / true.sum().clamp_min(1e-12))
        advised = advised_rows(self.how)
        if len(self.rows) < advised:
            progress.say(
                f"{name}: index {self.how.index} is trained on {len(self.rows)} rows, FAISS advises {advised}"
            )
        progress.say(
            f"{name}: index {self.how.index} finds the nearest row of {recall:.1%} of {len(queries)} good "
            f"positions; their distances are {excess:.2%} too large"
        )
        return {"index": self.how.index, "queries": len(queries), "recall": recall, "excess": excess}

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
