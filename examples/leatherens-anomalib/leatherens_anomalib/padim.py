"""anomalib's PaDiM: a Gaussian for each position, and the Mahalanobis distance to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import PositiveInt
from torch import Tensor, nn

from leatherens import Capabilities, Effort, FitContext, ImageBatch, Observation
from leatherens.core.backbones import Pyramids, PyramidSpec
from leatherens.core.detector import FeatureSpec
from leatherens.core.errors import ConfigError
from leatherens.core.types import ImageSource
from leatherens.core.weights import DEFAULT_MODEL
from leatherens_anomalib.bridge import Bridged, BridgeParams


class Padim(Bridged):
    """Gaussians and map are anomalib's; hidden pixels teach as the plain colour that replaces them."""

    id = "anomalib-padim"
    module = "padim.torch_model"
    capabilities = Capabilities(min_images=2)

    class Params(BridgeParams):
        """anomalib's defaults."""

        backbone: str = "resnet18"
        layers: tuple[int, ...] = (1, 2, 3)
        dimensions: PositiveInt = 100
        """Channels drawn at random from all levels'."""

    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        """At quick effort the backbone that is always there."""
        return cls.Params() if effort is Effort.full else cls.Params(backbone=DEFAULT_MODEL)

    def features(self) -> tuple[FeatureSpec, ...]:
        """The channels drawn."""
        self.require_fitted("features")
        return (FeatureSpec(f"{self.id}/embedding", self.params.dimensions, self.strides_[0]),)

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse to draw more channels than there are."""
        total, asked = sum(specs[0].channels), self.params.dimensions
        if asked > total:
            raise ConfigError(
                f"{self.id}: dimensions: {asked} asked of {total} channels; take at most {total}"
            )

    def _model(self, parts: Any) -> nn.Module:
        options = self.params
        model: nn.Module = parts.PadimModel(
            backbone=options.backbone,
            layers=options.layers,
            pre_trained=False,
            n_features=options.dimensions,
        )
        return model

    def _learn(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self.size_ = list(images.size)
        model: Any = self.model_
        for batch, pyramids in context.walk(images, self.backbones(), f"{self.id}: gathering positions"):
            model.memory_bank += self._maps(pyramids[self.backbones()[0]].maps, batch)
        model.fit()

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        self.require_learned_size(batch.size)
        return super()._observe(batch, pyramids)

    def _maps(self, levels: Sequence[Tensor], batch: ImageBatch) -> tuple[Tensor, ...]:
        model: Any = self.model_
        return (model.generate_embedding(dict(zip(model.layers, levels, strict=True))),)
