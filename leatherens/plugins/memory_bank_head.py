"""Memory-bank head: how far a position is from the nearest fused feature ever seen on good images.

After PatchCore (Roth et al., CVPR 2022), on fused maps instead of patch descriptors. Distances are
Euclidean over all channels, so channels must be on a common scale: the fusion blocks whiten by default.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Self

from leatherens.core.core_set import greedy_core_set, projected
from leatherens.core.detector import FitContext
from leatherens.core.geometry import image_maximum
from leatherens.core.heads import GoodMaps, Head, HeadParams
from leatherens.core.neighbours import NeighbourSearch, reweighted
from leatherens.core.randomness import numpy_generator, torch_generator
from leatherens.core.rows import RowReservoir


class MemoryBankHead(Head):
    """Keeps a core set of normal positions and measures the distance to it."""

    id = "memory-bank"

    class Params(HeadParams):
        """The paper's values, with caps that keep a CPU in charge."""

        core_set: Annotated[float, Field(gt=0, le=1)] = 0.1
        """Share of the positions kept, chosen greedily to cover the others (the paper: 0.1 or 0.01)."""
        max_rows: Annotated[int, Field(ge=1)] = 10_000
        """Cap on the bank: time per image grows with it, quality hardly."""
        max_positions: Annotated[int, Field(ge=1)] = 300_000
        """Positions the core set is chosen from, drawn evenly from all good images; bounds the memory."""
        projection: Annotated[int, Field(ge=1)] = 64
        """Dimensions the core set is chosen in; the bank keeps the original rows."""
        neighbours: Annotated[int, Field(ge=1)] = 1
        """A position's score is the mean distance to this many nearest rows."""
        reweight: Annotated[int, Field(ge=0)] = 0
        """Bank neighbours for the paper's weight of the image score (it takes 9); 0 or 1 leave it alone."""

    bank_: Tensor
    """(M, C) rows."""

    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        sample = numpy_generator(context.seed, self.id, "positions")
        rows = self.gather(maps, RowReservoir(self.params.max_positions, sample)).to(context.device)
        count = min(math.ceil(len(rows) * self.params.core_set), self.params.max_rows)
        if count < len(rows):
            matrix = torch_generator(context.seed, self.id, "projection")
            start = int(sample.integers(len(rows)))
            rows = rows[greedy_core_set(projected(rows, self.params.projection, matrix), count, start=start)]
        self.bank_ = rows
        self._build()

    def _build(self) -> None:
        self._search = NeighbourSearch(self.bank_)

    def to(self, device: torch.device | str) -> Self:
        """Move the bank; the index is made anew where it now lies."""
        moved = super().to(device)
        moved._build()
        return moved

    def _score(self, maps: Tensor) -> Tensor:
        batch, channels, height, width = maps.shape
        rows = maps.permute(0, 2, 3, 1).reshape(-1, channels)  # (B, C, h, w) -> (B*h*w, C)
        found = self._search.nearest(rows, min(self.params.neighbours, len(self.bank_)))
        return found.distances.mean(dim=1).view(batch, height, width)

    def _image_score(self, patches: Tensor, maps: Tensor, positions: Tensor | None) -> Tensor:
        support = min(self.params.reweight, len(self.bank_))
        if support <= 1:
            return image_maximum(patches, positions)
        seen = patches if positions is None else patches.masked_fill(~positions, -math.inf)
        score, worst = seen.flatten(1).max(dim=1)  # (B,) each
        rows = maps.flatten(2)[torch.arange(len(maps), device=maps.device), :, worst]  # (B, C)
        return reweighted(score, *self._support(rows, support))

    def _support(self, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Distances (B,) to each row's nearest bank row, and (B, count) to that bank row's neighbours."""
        found = self._search.nearest(rows)
        own = found.indices[:, 0]
        around = self._search.nearest(self.bank_[own], count).indices  # (B, count)
        around = torch.where((around == own[:, None]).any(dim=1, keepdim=True), around, _first(around, own))
        return found.distances[:, 0], (rows[:, None] - self.bank_[around]).norm(dim=2)


def _first(around: Tensor, own: Tensor) -> Tensor:
    """`around` with the bank row itself in front: where rows coincide, the search may name only its twins."""
    return torch.cat([own[:, None], around[:, :-1]], dim=1)
