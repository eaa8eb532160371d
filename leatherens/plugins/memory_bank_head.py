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

from leatherens.core.detector import FitContext
from leatherens.core.heads import GoodMaps, Head, HeadParams
from leatherens.core.memory_bank import MemoryBank, thinned
from leatherens.core.randomness import derive, numpy_generator
from leatherens.core.rows import RowReservoir


class MemoryBankHead(Head):
    """Keeps a core set of normal positions and measures the distance to it."""

    id = "memory-bank"
    updates = True

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
        self.bank_ = thinned(
            rows,
            min(math.ceil(len(rows) * self.params.core_set), self.params.max_rows),
            projection=self.params.projection,
            seed=derive(context.seed, self.id, "core set"),
            progress=context.progress,
            name=self.id,
        )
        self._build()

    def _update(self, maps: Iterable[GoodMaps], context: FitContext) -> None:
        """The bank grows by the core set's share of the new positions up to its cap, and is thinned anew."""
        sample = numpy_generator(context.seed, self.id, "positions")
        rows = self.gather(maps, RowReservoir(self.params.max_positions, sample)).to(context.device)
        wanted = len(self.bank_) + math.ceil(len(rows) * self.params.core_set)
        self.bank_ = thinned(
            torch.cat([self.bank_.to(rows.device), rows]),
            min(wanted, max(self.params.max_rows, len(self.bank_))),
            projection=self.params.projection,
            seed=derive(context.seed, self.id, "core set"),
            progress=context.progress,
            name=self.id,
        )
        self._build()

    def _build(self) -> None:
        self._bank = MemoryBank(self.bank_)

    def to(self, device: torch.device | str) -> Self:
        """Move the bank; the index is made anew where it now lies."""
        moved = super().to(device)
        moved._build()
        return moved

    def _score(self, maps: Tensor) -> Tensor:
        batch, _, height, width = maps.shape
        distances = self._bank.nearest(maps, self.params.neighbours).distances
        return distances.mean(dim=1).view(batch, height, width)

    def _image_score(self, patches: Tensor, maps: Tensor, positions: Tensor | None) -> Tensor:
        return self._bank.image_scores(patches, maps, positions, reweight=self.params.reweight)
