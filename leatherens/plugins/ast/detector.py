"""The AST detector: options, two trainings, scores and feature maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.geometry import bicubic_scores, image_maximum, positions_of, silence
from leatherens.core.level_flows import LevelsFlow, counted_mean, refuse_odd, surprise
from leatherens.core.params import OddSide
from leatherens.core.randomness import seeded_construction
from leatherens.core.schedules import KeepingParams
from leatherens.core.tasks import Task
from leatherens.core.training import Course
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.ast.networks import Student, teacher_flow

WEIGHT_DECAY = 1e-5
"""Of the authors' Adam, for both."""


Value = Callable[[Tensor, Tensor | None], Tensor]
"""What each of them learns to lower: of maps (B, C, h, w) and valid pixels a value for each image (B,)."""


class AST(Detector):
    """A convolutional student of a flow that knows good features; the score is where they disagree."""

    id: ClassVar[str] = "ast"
    capabilities: ClassVar[Capabilities] = Capabilities(min_size=64, min_images=2, trains=True)
    default_cut: ClassVar[tuple[str, ...]] = ("difference",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layer": 1,
        "stages": False,
        "kernels": [3, 3],
        "hidden": 16,
        "width": 32,
        "blocks": 1,
        "batch_size": 4,
        "learning_rate": 0.01,
        "steps": 30,
    }

    class Params(KeepingParams):
        """The published settings: the authors' code, for images of 768 x 768.

        What it ships is meant for MVTec 3D-AD; for how many epochs the flat images of MVTec AD were learned
        from is not in it.
        """

        backbone: str = "tf_efficientnet_b5"
        layer: NonNegativeInt = 5
        """The map that both read; of EfficientNet-B5 the one of 304 channels at stride 32."""
        stages: bool = True
        """Count `layer` in stages of an EfficientNet rather than in levels, the last of each stride."""
        weights: str = "pretrained"
        positions: Annotated[int, Field(gt=0, multiple_of=4)] = 32
        """Channels that say where a position lies."""
        kernels: Annotated[tuple[OddSide, ...], Field(min_length=1)] = (3, 3, 3, 5)
        """A coupling block of the teacher for each, with convolutions of this side."""
        hidden: PositiveInt = 64
        """Channels within the teacher's convolutions."""
        clamp: PositiveFloat = 1.9
        """Log-scales stay within it."""
        width: PositiveInt = 1024
        """Channels of the student."""
        blocks: NonNegativeInt = 4
        """Residual blocks of the student."""
        epochs: PositiveInt = 72
        """Of each of the two trainings; so are `steps`."""
        batch_size: Annotated[int, Field(ge=2)] = 8
        learning_rate: PositiveFloat = 2e-4
        image_score: Literal["maximum", "mean"] = "maximum"
        """What an image scores, of its positions' scores; the authors print both."""

    teacher_: LevelsFlow
    student_: Student
    channels_: int
    stride_: int

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, a narrow student, fewer and larger steps.

        The map at stride 16 rather than 32: at 256 x 256 there are then 16 x 16 positions, and not 8 x 8, to
        disagree at. Map and steps were chosen by both losses on held-out good images and by artificial
        anomalies on them; twice 200 steps take one core about a minute.
        """
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(
            backbone=DEFAULT_MODEL,
            layer=3,
            stages=False,
            width=128,
            blocks=2,
            learning_rate=1e-3,
            steps=200,
        )

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The frozen map that teacher and student read."""
        options = self.params
        return (BackboneRequest(options.backbone, (options.layer,), options.weights, options.stages),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """What the teacher and the student say, what separates them, and its mean square."""
        self.require_fitted("features")
        wide = self.channels_
        channels = {"teacher": wide, "student": wide, "difference": wide, "distance": 1}
        return tuple(FeatureSpec(f"{self.id}/{name}", c, self.stride_) for name, c in channels.items())

    def _build(self) -> None:
        options, channels = self.params, self.channels_
        self.teacher_ = teacher_flow(
            channels,
            positions=options.positions,
            hidden=options.hidden,
            sides=options.kernels,
            clamp=options.clamp,
        )
        self.student_ = Student(
            channels, positions=options.positions, width=options.width, blocks=options.blocks
        )

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse a map that has no two equal halves of channels."""
        (channels,) = specs[0].channels
        refuse_odd(channels, owner=self.id, source=self.params.backbone, layer=self.params.layer)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        spec = context.pool.spec(request)
        (self.channels_,), (self.stride_,) = spec.channels, spec.strides
        self.backbone_, self.size_ = spec.fingerprint, list(images.size)
        with seeded_construction(context.seed, self.id):
            self._build()
        self.teacher_.to(context.device)
        self.student_.to(context.device)
        course, schedule = Course(images, validation, context), self.params.schedule(len(images.ids))
        teacher = course.train(self._task("teacher", self.teacher_, self._unlikeliness, context), schedule)
        student = course.train(self._task("student", self.student_, self._disagreement, context), schedule)
        self.log_ = {"teacher": teacher.as_json(), "student": student.as_json()}

    def _task(self, name: str, module: nn.Module, value: Value, context: FitContext) -> Task:
        options = self.params

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return value(self._maps(context.pyramids(batch, self.backbones())), batch.valid)

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return judge(batch, generator).mean()

        adam = torch.optim.Adam(module.parameters(), lr=options.learning_rate, weight_decay=WEIGHT_DECAY)
        judges = judge if options.keep == "best" else None
        identity = f"{options!r} {self.backbone_}"
        return Task(f"{self.id} {name}", module, [adam], loss, judges, identity=identity)

    def _unlikeliness(self, maps: Tensor, valid: Tensor | None) -> Tensor:
        """(B,): what the teacher learns to lower: the mean over positions of -log p."""
        with torch.autocast(maps.device.type, enabled=False):  # reduced precision blurs likelihoods
            return counted_mean(surprise(*self.teacher_([maps])), valid)

    def _disagreement(self, maps: Tensor, valid: Tensor | None) -> Tensor:
        """(B,): what the student learns to lower: the mean square of what separates the two."""
        difference = self._taught(maps) - self.student_(maps).float()
        return counted_mean([difference.square().mean(dim=1)], valid)

    def _taught(self, maps: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(maps.device.type, enabled=False):
            (latent,), _ = self.teacher_([maps])
        return latent  # type: ignore[no-any-return]

    def _maps(self, pyramids: Pyramids) -> Tensor:
        (request,) = self.backbones()
        return pyramids[request].maps[0]

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        self.require_learned_size(batch.size)
        maps = self._maps(pyramids)
        teacher, student = self._taught(maps), self.student_(maps)
        difference = teacher - student
        patches = difference.square().mean(dim=1)  # (B, h, w)
        names = tuple(spec.name for spec in self.features())
        features = FeatureMaps((teacher, student, difference, patches[:, None]), names)
        return Observation(features, self._scores(patches, batch))

    def _scores(self, patches: Tensor, batch: ImageBatch) -> ScoreMap:
        """Of positions (B, h, w): bicubic to the image's size; the image score is taken before that."""
        positions = positions_of(patches, batch.valid)
        if self.params.image_score == "maximum":
            image = image_maximum(patches, positions)
        else:
            image = counted_mean([patches], batch.valid)
        return ScoreMap(bicubic_scores(silence(patches, positions), batch.size), image)
