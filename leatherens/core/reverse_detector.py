"""What detectors that distil in reverse share: the sizes they take, how they score, what they expose."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.geometry import image_maximum, silence, smooth
from leatherens.core.randomness import seeded_construction
from leatherens.core.reverse import distances, summed_map
from leatherens.core.schedules import KeepingParams
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL


class Teach(Protocol):
    """The frozen teacher."""

    def __call__(self, batch: ImageBatch, *, keep: bool) -> Sequence[Tensor]:
        """Its levels of a batch; `keep` remembers them, for images that will be shown again."""
        ...


class ReverseParams(KeepingParams):
    """Deng and Li, CVPR 2022, section 4, and the authors' code."""

    backbone: str = "wide_resnet50_2"
    layers: Annotated[tuple[int, ...], Field(min_length=2)] = (1, 2, 3)
    weights: str = "pretrained"
    epochs: PositiveInt = 200
    batch_size: Annotated[int, Field(ge=2)] = 16
    learning_rate: PositiveFloat = 5e-3
    betas: tuple[float, float] = (0.5, 0.999)
    smoothing: NonNegativeFloat = 4.0
    """Sigma of the Gaussian over the score map, in pixels."""
    crop: Annotated[int | None, Field(ge=64, multiple_of=32)] = None
    """Learn on random squares of this side."""


class Regenerated(NamedTuple):
    """What the networks make of a teacher's levels, all float32."""

    code: Tensor
    """(B, 2 C_last, h_last / 2, w_last / 2)."""
    levels: list[Tensor]
    """Of the teacher's shapes."""
    projected: list[Tensor]
    """What the code was made of, of the teacher's shapes; empty where that is the teacher's levels."""


class ReverseDetector(Detector):
    """Regenerates a teacher's levels from a code; the score is 1 - cosine, summed over levels."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=32, min_size=64, min_images=2, trains=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("difference*",)

    class Params(ReverseParams):
        """Those all of them share."""

    networks_: nn.Module
    """What learns: from the teacher's levels to a code, and back."""

    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        """At quick effort the backbone that is always there, fewer steps and small batches of squares."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(backbone=DEFAULT_MODEL, batch_size=8, steps=300, crop=128)

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The teacher."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Per level what separates unit features of teacher and decoder, and 1 - their cosine; the code."""
        self.require_fitted("features")
        distances = [
            FeatureSpec(f"{self.id}/distance{i}", 1, s) for i, s in enumerate(self.strides_, start=1)
        ]
        code = FeatureSpec(f"{self.id}/code", 2 * self.channels_[-1], 2 * self.strides_[-1])
        return (*self._level_specs("difference"), *distances, code)

    def _level_specs(self, name: str) -> list[FeatureSpec]:
        """Maps of the teacher's channels and strides, `name1` the finest."""
        levels = enumerate(zip(self.channels_, self.strides_, strict=True), start=1)
        return [FeatureSpec(f"{self.id}/{name}{i}", c, s) for i, (c, s) in levels]

    @abstractmethod
    def _networks(self) -> nn.Module:
        """What learns, for levels of `channels_`."""

    @abstractmethod
    def _task(self, teach: Teach, context: FitContext) -> Task:
        """How it learns; the identity is filled in."""

    def _build(self) -> None:
        self.networks_ = self._networks().to(memory_format=torch.channels_last)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        spec = context.pool.spec(request)
        self._remember(spec)
        with seeded_construction(context.seed, self.id):
            self._build()
        self.networks_.to(context.device)

        def teach(batch: ImageBatch, *, keep: bool) -> Sequence[Tensor]:
            return context.pool.pyramids(batch, [request], keep=keep)[request].maps

        task = self._task(teach, context)
        self.log_ = train(task, images, validation, self.params.schedule(len(images.ids)), context).as_json()

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse levels that do not halve, and images and crops of which the code's grid is no part."""
        (spec,) = specs
        if any(2 * fine != coarse for fine, coarse in pairwise(spec.strides)):
            raise ConfigError(
                f"{self.id}: expected levels of which each has half the height and width of the one before, "
                f"{self.params.backbone} gives strides {spec.strides} at layers {self.params.layers}"
            )
        self._check_grid(size, 2 * spec.strides[-1])
        self._check_crop(2 * spec.strides[-1])

    def _remember(self, spec: PyramidSpec) -> None:
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)
        self.teacher_ = spec.fingerprint

    def _check_crop(self, coarsest: int) -> None:
        crop = self.params.crop
        if crop and crop % coarsest:
            raise ConfigError(
                f"{self.id}: expected a crop divisible by {coarsest}, {self._twice()}, got {crop}"
            )

    def _check_grid(self, size: tuple[int, int], coarsest: int) -> None:
        if size[0] % coarsest or size[1] % coarsest:
            raise InputError(
                f"{self.id}: expected images of height and width divisible by {coarsest}, {self._twice()}, "
                f"got {size[0]} x {size[1]}"
            )

    def _twice(self) -> str:
        return f"twice the stride of the deepest level of {self.params.backbone}"

    def _regenerated(self, teacher: Sequence[Tensor]) -> Regenerated:
        code, levels = self.networks_(teacher)
        return Regenerated(code.float(), [level.float() for level in levels], [])

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        (request,) = self.backbones()
        self._check_grid(batch.size, 2 * self.strides_[-1])
        teacher = pyramids[request].maps
        code, student, projected = self._regenerated(teacher)
        differences = [F.normalize(t) - F.normalize(s) for t, s in zip(teacher, student, strict=True)]
        levels = distances(teacher, student)
        names = tuple(spec.name for spec in self.features())
        maps = FeatureMaps((*differences, *(level[:, None] for level in levels), code, *projected), names)
        pixels = smooth(silence(summed_map(levels, batch.size), batch.valid), self.params.smoothing)
        return Observation(maps, ScoreMap(pixels, image_maximum(pixels, batch.valid)))
