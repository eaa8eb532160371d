"""Memory-bank head: how far a position is from the nearest fused feature ever seen on good images.

After PatchCore (Roth et al., CVPR 2022), on fused maps instead of patch descriptors. Distances are
Euclidean over all channels, so channels must be on a common scale: the fusion blocks whiten by default.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from typing_extensions import Self

from leatherens.core.detector import FitContext
from leatherens.core.errors import InputError
from leatherens.core.heads import GoodMaps, Head, HeadParams
from leatherens.core.memory_bank import BankParams, MemoryBank, gathered, positions_held, thinned
from leatherens.core.randomness import derive
from leatherens.core.rows import rows_of
from leatherens.core.search_index import require_usable


class MemoryBankHead(Head):
    """Keeps a core set of normal positions and measures the distance to it.

    With another index than `Flat`, `recall_` holds how well it finds the nearest rows of held-out good
    positions (`MemoryBank.recall`). The index itself is not stored: it is made from the bank on loading.
    """

    id = "memory-bank"
    updates = True

    class Params(BankParams, HeadParams):
        """The paper's values, with caps that keep a CPU in charge."""

        max_rows: PositiveInt | None = 2048
        """Cap on the bank's rows: ten times as many find no more (docs/results.md). `None`: no such cap."""
        max_positions: PositiveInt | None = 300_000
        """Most positions held to choose the core set from; `None` leaves it to `memory_mb`."""
        neighbours: Annotated[int, Field(ge=1)] = 1
        """A position's score is the mean distance to this many nearest rows."""
        reweight: Annotated[int, Field(ge=0)] = 0
        """Bank neighbours for the paper's weight of the image score (it takes 9); 0 or 1 leave it alone."""

    bank_: Tensor
    """(M, C) rows."""

    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        rows = self._gathered(maps, context)
        self._keep(rows, math.ceil(len(rows) * self.params.core_set), context)
        if not self.params.exact:
            positions = self._held_out(validation, rows)
            self.recall_ = self._bank.recall(
                positions, seed=context.seed, name=self.id, progress=context.progress
            )

    def _gathered(self, maps: Iterable[GoodMaps], context: FitContext, held: int = 0) -> Tensor:
        """(N, C): all positions that may teach, or as many as may be held beside so many of an older bank."""
        stream = iter(maps)
        first = next(stream, None)
        if first is None:
            raise InputError(self._nothing())
        channels = first[0].shape[1]
        require_usable(self.params, channels, owner=self.id)
        room = positions_held(self.params, channels, held=held)
        pieces = self.positions(chain([first], stream))
        rows = gathered(pieces, room, self.params, seed=context.seed, name=self.id, progress=context.progress)
        return rows.to(context.device)

    def _held_out(self, validation: Iterable[GoodMaps], rows: Tensor) -> Iterator[Tensor]:
        """Positions of other good images; those it learned from where there are none."""
        first = None
        for first in validation:
            self._check(first[0])
            yield rows_of(*first)
        if first is None:
            yield rows

    def _update(self, maps: Iterable[GoodMaps], context: FitContext) -> None:
        """The bank grows by the core set's share of the new positions up to its caps, and is thinned anew."""
        rows = self._gathered(maps, context, len(self.bank_))
        count = len(self.bank_) + math.ceil(len(rows) * self.params.core_set)
        self._keep(torch.cat([self.bank_.to(rows.device), rows]), count, context)

    def _keep(self, rows: Tensor, count: int, context: FitContext) -> None:
        """At most `count` of these rows are the bank."""
        self.bank_ = thinned(
            rows,
            count,
            self.params,
            seed=derive(context.seed, self.id, "core set"),
            progress=context.progress,
            name=self.id,
        )
        self._build()

    def _build(self) -> None:
        self._bank = MemoryBank(self.bank_, self.params, owner=self.id)

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
