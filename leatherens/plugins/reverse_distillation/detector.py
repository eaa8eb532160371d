"""The reverse distillation detector: options, loss, training, score and feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.geometry import image_maximum, resize, silence, smooth
from leatherens.core.params import Params
from leatherens.core.randomness import seeded_construction
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.training import Schedule, Task, train
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.reverse_distillation.networks import ReverseNetworks, plan_for

MOST_VALIDATIONS = 10
"""Where `steps` bound the training; on few images it would otherwise validate more than it learns."""


def flattened_loss(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> Tensor:
    """(B,): 1 - cosine of whole levels as one vector an image, summed over levels.

    The authors' code. The paper's equation 2 averages the cosine of each position, which weighs faint
    positions like strong ones.
    """
    pairs = zip(teacher, student, strict=True)
    return torch.stack([1 - F.cosine_similarity(t.flatten(1), s.flatten(1)) for t, s in pairs]).sum(dim=0)


def positionwise_loss(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> Tensor:
    """(B,): 1 - cosine of each position, averaged over positions, summed over levels (equation 2)."""
    return torch.stack([d.mean(dim=(1, 2)) for d in distances(teacher, student)]).sum(dim=0)


LOSSES = {"flattened": flattened_loss, "positions": positionwise_loss}


def distances(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> list[Tensor]:
    """1 - cosine over channels per position (equation 1): (B, h, w) in 0..2, one per level."""
    return [1 - F.cosine_similarity(t, s) for t, s in zip(teacher, student, strict=True)]


def summed_map(levels: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """(B, H, W): the levels brought to `size` with aligned corners, as in the authors' code, and added."""
    return torch.stack([resize(level[:, None], size, align_corners=True)[:, 0] for level in levels]).sum(
        dim=0
    )


class ReverseDistillation(Detector):
    """A decoder that regenerates a teacher's features from a narrow code; the score is where it cannot."""

    id: ClassVar[str] = "reverse-distillation"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=32, min_size=64, min_images=2, trains=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("difference*",)

    class Params(Params):
        """The published settings: section 4 of the paper and the authors' code.

        steps: gradient steps in all, in place of `epochs`. crop: learn on random squares of this side.
        """

        backbone: str = "wide_resnet50_2"
        layers: Annotated[tuple[int, ...], Field(min_length=2)] = (1, 2, 3)
        weights: str = "pretrained"
        epochs: PositiveInt = 200
        batch_size: Annotated[int, Field(ge=2)] = 16
        learning_rate: PositiveFloat = 5e-3
        betas: tuple[float, float] = (0.5, 0.999)
        loss: Literal["flattened", "positions"] = "flattened"
        """Cosine of whole levels, as in the authors' code, or of each position, as in the paper."""
        smoothing: NonNegativeFloat = 4.0
        """Sigma of the Gaussian over the score map, in pixels."""
        steps: PositiveInt | None = None
        crop: Annotated[int | None, Field(ge=64, multiple_of=32)] = None
        keep: Literal["last", "best"] = "last"
        """The last state, as published, or the one of the smallest loss on validation images."""
        patience: PositiveInt | None = None

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
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
        levels = list(enumerate(zip(self.channels_, self.strides_, strict=True), start=1))
        return (
            *(FeatureSpec(f"{self.id}/difference{i}", c, s) for i, (c, s) in levels),
            *(FeatureSpec(f"{self.id}/distance{i}", 1, s) for i, (_, s) in levels),
            FeatureSpec(f"{self.id}/code", 2 * self.channels_[-1], 2 * self.strides_[-1]),
        )

    def _build(self) -> None:
        plan = plan_for(self.params.backbone, len(self.channels_))
        networks = ReverseNetworks(self.channels_, plan)
        self.networks_ = networks.to(memory_format=torch.channels_last)

    def _remember(self, spec: PyramidSpec) -> None:
        if any(2 * fine != coarse for fine, coarse in pairwise(spec.strides)):
            raise ConfigError(
                f"{self.id}: expected levels of which each has half the height and width of the one before, "
                f"{self.params.backbone} gives strides {spec.strides} at layers {self.params.layers}"
            )
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)

    def _check_grid(self, size: tuple[int, int]) -> None:
        coarsest = 2 * self.strides_[-1]
        if size[0] % coarsest or size[1] % coarsest:
            raise InputError(
                f"{self.id}: expected images of height and width divisible by {coarsest}, twice the stride "
                f"of the deepest level of {self.params.backbone}, got {size[0]} x {size[1]}"
            )

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        spec = context.pool.spec(request)
        self._remember(spec)
        self._check_grid(images.size)
        with seeded_construction(context.seed, self.id):
            self._build()
        self.networks_.to(context.device)
        task = self._task(request, spec, context)
        self.log_ = train(task, images, validation, self._schedule(len(images.ids)), context).as_json()

    def _schedule(self, count: int) -> Schedule:
        options = self.params
        batch = min(options.batch_size, count)
        epoch = -(-count // batch)
        steps = options.steps or options.epochs * epoch
        every = epoch if options.steps is None else max(epoch, steps // MOST_VALIDATIONS)
        return Schedule(steps=steps, batch_size=batch, validate_every=every, patience=options.patience)

    def _task(self, request: BackboneRequest, spec: PyramidSpec, context: FitContext) -> Task:
        options = self.params
        lost = LOSSES[options.loss]

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            shown = random_crops(batch, options.crop, generator)
            teacher = context.pool.pyramids(shown, [request], keep=shown is batch)[request].maps
            return lost(teacher, self._regenerated(teacher)[1]).mean()

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            teacher = context.pyramids(batch, [request])[request].maps
            return lost(teacher, self._regenerated(teacher)[1])

        adam = torch.optim.Adam(
            self.networks_.parameters(), lr=options.learning_rate, betas=tuple(options.betas)
        )
        judges = judge if options.keep == "best" else None
        identity = f"{options!r} {spec.fingerprint}"
        return Task(self.id, self.networks_, [adam], loss, judges, identity=identity)

    def _regenerated(self, teacher: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        code, levels = self.networks_(teacher)
        return code.float(), [level.float() for level in levels]

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        (request,) = self.backbones()
        self._check_grid(batch.size)
        teacher = pyramids[request].maps
        code, student = self._regenerated(teacher)
        differences = [F.normalize(t) - F.normalize(s) for t, s in zip(teacher, student, strict=True)]
        levels = distances(teacher, student)
        names = tuple(spec.name for spec in self.features())
        maps = FeatureMaps((*differences, *(level[:, None] for level in levels), code), names)
        pixels = silence(summed_map(levels, batch.size), batch.valid)
        pixels = smooth(pixels, self.params.smoothing)
        return Observation(maps, ScoreMap(pixels, image_maximum(pixels, batch.valid)))
