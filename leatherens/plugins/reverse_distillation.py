"""Reverse distillation (Deng and Li, CVPR 2022): a decoder regenerates a teacher's features from a code.

What good leather never shows does not survive the code's narrow passage, so that the decoder's features
differ from the teacher's where something is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from leatherens.core.detector import FitContext
from leatherens.core.reverse import LOSSES, ReverseNetworks, plan_for
from leatherens.core.reverse_detector import ReverseDetector, ReverseParams, Teach
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.tasks import Task
from leatherens.core.types import ImageBatch


class ReverseDistillation(ReverseDetector):
    """A decoder that regenerates a teacher's features from a narrow code; the score is where it cannot."""

    id: ClassVar[str] = "reverse-distillation"
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "batch_size": 4,
        "steps": 30,
    }

    class Params(ReverseParams):
        """The published settings."""

        loss: Literal["flattened", "positions"] = "flattened"
        """Cosine of whole levels, as in the authors' code, or of each position, as in the paper."""

    def _networks(self) -> nn.Module:
        return ReverseNetworks(self.channels_, plan_for(self.params.backbone, len(self.channels_)))

    def _task(self, teach: Teach, context: FitContext) -> Task:
        options = self.params
        lost = LOSSES[options.loss]

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            shown = random_crops(batch, options.crop, generator)
            teacher = teach(shown, keep=shown is batch)
            return lost(teacher, self._regenerated(teacher).levels, shown.valid).mean()

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            teacher = teach(batch, keep=True)
            return lost(teacher, self._regenerated(teacher).levels, batch.valid)

        adam = torch.optim.Adam(self.networks_.parameters(), lr=options.learning_rate, betas=options.betas)
        judges = judge if options.keep == "best" else None
        return Task(self.id, self.networks_, [adam], loss, judges, identity=f"{options!r} {self.teacher_}")
