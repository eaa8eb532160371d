"""STFPM: student-teacher feature pyramid matching (Wang et al., BMVC 2021).

A student of the teacher's own architecture learns, on good images, to repeat the frozen teacher's
features at every position. Where it fails to, something is there that good leather does not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.geometry import image_maximum, resize_scores
from leatherens.core.matching import distances, unit_differences
from leatherens.core.params import Params
from leatherens.core.pyramid_models import image_by_image, normalise, untrained_pyramid
from leatherens.core.randomness import seeded_construction
from leatherens.core.schedules import TrainedParams
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL


def matching_loss(levels: Sequence[Tensor]) -> Tensor:
    """Mean distance over batch and positions, summed over levels."""
    return torch.stack([level.mean() for level in levels]).sum()


def product_map(levels: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """(B, H, W): the levels brought to the finest one's grid, multiplied, then brought to `size`.

    The authors' order; multiplying at full size is not the same.
    """
    grid = (max(level.shape[-2] for level in levels), max(level.shape[-1] for level in levels))
    product = torch.ones_like(resize_scores(levels[0], grid))
    for level in levels:
        product = product * resize_scores(level, grid)
    return resize_scores(product, size)


def let_residuals_pass(student: nn.Module) -> None:
    """Set norms that start at zero to one.

    timm starts the last norm of each residual block at zero; the authors' student does not.
    """
    for norm in student.modules():
        if isinstance(norm, nn.BatchNorm2d) and not bool(norm.weight.any()):
            nn.init.ones_(norm.weight)


class STFPM(Detector):
    """A student that repeats a frozen teacher on good images; the score is where it cannot."""

    id: ClassVar[str] = "stfpm"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=32, min_size=64, min_images=2, trains=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("difference*",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "batch_size": 4,
        "steps": 30,
    }

    class Params(TrainedParams):
        """The published settings: section 4 of the paper and the authors' code."""

        backbone: str = "resnet18"
        layers: tuple[int, ...] = (1, 2, 3)
        weights: str = "pretrained"
        epochs: PositiveInt = 100
        batch_size: PositiveInt = 32
        learning_rate: PositiveFloat = 0.4
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
        weight_decay: NonNegativeFloat = 1e-4
        crop: Annotated[int | None, Field(ge=64, multiple_of=32)] = None
        """Learn on random squares of this side."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, fewer steps and small batches."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(backbone=DEFAULT_MODEL, batch_size=8, steps=250, crop=128)

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The teacher."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Per level the signed difference of unit features, and its squared length."""
        self.require_fitted("features")
        levels = list(zip(self.channels_, self.strides_, strict=True))
        differences = [FeatureSpec(f"stfpm/difference{i}", c, s) for i, (c, s) in enumerate(levels, start=1)]
        return (
            *differences,
            *(FeatureSpec(f"stfpm/distance{i}", 1, s) for i, (_, s) in enumerate(levels, start=1)),
        )

    def _build(self) -> None:
        options = self.params
        student = untrained_pyramid(options.backbone, options.layers)
        self.student_: nn.Module = student.to(memory_format=torch.channels_last)  # a third faster on a CPU

    def _remember(self, spec: PyramidSpec) -> None:
        self.mean_, self.std_ = list(spec.mean), list(spec.std)
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)
        self.teacher_ = spec.fingerprint

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        self._remember(context.pool.spec(request))
        with seeded_construction(context.seed, self.id, "student"):
            self._build()
        let_residuals_pass(self.student_)
        self.student_.to(context.device)
        log = train(
            self._task(request, context), images, validation, self.params.schedule(len(images.ids)), context
        )
        self.log_ = log.as_json()

    def _task(self, request: BackboneRequest, context: FitContext) -> Task:
        options = self.params

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            shown = random_crops(batch, options.crop, generator)
            teacher = context.pool.pyramids(shown, [request], keep=shown is batch)[request].maps
            return matching_loss(distances(teacher, self._student(shown)))

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            teacher = context.pyramids(batch, [request])[request].maps
            return product_map(distances(teacher, self._student(batch)), batch.size).mean(dim=(1, 2))

        optimizer = torch.optim.SGD(
            self.student_.parameters(),
            lr=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )
        identity = f"{options!r} {self.teacher_}"
        return Task(self.id, self.student_, [optimizer], loss=loss, judge=judge, identity=identity)

    def _student(self, batch: ImageBatch) -> Sequence[Tensor]:
        pixels = normalise(batch.pixels, self.mean_, self.std_)
        maps: Any = self.student_(pixels) if self.student_.training else image_by_image(self.student_, pixels)
        return [m.float() for m in maps]

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        (request,) = self.backbones()
        differences = unit_differences(pyramids[request].maps, self._student(batch))  # (B, C, h, w)
        levels = [d.square().sum(dim=1) for d in differences]  # (B, h, w)
        pixels = product_map(levels, batch.size)
        names = tuple(spec.name for spec in self.features())
        maps = FeatureMaps((*differences, *(level[:, None] for level in levels)), names)
        return Observation(maps, ScoreMap(pixels, image_maximum(pixels, batch.valid)))
