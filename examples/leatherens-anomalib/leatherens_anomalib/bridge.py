"""What the bridged detectors share: a torch model of anomalib that is fed by leatherens' backbone pool.

anomalib's models make their backbone themselves, and some insist on fetching its weights. Here they are given
a module that hands on the features leatherens has computed: one pass for all members, weights found by
`--weights`, no downloads. Of anomalib the network, the fitting and the anomaly map are used; not its trainer,
its pre-processing, normalisation and thresholds.
"""

from __future__ import annotations

import io
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib import import_module, util
from typing import Any, ClassVar
from unittest.mock import patch

import torch
from torch import Tensor, nn

from leatherens import (
    BackboneRequest,
    Detector,
    Effort,
    FeatureMaps,
    FitContext,
    ImageBatch,
    Observation,
    ScoreMap,
)
from leatherens import Params as PlainParams
from leatherens.core.backbones import Pyramids, PyramidSpec
from leatherens.core.geometry import image_maximum
from leatherens.core.pyramid_models import normalise
from leatherens.core.randomness import derive, lent_generators
from leatherens.core.types import ImageSource
from leatherens.core.weights import DEFAULT_MODEL

if util.find_spec("anomalib") is None:
    raise ImportError("anomalib is not installed: pip install anomalib")


class BridgeParams(PlainParams):
    """Which frozen network is read; as timm calls it, levels counted from the finest."""

    backbone: str = "wide_resnet50_2"
    layers: tuple[int, ...] = (2, 3)
    weights: str = "pretrained"


@contextmanager
def as_a_guest(seed: int, purpose: str) -> Iterator[None]:
    """Run anomalib's code: it draws from a seed; its progress bars and notes on its future stay unsaid."""
    with lent_generators(seed, purpose), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class GivenFeatures(nn.Module):
    """In the place of anomalib's feature extractor: hands on what it was lent."""

    def __init__(self, layers: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.layers, self.out_dims = list(layers), list(channels)
        self._given: Sequence[Tensor] | None = None

    @contextmanager
    def lent(self, maps: Sequence[Tensor]) -> Iterator[None]:
        """Hand on these while the block runs, one map (B, C_i, h_i, w_i) a layer."""
        self._given = maps
        try:
            yield
        finally:
            self._given = None

    def forward(self, pixels: Tensor) -> dict[int, Tensor]:
        """What was lent, by layer; the pixels were looked at before."""
        if self._given is None:
            raise RuntimeError("asked for features while none are lent")
        return dict(zip(self.layers, self._given, strict=True))


class Bridged(Detector):
    """A torch model of anomalib behind leatherens' contract."""

    module: ClassVar[str]
    """Under `anomalib.models.image`: where the model and its feature extractor's name are."""

    class Params(BridgeParams):
        """Those of every bridged detector."""

    model_: nn.Module
    channels_: list[int]
    strides_: list[int]
    mean_: list[float]
    std_: list[float]
    shapes_: dict[str, list[int]]
    """Of the model's tensors, those whose shape depends on what was learned."""
    seed_: int

    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        """anomalib's settings; at quick effort the backbone that is always there."""
        return cls.Params() if effort is Effort.full else cls.Params(backbone=DEFAULT_MODEL, layers=(1, 2))

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The frozen network."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    @abstractmethod
    def _model(self, parts: Any) -> nn.Module:
        """Make anomalib's model; `parts` is the module it is in."""

    @abstractmethod
    def _learn(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        """Fit `model_`."""

    @abstractmethod
    def _maps(self, levels: Sequence[Tensor], batch: ImageBatch) -> tuple[Tensor, ...]:
        """The feature maps that `features` declares, of these frozen ones."""

    @property
    def _taught_at_once(self) -> int | None:
        return getattr(self.params, "batch_size", None)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self._remember(context.pool.spec(self.backbones()[0]), context)
        self._build()
        self.model_.to(context.device)
        plain = {name: tensor.shape for name, tensor in self.model_.state_dict().items()}
        self._learn(images, validation, context)
        self.model_.eval()
        learned = self.model_.state_dict().items()
        self.shapes_ = {name: list(t.shape) for name, t in learned if t.shape != plain[name]}

    def _remember(self, spec: PyramidSpec, context: FitContext) -> None:
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)
        self.mean_, self.std_ = list(spec.mean), list(spec.std)
        self.shapes_: dict[str, list[int]] = {}
        self.seed_ = derive(context.seed, self.id)

    def _build(self) -> None:
        """The model as it is before it learns; of a loaded detector with room for what it learned."""
        with as_a_guest(self.seed_, "model"):
            parts = import_module(f"anomalib.models.image.{self.module}")
            with patch.object(parts, "TimmFeatureExtractor", self._extractor(parts.TimmFeatureExtractor)):
                self.model_ = self._model(parts).eval()
        for name, shape in self.shapes_.items():
            owner, _, buffer = name.rpartition(".")
            setattr(self.model_.get_submodule(owner), buffer, torch.zeros(shape))

    def _extractor(self, real: Any) -> Any:
        """What makes feature extractors for anomalib: real ones only where they shall learn."""

        def make(backbone: Any, layers: Any, requires_grad: bool = False, **_: Any) -> nn.Module:
            if requires_grad:
                made: nn.Module = real(backbone, layers, pre_trained=False, requires_grad=True)
                return made
            return GivenFeatures(self.params.layers, self.channels_)

        return make

    @property
    def _given(self) -> GivenFeatures:
        found: GivenFeatures = next(m for m in self.model_.modules() if isinstance(m, GivenFeatures))
        return found

    def _normalised(self, batch: ImageBatch) -> Tensor:
        return normalise(batch.pixels, self.mean_, self.std_)

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        levels = pyramids[self.backbones()[0]].maps
        with self._given.lent(levels):
            found = self.model_(self._normalised(batch)).anomaly_map
        pixels = found.reshape(len(batch), *batch.size).float()
        # anomalib knows no masks; its own image score may come from what is hidden.
        scores = ScoreMap(pixels, image_maximum(pixels, batch.valid))
        return Observation(FeatureMaps(self._maps(levels, batch), self._names()), scores)

    def _names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.features())
