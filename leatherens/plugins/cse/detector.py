"""The CSE detector: options, what is learned, scores and feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.geometry import mean_of, positions_of
from leatherens.core.params import Params
from leatherens.core.patches import patch_scores
from leatherens.core.randomness import derive, seeded_construction
from leatherens.core.schedules import Schedule, TrainedParams
from leatherens.core.synthesis.blurred import BlurAnomaly
from leatherens.core.synthesis.kinds import OneOf
from leatherens.core.synthesis.structural import StructuralAnomaly
from leatherens.core.synthesis.textural import TexturalAnomaly
from leatherens.core.synthesis.texture_choice import Textures, say_what_was_skipped, textures_of
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.cse.lessons import Classification, Contrast
from leatherens.plugins.cse.networks import Decoder, Embedder
from leatherens.plugins.cse.references import matched, references_of, squared_distances
from leatherens.plugins.cse.samples import Sampler

Beta = Annotated[float, Field(ge=0, lt=1)]


def _two(levels: tuple[int, ...]) -> tuple[int, ...]:
    if len(levels) != 2:
        raise ValueError("expected two neighbouring levels, the finer first, such as (3, 4)")
    return levels


class CSE(Detector):
    """Deep features, embedded so that artificial anomalies stand out, compared with one good embedding."""

    id: ClassVar[str] = "cse"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=32, min_size=64, min_images=2, trains=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("residual",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [1, 2],
        "embedding": 8,
        "batch_size": 4,
        "steps": 40,
    }

    class Params(TrainedParams):
        """The published settings; where the paper and the authors' code differ, the option says which."""

        backbone: str = "efficientnet_b3"
        layers: Annotated[tuple[int, ...], AfterValidator(_two)] = (3, 4)
        """Two neighbouring deep levels: even a small defect fills much of what a position sees there."""
        weights: str = "pretrained"
        embedding: PositiveInt = 64
        """Channels of the embedding."""
        epochs: PositiveInt = 50
        """Walks through the good images (the authors' code; the paper: 100)."""
        batch_size: int = Field(default=8, ge=2)
        """At least 2, since batch normalisation learns from several images."""
        learning_rate: PositiveFloat = 4e-4
        """Of Adam, in one cycle: from 0.4 to 10 times this in the first 30% of the steps, then to nothing."""
        betas: tuple[Beta, Beta] = (0.5, 0.999)
        """Of Adam; the first is in force only without `cycle_momentum`."""
        cycle_momentum: bool = True
        """Move the first beta between 0.95 and 0.85 against the learning rate, as the authors' code does."""
        weight_decay: NonNegativeFloat = 1e-5
        contrast_weight: NonNegativeFloat = 10.0
        """Of the contrastive term, beside the reconstruction's 1."""
        defect_share: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Chance that the second image of a pair is spoilt."""
        decoder: Literal["frozen", "trained", "none"] = "frozen"
        """Which decoder the reconstruction goes through: one that stays random, one that learns, or none."""
        classifier: bool = False
        """Learn to tell good from spoilt by cross-entropy, without pairs: the paper's comparison."""
        similarity: Literal["channels", "width"] = "channels"
        """What a cosine is taken over while learning: channels, as in the score and as the paper means it, or
        the width of the map, as in the authors' code."""
        clusters: PositiveInt = 1
        """Good embeddings to compare with; more for a product of several looks."""
        reference: Literal["centre", "sample"] = "centre"
        """A cluster's centre (the paper), or the good image nearest to it (the authors' code)."""
        textures: Path | None = None
        """Folder of pictures of anything else (the paper: Describable Textures Dataset); else procedural."""
        patience: PositiveInt | None = None
        """Validations without a better one before stopping; the learning rate's cycle is then cut short."""
        map: Literal["squared", "cosine"] = "squared"
        """The score map's distance: half the squared one, as published, or the image score's cosine one."""
        smoothing: NonNegativeFloat = 4.0
        """Sigma of the Gaussian over the score map, in pixels."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, and a bounded number of steps."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(backbone=DEFAULT_MODEL, steps=500)

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """One frozen pyramid of two levels."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """The embedding, fine and reduced, what separates the latter from the reference, and how far."""
        self.require_fitted("features")
        (fine, coarse), channels = self.strides_, self.params.embedding
        return (
            FeatureSpec("cse/embedding", channels, fine),
            FeatureSpec("cse/reduced", channels, coarse),
            FeatureSpec("cse/residual", channels, coarse),
            FeatureSpec("cse/distance", 1, coarse),
        )

    def _build(self) -> None:
        fine, deep = self.channels_
        self.embedder_ = Embedder(fine, deep, self.params.embedding)
        if self.params.classifier:
            self.classifier_ = nn.Conv2d(self.params.embedding, 1, 1)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        self._remember(context.pool.spec(request), images.size)
        self._refuse_impossible(images, validation)
        textures = textures_of(self.params.textures)
        with seeded_construction(context.seed, self.id):
            self._build()
            lesson = self._lesson(Sampler(images, self._kinds(textures), request, context))
        lesson.to(context.device)
        schedule = self.params.schedule(len(images.ids))
        self.log_ = train(self._task(lesson, schedule), images, validation, schedule, context).as_json()
        self.references_ = self._references(images, request, context)
        say_what_was_skipped(textures, self.id, context.progress)

    def _remember(self, spec: PyramidSpec, size: tuple[int, int]) -> None:
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)
        self.size_, self.backbone_ = list(size), spec.fingerprint

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse levels that do not lie on one another."""
        options, (fine, coarse) = self.params, specs[0].strides
        if coarse != 2 * fine or self.capabilities.multiple_of % coarse:
            raise ConfigError(
                f"{self.id}: levels {options.layers} of {options.backbone} have strides {fine} and {coarse}, "
                "expected the second to be twice the first and a divisor of 32; take neighbouring levels, "
                "such as (3, 4) of an EfficientNet"
            )

    def _refuse_impossible(self, images: ImageSource, validation: ImageSource) -> None:
        """Before any work: more clusters than images, and other sizes than were learned from."""
        count = len(images.ids)
        if self.params.clusters > count:
            asked = f"{self.params.clusters} clusters asked of {count} good images"
            raise InputError(f"{self.id}: {asked}; ask for at most {count}")
        self.require_learned_size(validation.size)

    def _kinds(self, textures: Textures) -> OneOf:
        kinds = (StructuralAnomaly(), TexturalAnomaly(textures), BlurAnomaly())
        return OneOf(kinds, clean_share=1 - self.params.defect_share)

    def _lesson(self, sampler: Sampler) -> Contrast | Classification:
        options = self.params
        if options.classifier:
            return Classification(sampler, self.embedder_, self.classifier_)
        (fine, deep), decoder = self.channels_, None
        if options.decoder != "none":
            decoder = Decoder(fine, deep, options.embedding).requires_grad_(options.decoder == "trained")
        return Contrast(
            sampler, self.embedder_, decoder, weight=options.contrast_weight, axis=options.similarity
        )

    def _task(self, lesson: Contrast | Classification, schedule: Schedule) -> Task:
        options = self.params
        adam = torch.optim.Adam(
            [weights for weights in lesson.parameters() if weights.requires_grad],
            lr=options.learning_rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
        )
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            adam,
            max_lr=10 * options.learning_rate,
            total_steps=schedule.steps,
            cycle_momentum=options.cycle_momentum,
        )
        identity = f"{options!r} {self.backbone_}"
        return Task(self.id, lesson, [adam], lesson.loss, lesson.judge, [cycle], identity)

    def _references(self, images: ImageSource, request: BackboneRequest, context: FitContext) -> Tensor:
        """(K, C, h, w), from the reduced embeddings of all good images."""
        maps, counted = [], []
        with torch.no_grad():
            for batch, pyramids in context.walk(images, [request], f"{self.id}: gathering embeddings"):
                _, reduced = self.embedder_(*pyramids[request].maps)
                positions = positions_of(reduced, batch.valid)
                maps.append(reduced)
                counted.append(torch.ones_like(reduced[:, 0]).bool() if positions is None else positions)
        options = self.params
        return references_of(
            torch.cat(maps),
            torch.cat(counted),
            options.clusters,
            kind=options.reference,
            seed=derive(context.seed, self.id, "clusters"),
            owner=self.id,
        )

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        self.require_learned_size(batch.size)
        (request,) = self.backbones()
        embedded, reduced = self.embedder_(*pyramids[request].maps)
        counted = positions_of(reduced, batch.valid)
        match = matched(reduced, self.references_, counted)
        if self.params.classifier:
            # The logit is the mean of this map, so the map says where the logit comes from.
            patches = self.classifier_(reduced)[:, 0]
            image = mean_of(patches, counted)
        else:
            squared = self.params.map == "squared"
            patches = squared_distances(reduced, match.reference) if squared else match.distances
            image = match.image
        scores = patch_scores(
            patches, batch.size, smoothing=self.params.smoothing, valid=batch.valid, image=image
        )
        names = tuple(spec.name for spec in self.features())
        maps = (embedded, reduced, reduced - match.reference, match.distances[:, None])
        return Observation(FeatureMaps(maps, names), scores)
