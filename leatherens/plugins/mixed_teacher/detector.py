"""The MixedTeacher detector: options, what is learned, scores and feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError
from leatherens.core.geometry import block_mean, image_maximum, silence, smooth, smooth_rows
from leatherens.core.matching import unit_differences
from leatherens.core.pyramid_models import normalise, untrained_pyramid
from leatherens.core.randomness import seeded_construction
from leatherens.core.reverse import rectified
from leatherens.core.schedules import Schedule, TrainedParams
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.tasks import Task
from leatherens.core.training import Course
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.mixed_teacher.maps import half_squares, mixed, pair_loss, pair_map
from leatherens.plugins.mixed_teacher.students import ReducedStudent, Settling

PAIRS = ("texture", "semantic")

FIRST_STRIDE, MOST_TEXTURE_LEVELS = 4, 3
"""Of the texture teacher; its pooled levels must divide images whose sides are multiples of 32."""


class MixedTeacher(Detector):
    """A small student of texture and a pretrained one of meaning; the score is where both fail."""

    id: ClassVar[str] = "mixed-teacher"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=32, min_size=64, min_images=2, trains=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("*-difference*",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "texture_backbone": "test_resnet",
        "semantic_backbone": "test_resnet",
        "texture_layers": [1],
        "semantic_layers": [2],
        "batch_size": 4,
        "steps": 40,
    }

    class Params(TrainedParams):
        """The published settings, as in the authors' code."""

        texture_backbone: str = "resnet18"
        """The timm model whose shallow features the small student repeats."""
        texture_layers: Annotated[tuple[int, ...], Field(min_length=1, max_length=MOST_TEXTURE_LEVELS)] = (
            1,
            2,
        )
        """Shallow levels of strides 4, 8 and so on; the teacher's are averaged over 2 x 2 positions."""
        semantic_backbone: str = "efficientnet_b0"
        """The timm model whose deep features the pretrained student repeats."""
        semantic_layers: Annotated[tuple[int, ...], Field(min_length=1)] = (3, 4)
        """Deep levels; the student starts as its teacher."""
        weights: str = "pretrained"
        epochs: PositiveInt = 100
        batch_size: PositiveInt = 8
        peak_rate: PositiveFloat = 4e-3
        """Learning rate of Adam in one cycle: from a 25th of it, to it in 30% of the steps, to nothing."""
        settled_after: PositiveInt | None = 1
        """Epochs after which the students' batch normalisation stands still, as it does in the authors' code
        from the first validation on; `None`: it goes on."""
        score: Literal["code", "meant"] = "code"
        """As the authors' code computes it, the semantic map divided by the length of each of its columns and
        the product smoothed along rows only; or as seems meant: by its largest value, smoothed both ways."""
        smoothing: NonNegativeFloat = 4.0
        """Sigma of the Gaussian over the score map, in pixels."""
        crop: Annotated[int | None, Field(ge=64, multiple_of=32)] = None
        """Learn on random squares of this side."""

    students_: nn.ModuleDict
    """One a pair."""
    channels_: dict[str, list[int]]
    strides_: dict[str, list[int]]

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort both teachers are the backbone that is always there, at shallow and at deep levels.

        And there are fewer steps, on squares.
        """
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(
            texture_backbone=DEFAULT_MODEL, semantic_backbone=DEFAULT_MODEL, steps=250, crop=128
        )

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The teacher of texture and the teacher of meaning."""
        options = self.params
        return (
            BackboneRequest(options.texture_backbone, options.texture_layers, options.weights),
            BackboneRequest(options.semantic_backbone, options.semantic_layers, options.weights),
        )

    def features(self) -> tuple[FeatureSpec, ...]:
        """Per pair and level what separates unit features of teacher and student, and half its square."""
        self.require_fitted("features")
        levels = [
            (f"{self.id}/{pair}", i, c, s)
            for pair in PAIRS
            for i, (c, s) in enumerate(zip(self.channels_[pair], self.strides_[pair], strict=True), start=1)
        ]
        differences = [FeatureSpec(f"{name}-difference{i}", c, s) for name, i, c, s in levels]
        return (*differences, *(FeatureSpec(f"{name}-distance{i}", 1, s) for name, i, _, s in levels))

    def _build(self) -> None:
        options = self.params
        networks = (
            ReducedStudent(self.channels_["texture"], signed=not rectified(options.texture_backbone)),
            untrained_pyramid(options.semantic_backbone, options.semantic_layers),
        )
        self.students_ = nn.ModuleDict(
            {
                pair: Settling(network.to(memory_format=torch.channels_last))
                for pair, network in zip(PAIRS, networks, strict=True)
            }
        )

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        texture, semantic = self.backbones()
        self._remember(context.pool.spec(texture), context.pool.spec(semantic))
        with seeded_construction(context.seed, self.id):
            self._build()
        schedule = self.params.schedule(len(images.ids))
        self._start_students(semantic, -(-len(images.ids) // schedule.batch_size), context)
        course = Course(images, validation, context)
        logs = {pair: course.train(self._task(pair, schedule, context), schedule) for pair in PAIRS}
        self.log_ = {pair: log.as_json() for pair, log in logs.items()}
        self.students_.eval()

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse texture levels that are not neighbours, or do not begin where the student's do."""
        texture, _ = specs
        expected = tuple(FIRST_STRIDE * 2**i for i in range(len(texture.strides)))
        if texture.strides != expected:
            options = self.params
            raise ConfigError(
                f"{self.id}: expected texture levels of strides {expected}, {options.texture_backbone} gives "
                f"{texture.strides} at levels {options.texture_layers}; take neighbouring ones, the first of "
                f"stride {FIRST_STRIDE}"
            )

    def _remember(self, texture: PyramidSpec, semantic: PyramidSpec) -> None:
        specs = dict(zip(PAIRS, (texture, semantic), strict=True))
        self.channels_ = {pair: list(spec.channels) for pair, spec in specs.items()}
        self.strides_ = {"texture": [2 * s for s in texture.strides], "semantic": list(semantic.strides)}
        self.means_ = {pair: list(spec.mean) for pair, spec in specs.items()}
        self.stds_ = {pair: list(spec.std) for pair, spec in specs.items()}
        self.teachers_ = {pair: spec.fingerprint for pair, spec in specs.items()}

    def _start_students(self, semantic: BackboneRequest, epoch: int, context: FitContext) -> None:
        """The semantic one as its teacher; both settle after so many epochs of so many steps."""
        students = {pair: cast(Settling, self.students_[pair]) for pair in PAIRS}
        for student in students.values():
            student.after = self.params.settled_after and self.params.settled_after * epoch
        context.pool.copy_into(students["semantic"].network, semantic)
        self.students_.to(context.device)

    def _task(self, pair: str, schedule: Schedule, context: FitContext) -> Task:
        options, student = self.params, self.students_[pair]
        request = self._requests()[pair]

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            halves = half_squares(self._differences(pair, batch, context.pyramids(batch, [request])))
            return pair_loss(halves, batch.valid)

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            shown = random_crops(batch, options.crop, generator)
            pyramids = context.pool.pyramids(shown, [request], keep=shown is batch)
            return pair_loss(half_squares(self._differences(pair, shown, pyramids)), shown.valid).sum()

        adam = torch.optim.Adam(student.parameters())
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            adam, max_lr=options.peak_rate, total_steps=schedule.steps
        )
        identity = f"{options!r} {self.teachers_}"
        return Task(f"{self.id} {pair}", student, [adam], loss, judge, [cycle], identity)

    def _requests(self) -> dict[str, BackboneRequest]:
        return dict(zip(PAIRS, self.backbones(), strict=True))

    def _differences(self, pair: str, batch: ImageBatch, pyramids: Pyramids) -> list[Tensor]:
        """Level by level."""
        teacher: Sequence[Tensor] = pyramids[self._requests()[pair]].maps
        if pair == "texture":
            teacher = [block_mean(level, 2) for level in teacher]
        pixels = normalise(batch.pixels, self.means_[pair], self.stds_[pair])
        return unit_differences(teacher, self.students_[pair](pixels))

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        pairs = [self._differences(pair, batch, pyramids) for pair in PAIRS]
        halves = [half_squares(pair) for pair in pairs]
        flat = [*pairs[0], *pairs[1], *(half[:, None] for pair in halves for half in pair)]
        maps = FeatureMaps(tuple(flat), tuple(spec.name for spec in self.features()))
        pixels = self._mixed(halves, batch)
        return Observation(maps, ScoreMap(pixels, image_maximum(pixels, batch.valid)))

    def _mixed(self, halves: list[list[Tensor]], batch: ImageBatch) -> Tensor:
        """The score map: the authors' times the positions of both pairs' finest level, else about 1e-9."""
        texture, semantic = (pair_map(pair, batch.size) * pair[0][0].numel() for pair in halves)
        by_code = self.params.score == "code"
        product = mixed(texture, semantic, batch.valid, "columns" if by_code else "image")
        smoothed = smooth_rows if by_code else smooth
        return smoothed(silence(product, batch.valid), self.params.smoothing)
