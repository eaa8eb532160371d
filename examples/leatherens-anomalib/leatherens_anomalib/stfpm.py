"""anomalib's STFPM: a student that repeats a frozen teacher on good images; trained by leatherens' loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens import Capabilities, Effort, FitContext, ImageBatch
from leatherens.core.detector import FeatureSpec
from leatherens.core.schedules import TrainedParams
from leatherens.core.tasks import Task
from leatherens.core.training import train
from leatherens.core.types import ImageSource
from leatherens.core.weights import DEFAULT_MODEL
from leatherens_anomalib.bridge import Bridged, BridgeParams


class Stfpm(Bridged):
    """Student, loss and map are anomalib's."""

    id = "anomalib-stfpm"
    module = "stfpm.torch_model"
    capabilities = Capabilities(multiple_of=32, min_size=64, min_images=2, trains=True)

    class Params(TrainedParams, BridgeParams):
        """anomalib's settings."""

        backbone: str = "resnet18"
        layers: tuple[int, ...] = (1, 2, 3)
        epochs: PositiveInt = 100
        batch_size: PositiveInt = 32
        learning_rate: PositiveFloat = 0.4
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
        weight_decay: NonNegativeFloat = 0.001

    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        """At quick effort the backbone that is always there, fewer steps and small batches."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(backbone=DEFAULT_MODEL, batch_size=8, steps=150)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Per level what the student's unit feature is off its teacher's."""
        self.require_fitted("features")
        levels = zip(self.params.layers, self.channels_, self.strides_, strict=True)
        return tuple(FeatureSpec(f"{self.id}/difference{i}", c, s) for i, c, s in levels)

    def _model(self, parts: Any) -> nn.Module:
        options = self.params
        model: nn.Module = parts.STFPMModel(layers=options.layers, backbone=options.backbone)
        return model

    def _learn(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        schedule = self.params.schedule(len(images.ids))
        self.log_ = train(self._task(context), images, validation, schedule, context).as_json()

    def _task(self, context: FitContext) -> Task:
        from anomalib.models.image.stfpm.loss import STFPMLoss

        model: Any = self.model_
        options, matching = self.params, STFPMLoss()
        optimizer = torch.optim.SGD(
            model.student_model.parameters(),
            lr=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )

        def asked(batch: ImageBatch) -> Any:
            levels = context.pyramids(batch, self.backbones())[self.backbones()[0]].maps
            with self._given.lent(levels):
                return model(self._normalised(batch))

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            teacher, student = asked(batch)
            found: Tensor = matching(teacher, student)
            return found

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            found: Tensor = asked(batch).anomaly_map
            return found.flatten(1).mean(dim=1)

        identity = f"{options!r} {context.pool.spec(self.backbones()[0]).fingerprint}"
        return Task(self.id, model, [optimizer], loss=loss, judge=judge, identity=identity)

    def _maps(self, levels: Sequence[Tensor], batch: ImageBatch) -> tuple[Tensor, ...]:
        model: Any = self.model_
        student = model.student_model(self._normalised(batch)).values()
        return tuple(F.normalize(t) - F.normalize(s) for t, s in zip(levels, student, strict=True))
