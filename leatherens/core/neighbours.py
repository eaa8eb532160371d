"""The k nearest rows of a bank, by Euclidean distance (not squared), exactly.

FAISS searches where it is installed and the bank lies in main memory, torch otherwise. Both only
choose the neighbours; the distances are then taken from the differences themselves, because the
expansion a² + b² - 2ab they choose by loses half the digits: a row of the bank is at distance 0 of
itself, not 0.003, and the score does not tell which of the two searched.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leatherens.core.errors import ConfigError, InputError

BLOCK = 1 << 20
"""Distances held at a time: 4 MB."""

LARGEST_WITHOUT_FAISS = 50_000
"""Rows of a bank in main memory beyond which torch's search is no longer reasonable."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Of each query its nearest rows, nearest first: distances (Q, k) Euclidean, indices (Q, k)."""

    distances: Tensor
    indices: Tensor


class NeighbourSearch:
    """Searches one bank (M, C) float32 on the bank's device; holds it, changes nothing."""

    def __init__(self, bank: Tensor, *, faiss: bool | None = None) -> None:
        """`faiss`: whether FAISS searches; by default if it is installed and the bank is in main memory."""
        self._bank = bank
        wanted = bank.device.type == "cpu" and faiss_installed() if faiss is None else faiss
        if not wanted and bank.device.type == "cpu" and len(bank) > LARGEST_WITHOUT_FAISS:
            raise ConfigError(
                f"a bank of {len(bank)} rows needs FAISS (at most {LARGEST_WITHOUT_FAISS} do without): "
                "pip install 'leatherens[cpu]' or set a smaller max_rows"
            )
        self._index = _faiss_index(bank) if wanted else None

    def nearest(self, queries: Tensor, count: int = 1) -> Neighbours:
        """The `count` nearest rows of queries (Q, C)."""
        if not 1 <= count <= len(self._bank):
            raise InputError(f"{count} nearest neighbours asked of a bank of {len(self._bank)} rows")
        if self._index is None:
            indices = nearest_indices(queries, self._bank, count)
        else:
            _, found = self._index.search(queries.detach().contiguous().numpy(), count)
            indices = torch.from_numpy(found)
        return _measured(queries, self._bank, indices)


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


def _measured(queries: Tensor, bank: Tensor, indices: Tensor) -> Neighbours:
    """The distances to chosen rows, from the differences, sorted."""
    columns = [(queries - bank[index]).norm(dim=1) for index in indices.unbind(dim=1)]
    distances, order = torch.stack(columns, dim=1).sort(dim=1, stable=True)
    return Neighbours(distances, indices.gather(1, order))


def faiss_installed() -> bool:
    """Whether FAISS can be imported."""
    return importlib.util.find_spec("faiss") is not None


def _faiss_index(bank: Tensor) -> Any:
    import faiss  # after torch: each brings an OpenMP runtime, and torch's must be there first

    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(bank.detach().contiguous().numpy())
    return index


def reweighted(scores: Tensor, nearest: Tensor, support: Tensor) -> Tensor:
    """Image scores (B,) lowered where the nearest row stands alone in the bank (Roth et al., 2022, eq. 7).

    nearest: (B,) distance of the image's most anomalous position to its nearest row of the bank.
    support: (B, b) its distances to that row's b nearest neighbours in the bank, the row itself among
    them. The weight is 1 - exp(nearest) / sum(exp(support)); a single neighbour leaves the scores alone.
    """
    if support.shape[1] == 1:
        return scores
    return scores * (1 - (nearest - support.logsumexp(dim=1)).exp())
