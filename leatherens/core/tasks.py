"""What a detector hands to the one gradient loop (`core.training`), and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from leatherens.core.types import ImageBatch


@dataclass(frozen=True, slots=True)
class Task:
    """What learns: a module in whose tensors everything learned lives, a loss and a judgement.

    loss: batch and generator of this step (for augmentation) to a scalar; or to an iterator of scalars, each
        made after the one before has moved the weights: several gradient steps on one batch, logged as their
        mean.
    optimizers: one, or one for each group of weights that has its own rule; stepped one after the other.
    judge: batch of validation images to (B,) values, smaller is better; the module is in eval mode.
        `None` keeps the last state.
    schedulers: stepped after every gradient step.
    identity: whatever else makes it this training, such as the options behind the loss; a checkpoint of
        another identity is not gone on from.
    """

    name: str
    module: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    loss: Callable[[ImageBatch, torch.Generator], Tensor | Iterator[Tensor]]
    judge: Callable[[ImageBatch, torch.Generator], Tensor] | None = None
    schedulers: Sequence[torch.optim.lr_scheduler.LRScheduler] = ()
    identity: str = ""


@dataclass(slots=True)
class TrainingLog:
    """What happened: one loss per step, one (step, value) per validation, and the step that was kept."""

    losses: list[float] = field(default_factory=list)
    validations: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0

    @property
    def best(self) -> float:
        """The smallest validation value so far."""
        return min((value for _, value in self.validations), default=float("inf"))

    def as_json(self) -> dict[str, Any]:
        """Plain values for the artifact."""
        return {
            "losses": self.losses,
            "validations": [list(v) for v in self.validations],
            "best_step": self.best_step,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TrainingLog:
        """What `as_json` wrote."""
        pairs = [(int(step), float(judged)) for step, judged in value["validations"]]
        return cls(list(value["losses"]), pairs, int(value["best_step"]))
