"""Heads that each break one promise, named for their sin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from leatherens.core.detector import FitContext
from leatherens.core.heads import GoodMaps, Head, SpoiltMaps
from leatherens.core.types import ScoreMap


class FarFromTheMean(Head):
    """Keeps the contract: squared deviations from the mean good position."""

    id = "far-from-the-mean"
    mean_: Tensor
    deviation_: Tensor

    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        rows = torch.cat(list(self.positions(maps)))
        self.mean_, self.deviation_ = rows.mean(dim=0), rows.std(dim=0)

    def _score(self, maps: Tensor) -> Tensor:
        away = (maps - self.mean_.view(1, -1, 1, 1)) / self.deviation_.view(1, -1, 1, 1)
        return away.square().mean(dim=1)


class OneScorePerImage(FarFromTheMean):
    def score(self, maps: Tensor, size: Any, valid: Any = None) -> ScoreMap:
        seen = super().score(maps, size, valid)
        return ScoreMap(seen.pixels.mean(dim=0), seen.image)


class SignReversed(FarFromTheMean):
    def _score(self, maps: Tensor) -> Tensor:
        return -super()._score(maps)


class MapMirrored(FarFromTheMean):
    def _score(self, maps: Tensor) -> Tensor:
        return super()._score(maps).flip(-1)


class MinMaxOverTheBatch(FarFromTheMean):
    def _score(self, maps: Tensor) -> Tensor:
        found = super()._score(maps)
        return (found - found.min()) / (found.max() - found.min())


class WritesIntoMaps(FarFromTheMean):
    def _score(self, maps: Tensor) -> Tensor:
        return super()._score(maps.sub_(1))


class RemembersTheLastMaps(FarFromTheMean):
    def _score(self, maps: Tensor) -> Tensor:
        self.last = maps
        return super()._score(maps)


class SeedsTheGlobalGenerator(FarFromTheMean):
    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        torch.manual_seed(context.seed)
        super()._fit(maps, validation, context)


class DrawsFromTheGlobalGenerator(FarFromTheMean):
    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        super()._fit(maps, validation, context)
        self.mean_ = self.mean_ + torch.randn(1)


class LearnsFromInvalidPositions(FarFromTheMean):
    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        super()._fit([(fused, None) for fused, _ in maps], validation, context)


class ScoresInvalidPositions(FarFromTheMean):
    def _image_score(self, patches: Tensor, maps: Tensor, positions: Tensor | None) -> Tensor:
        return patches.flatten(1).amax(dim=1)


class PassesNaNOn(FarFromTheMean):
    def _check(self, maps: Tensor) -> None:
        """Nobody looks."""


class PeeksAtAnomalies(FarFromTheMean):
    def _fit_against(
        self, anomalies: Iterable[SpoiltMaps], maps: Iterable[GoodMaps], validation: Any, context: FitContext
    ) -> None:
        self._fit(maps, validation, context)
        self.deviation_ = self.deviation_ * (1 + len(list(anomalies)))


class AcceptsNoAnomalies(FarFromTheMean):
    wants_anomalies = True  # type: ignore[assignment]

    def fit(self, maps: Any, *, validation: Any, context: Any, anomalies: Any = ()) -> Any:
        self._fit(maps, validation, context)
        return self


class PromisesUpdates(FarFromTheMean):
    updates = True


class IgnoresAnUpdate(FarFromTheMean):
    updates = True

    def _update(self, maps: Iterable[GoodMaps], context: FitContext) -> None:
        """Nothing new."""


class AveragesOverFits(FarFromTheMean):
    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        super()._fit(maps, validation, context)
        self.mean_ = self.earlier = 0.5 * (self.mean_ + getattr(self, "earlier", self.mean_))


class LosesItsMean(FarFromTheMean):
    def state(self) -> dict[str, Any]:
        kept = dict(super().state())
        return kept | {"mean_": torch.zeros_like(kept["mean_"])}


class ScoresUnfitted(FarFromTheMean):
    def score(self, maps: Tensor, size: Any, valid: Any = None) -> ScoreMap:
        if self.fitted:
            return super().score(maps, size, valid)
        return ScoreMap(torch.zeros(len(maps), *size), torch.zeros(len(maps)))
