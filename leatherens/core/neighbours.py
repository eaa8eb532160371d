"""The k nearest rows of a bank, by Euclidean distance (not squared).

FAISS searches where it is installed and the bank lies in main memory, torch otherwise. Both only
choose the neighbours; the distances are then taken from the differences themselves, because the
expansion a² + b² - 2ab they choose by loses half the digits: a row of the bank is at distance 0 of
itself, not 0.003, and the score does not tell which of the two searched. An index that does not compare
with every row (`search_index`) can miss a neighbour, so its distances are never too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.search_index import EXACT, SearchParams, faiss_gpus, faiss_installed, search_index

BLOCK = 1 << 20
"""Distances held at a time: 4 MB."""

LARGEST_WITHOUT_FAISS = 50_000
"""Rows of a bank in main memory beyond which torch's search is no longer reasonable."""

DRAWN = 4
"""Rows an index of shortened rows is asked for per neighbour: its order is a guess, distances decide."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Of each query its nearest rows, nearest first: distances (Q, k) Euclidean, indices (Q, k)."""

    distances: Tensor
    indices: Tensor


class NeighbourSearch:
    """Searches one bank (M, C) float32 on the bank's device; holds it, changes nothing."""

    def __init__(
        self,
        bank: Tensor,
        how: SearchParams = EXACT,
        *,
        faiss: bool | None = None,
        owner: str = "neighbour search",
    ) -> None:
        """`faiss`: whether FAISS searches; by default where it is installed and reaches the bank.

        A bank on a GPU is searched by torch, exactly, unless `how` is another index and FAISS has GPUs.
        owner: who searches, for the messages about an index that cannot be made.
        """
        self._bank = bank
        on_cpu = bank.device.type == "cpu"
        wanted = _by_faiss(how, on_cpu) if faiss is None else faiss
        if faiss is None and not wanted and on_cpu and len(bank) > LARGEST_WITHOUT_FAISS:
            raise ConfigError(
                f"a bank of {len(bank)} rows needs FAISS (at most {LARGEST_WITHOUT_FAISS} do without): "
                "pip install 'leatherens[cpu]' or set a smaller max_rows"
            )
        self._drawn = DRAWN if how.shortened else 1
        self._index = search_index(bank, how, owner=owner) if wanted else None

    def nearest(self, queries: Tensor, count: int = 1) -> Neighbours:
        """The `count` nearest rows of queries (Q, C)."""
        if not 1 <= count <= len(self._bank):
            raise InputError(f"{count} nearest neighbours asked of a bank of {len(self._bank)} rows")
        if self._index is None:
            indices = nearest_indices(queries, self._bank, count)
        else:
            drawn = min(count * self._drawn, len(self._bank))
            _, found = self._index.search(queries.detach().cpu().contiguous().numpy(), drawn)
            indices = self._completed(queries, torch.from_numpy(found).to(queries.device), count)
        return _measured(queries, self._bank, indices, count)

    def _completed(self, queries: Tensor, indices: Tensor, count: int) -> Tensor:
        """Where an index looked into too few rows (-1 stands for those it lacks), an exact search instead."""
        short = (indices[:, :count] < 0).any(dim=1)
        if bool(short.any()):
            indices[short] = -1
            indices[short, :count] = nearest_indices(queries[short], self._bank, count)
        return indices


def _by_faiss(how: SearchParams, on_cpu: bool) -> bool:
    if not on_cpu:
        return not how.exact and faiss_gpus() > 0
    return not how.exact or faiss_installed()  # without FAISS an inexact index is refused, in words


def nearest_once(queries: Tensor, bank: Tensor) -> Neighbours:
    """The nearest row of queries (Q, C) in a bank of any size, exactly, where one search is all it is for."""
    by_faiss = bank.device.type == "cpu" and faiss_installed()
    return NeighbourSearch(bank, faiss=by_faiss).nearest(queries)


def nearest_indices(queries: Tensor, bank: Tensor, count: int) -> Tensor:
    """(Q, count) indices of the nearest rows of a bank (M, C), in blocks of bounded memory."""
    if not len(queries):
        return torch.empty(0, count, dtype=torch.long, device=bank.device)
    columns, offsets = bank.T * -2, bank.square().sum(dim=1)
    found = []
    for rows in torch.split(queries, max(1, BLOCK // len(bank))):
        partial = torch.addmm(offsets, rows, columns)  # squared distance less the query's own norm
        found.append(partial.topk(count, dim=1, largest=False).indices)
    return torch.cat(found)


def _measured(queries: Tensor, bank: Tensor, indices: Tensor, count: int) -> Neighbours:
    """Of chosen rows (Q, k; -1 is none) the `count` nearest, by distances from the differences, sorted."""
    columns = [
        (queries - bank[index]).norm(dim=1).masked_fill(index < 0, torch.inf)
        for index in indices.unbind(dim=1)
    ]
    distances, order = torch.stack(columns, dim=1).sort(dim=1, stable=True)
    return Neighbours(distances[:, :count], indices.gather(1, order)[:, :count])


def reweighted(scores: Tensor, nearest: Tensor, support: Tensor) -> Tensor:
    """Image scores (B,) lowered where the nearest row stands alone in the bank (Roth et al., 2022, eq. 7).

    nearest: (B,) distance of the image's most anomalous position to its nearest row of the bank.
    support: (B, b) its distances to that row's b nearest neighbours in the bank, the row itself among
    them. The weight is 1 - exp(nearest) / sum(exp(support)); a single neighbour leaves the scores alone.
    """
    if support.shape[1] == 1:
        return scores
    return scores * (1 - (nearest - support.logsumexp(dim=1)).exp())
