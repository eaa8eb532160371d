"""anomalib's PatchCore: distance to the nearest of a core set of good positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from leatherens import Effort, FitContext, ImageBatch
from leatherens.core.detector import FeatureSpec
from leatherens.core.randomness import numpy_generator
from leatherens.core.rows import RowReservoir, rows_of
from leatherens.core.types import ImageSource
from leatherens.core.weights import DEFAULT_MODEL
from leatherens_anomalib.bridge import Bridged, BridgeParams, as_a_guest


class Patchcore(Bridged):
    """The core set, its search and the map are anomalib's."""

    id = "anomalib-patchcore"
    module = "patchcore.torch_model"

    class Params(BridgeParams):
        """anomalib's defaults, and a bound on what is held."""

        core_set: Annotated[float, Field(gt=0, le=1)] = 0.1
        """Share of positions that are kept."""
        neighbours: PositiveInt = 9
        """As anomalib counts them for its image score."""
        max_positions: PositiveInt = 100_000
        """Most positions that the core set is chosen from, drawn at random; anomalib holds all."""

    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        """At quick effort the backbone that is always there, and fewer positions."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(backbone=DEFAULT_MODEL, layers=(1, 2), max_positions=3000)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Its patch descriptors."""
        self.require_fitted("features")
        return (FeatureSpec(f"{self.id}/embedding", sum(self.channels_), self.strides_[0]),)

    def _model(self, parts: Any) -> nn.Module:
        options = self.params
        model: nn.Module = parts.PatchcoreModel(
            layers=options.layers,
            backbone=options.backbone,
            pre_trained=False,
            num_neighbors=options.neighbours,
        )
        return model

    def _learn(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        sample = RowReservoir(self.params.max_positions, numpy_generator(context.seed, self.id, "rows"))
        for batch, pyramids in context.walk(images, self.backbones(), f"{self.id}: gathering positions"):
            (embedded,) = self._maps(pyramids[self.backbones()[0]].maps, batch)
            sample.add(rows_of(embedded, batch.valid))
        model: Any = self.model_
        model.embedding_store.append(sample.rows().clone())
        title = f"{self.id}: choosing the core set"
        with context.progress.step(title, 1) as advance, as_a_guest(self.seed_, "core set"):
            model.subsample_embedding(self.params.core_set)
            advance(1)

    def _maps(self, levels: Sequence[Tensor], batch: ImageBatch) -> tuple[Tensor, ...]:
        model: Any = self.model_
        pooled = {
            layer: model.feature_pooler(level) for layer, level in zip(model.layers, levels, strict=True)
        }
        return (model.generate_embedding(pooled),)
