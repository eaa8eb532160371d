"""The CutPaste detector: options, both trainings, the Gaussians, scores and feature maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.one_gaussian import best_shrinkage, mahalanobis, whitening
from leatherens.core.own_pyramid import OwnPyramid
from leatherens.core.params import Share
from leatherens.core.patches import patch_scores
from leatherens.core.pca import Moments
from leatherens.core.randomness import seeded_construction
from leatherens.core.rows import maps_of, rows_of
from leatherens.core.schedules import KeepingParams, Schedule
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.synthesis.cutpaste import CutPaste as Pasted
from leatherens.core.synthesis.cutpaste import CutPasteScar
from leatherens.core.synthesis.kinds import spoilt
from leatherens.core.tasks import Task
from leatherens.core.training import Course
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.cutpaste.networks import Classifier, Head, pooled, told_apart

LEAST_SHRINKAGE = 1e-4
"""Of the images' covariance: what it takes to be inverted."""


def three_ways(batch: ImageBatch, generator: torch.Generator) -> ImageBatch:
    """(3 B, ...): the images, the same with a pasted rectangle each, and the same with a pasted scar each."""
    shown = [batch, *(spoilt(batch, kind, generator)[0] for kind in (Pasted(), CutPasteScar()))]
    valid = None if batch.valid is None else batch.valid.repeat(len(shown), 1, 1)
    return ImageBatch(torch.cat([some.pixels for some in shown]), batch.ids * len(shown), valid)


class CutPaste(Detector):
    """A representation in which pasted pieces stand out; the score is how far from good ones it lies."""

    id: ClassVar[str] = "cutpaste"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=32, min_size=64, min_images=2, trains=True
    )
    default_cut: ClassVar[tuple[str, ...]] = ("whitened",)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [1, 3],
        "batch_size": 4,
        "steps": 20,
        "learning_rate": 0.003,
    }

    class Params(KeepingParams):
        """The paper's three-way settings; what it leaves open is as in an open implementation."""

        backbone: str = "resnet18"
        layers: Annotated[tuple[int, ...], Field(min_length=2, max_length=2)] = (3, 4)
        """The score map is made of the first, the embedding of the second.

        The paper localises with another network, taught on squares of 64 x 64, and its embedding of every
        such square. A convolutional network has an embedding of what surrounds every position already.
        """
        weights: str = "pretrained"
        head_layers: NonNegativeInt = 2
        """Hidden layers of the head, which only learning needs."""
        epochs: PositiveInt = 256
        steps: PositiveInt | None = 65536
        """The paper counts 256 epochs of 256 steps."""
        batch_size: Annotated[int, Field(ge=2)] = 32
        """Good images; each is shown three times: as it is, pasted and scarred."""
        learning_rate: PositiveFloat = 0.03
        """Of stochastic gradient descent, falling along a cosine."""
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
        weight_decay: NonNegativeFloat = 3e-5
        head_share: Share = 20 / 256
        """Of the steps, those in which only the head learns."""
        shrinkage: Annotated[float, Field(gt=0, le=1)] = 0.01
        """Of the positions' Gaussian to a sphere. The images' is shrunk by Ledoit and Wolf's rule, which is
        for independent samples and no good for neighbouring positions."""
        smoothing: NonNegativeFloat = 4.0
        """Sigma of the Gaussian over the score map, in pixels."""
        crop: Annotated[int | None, Field(ge=64, multiple_of=32)] = None
        """Learn on random squares of this side."""

        def schedules(self, images: int) -> tuple[Schedule | None, Schedule]:
            """Of the head alone, if it learns alone at all, and of everything."""
            whole = self.schedule(images)
            alone = min(round(self.head_share * whole.steps), whole.steps - 1)
            both = whole.model_copy(update={"steps": whole.steps - alone})
            return (whole.model_copy(update={"steps": alone}) if alone else None), both

    classifier_: Classifier
    mean_: Tensor
    """(C,): of good images' embeddings."""
    whitening_: Tensor
    """(C, C): what makes them independent and of variance 1."""
    position_mean_: Tensor
    position_whitening_: Tensor
    """The same of all positions of good images' first level."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, small batches of squares and few steps."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(backbone=DEFAULT_MODEL, batch_size=8, steps=120, crop=128)

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """What the classifier's backbone begins as."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """The first level's positions, whitened, and how long they are; and the level of the embedding."""
        self.require_fitted("features")
        (wide, deep), (stride, deep_stride) = self.channels_, self.strides_
        return (
            FeatureSpec(f"{self.id}/whitened", wide, stride),
            FeatureSpec(f"{self.id}/distance", 1, stride),
            FeatureSpec(f"{self.id}/embedding", deep, deep_stride),
        )

    def _build(self) -> None:
        (request,), options = self.backbones(), self.params
        backbone = OwnPyramid(request, self.preprocessing_["mean"], self.preprocessing_["std"])
        classifier = Classifier(backbone, Head(self.channels_[-1], options.head_layers))
        self.classifier_ = classifier.to(memory_format=torch.channels_last)

    def _remember(self, spec: PyramidSpec) -> None:
        self.channels_, self.strides_ = list(spec.channels), list(spec.strides)
        self.preprocessing_ = {"mean": list(spec.mean), "std": list(spec.std)}
        self.backbone_ = spec.fingerprint

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        self._remember(context.pool.spec(request))
        with seeded_construction(context.seed, self.id):
            self._build()
        context.pool.copy_into(self.classifier_.backbone.network, request)
        self.to(context.device)
        alone, both = self.params.schedules(len(images.ids))
        course = Course(images, validation, context)
        logs = {}
        if alone:
            logs["head"] = course.train(self._head_alone(context), alone).as_json()
        logs["all"] = course.train(self._together(both), both).as_json()
        self.log_ = logs
        self.classifier_.eval()
        self._gather(images, context)

    def _head_alone(self, context: FitContext) -> Task:
        """On the embeddings of the backbone as it is pretrained, at the highest rate."""
        options, (request,), head = self.params, self.backbones(), self.classifier_.head

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            shown = three_ways(random_crops(batch, options.crop, generator), generator)
            deep = context.pool.pyramids(shown, [request])[request].maps[-1]
            return told_apart(head(pooled(deep, shown.valid))).mean()

        identity = f"{options!r} {self.backbone_}"
        return Task(f"{self.id} head", head, [self._descent(head)], loss, identity=identity)

    def _together(self, schedule: Schedule) -> Task:
        options, classifier = self.params, self.classifier_

        def told(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            shown = three_ways(batch, generator)
            return told_apart(classifier(shown.pixels, shown.valid))

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            return told(random_crops(batch, options.crop, generator), generator).mean()

        descent = self._descent(classifier)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(descent, schedule.steps)
        judge = told if options.keep == "best" else None
        identity = f"{options!r} {self.backbone_}"
        return Task(self.id, classifier, [descent], loss, judge, [falling], identity)

    def _descent(self, module: nn.Module) -> torch.optim.Optimizer:
        options = self.params
        return torch.optim.SGD(
            module.parameters(),
            lr=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )

    def _gather(self, images: ImageSource, context: FitContext) -> None:
        """Gaussians of good embeddings and of good positions."""
        embeddings, positions = [], Moments(self.channels_[0])
        with torch.no_grad():
            for batch, _ in context.walk(images, (), f"{self.id}: gathering embeddings"):
                level, deep = self.classifier_.backbone(batch.pixels)
                embeddings.append(pooled(deep, batch.valid).cpu())
                positions.add(rows_of(level, batch.valid))
        rows = torch.cat(embeddings).double()
        self.mean_ = rows.mean(dim=0).float()
        self.whitening_ = whitening(
            rows.T.cov(correction=0), max(best_shrinkage(rows), LEAST_SHRINKAGE)
        ).float()
        self.position_mean_ = positions.mean.float()
        self.position_whitening_ = whitening(positions.covariance(), self.params.shrinkage).float()

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        level, deep = self.classifier_.backbone(batch.pixels)
        rows = (rows_of(level) - self.position_mean_) @ self.position_whitening_.T
        whitened = maps_of(rows, level)
        distance = whitened.square().sum(dim=1).sqrt()  # (B, h, w)
        image = mahalanobis(pooled(deep, batch.valid), self.mean_, self.whitening_)
        scores = patch_scores(
            distance, batch.size, smoothing=self.params.smoothing, valid=batch.valid, image=image
        )
        names = tuple(spec.name for spec in self.features())
        return Observation(FeatureMaps((whitened, distance[:, None], deep), names), scores)
