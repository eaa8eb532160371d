"""The one gradient loop: early stopping, checkpoints, resume to the same result, progress, AMP.

A detector hands over a `Task` (what learns and how it is judged) and a `Schedule`. Every step takes
its randomness from (seed, step), every epoch its order from (seed, epoch); a resumed training
therefore repeats the uninterrupted one exactly, without generator states on disk.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leatherens.core.artifact import write_tensors
from leatherens.core.checkpoint import (
    flat_optimizers,
    load_optimizers,
    moved_on,
    read_checkpoint,
    under,
)
from leatherens.core.detector import FitContext
from leatherens.core.errors import ArtifactError, TrainingError
from leatherens.core.randomness import derive, numpy_generator, torch_generator
from leatherens.core.schedules import Schedule
from leatherens.core.tasks import Task, TrainingLog
from leatherens.core.types import ImageBatch, ImageSource, batches, walked

CHECKPOINT_SECONDS = 20.0
"""At most this much training is lost to a power cut; Ctrl-C loses none."""


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the returned function is called, so that no step is left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    pending: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: pending.append(number))

    def check() -> None:
        if pending:
            raise KeyboardInterrupt

    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)


def train(
    task: Task,
    images: ImageSource,
    validation: ImageSource,
    schedule: Schedule,
    context: FitContext,
) -> TrainingLog:
    """Train a task; its module ends in eval mode, holding the best validated state."""
    return _Trainer(task, images, validation, schedule, context).run()


@dataclass(frozen=True, slots=True)
class _Finished:
    """A training that is over, as the checkpoints of those after it keep it."""

    key: str
    log: TrainingLog
    state: dict[str, Tensor]


class Course:
    """Trainings of one fit, one after the other, on one checkpoint: what is over is not learned again.

    Give their tasks different names. A training is another one if any before it was another one.
    """

    def __init__(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self._images = images
        self._validation = validation
        self._context = context
        if context.keeping is not None:
            self._context = replace(context, keeping=None)
            context.progress.say("no checkpoints are kept of what learns in several trainings")
        self._finished: list[_Finished] = []

    def train(self, task: Task, schedule: Schedule) -> TrainingLog:
        """As `training.train`; or take the state in which an interrupted course left this task."""
        before = tuple(self._finished)
        trainer = _Trainer(task, self._images, self._validation, schedule, self._context, before)
        log = trainer.run()
        state = {name: t.detach().clone() for name, t in task.module.state_dict().items()}
        self._finished.append(_Finished(trainer.key, log, state))
        return log


class _Trainer:
    """One training: the loop and what it must remember to go on after an interruption."""

    def __init__(
        self,
        task: Task,
        images: ImageSource,
        validation: ImageSource,
        schedule: Schedule,
        context: FitContext,
        before: Sequence[_Finished] = (),
    ) -> None:
        self.task = task
        self.images = images
        self.validation = validation
        self.schedule = schedule
        self.context = context
        self.before = before
        self.log = TrainingLog()
        self.best: dict[str, Tensor] = {}
        self.key = self._key()  # now: schedulers move what it is made of
        self.told = 0  # steps of which the observer knows
        self.saved_at = time.monotonic()
        self.unsaved = False

    def run(self) -> TrainingLog:
        self._resume()
        if self.before and not self._done:
            self._save()  # the training before this one is over, whatever happens now
        try:
            self._learn()
        finally:
            self.context.observer.ended(self.task.name, self.log)
        return self.log

    def _learn(self) -> None:
        with self.context.progress.step(f"{self.task.name}: learning", self.schedule.steps) as advance:
            advance(self._done)
            try:
                self._loop(advance)
            except KeyboardInterrupt:
                self._save()
                raise
        self._finish()
        self._tell()

    @property
    def _done(self) -> int:
        return len(self.log.losses)

    @property
    def _steps(self) -> int:
        return min(self.schedule.steps, self.context.until or self.schedule.steps)

    @property
    def _epoch_steps(self) -> int:
        """Steps of a walk through the images, as options that are given in epochs count them."""
        return -(-len(self.images.ids) // self.schedule.batch_size)

    def _loop(self, advance: Callable[[int], None]) -> None:
        with interrupts_between_steps() as check:
            remaining = map(self._order, range(self._done, self._steps))
            with closing(walked(self.images, remaining)) as loaded:
                for batch in loaded:
                    if self._out_of_patience():
                        return
                    self._step(self._done, batch)
                    if self._done % self.schedule.validate_every == 0 or self._done == self.schedule.steps:
                        self._validate()
                    if self._done % self._epoch_steps == 0:
                        self._tell()
                    if time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
                        self._save()
                    self._keep()
                    advance(1)
                    check()

    def _step(self, step: int, loaded: ImageBatch) -> None:
        self.task.module.train()
        batch = loaded.to(self.context.device)
        generator = torch_generator(self.context.seed, self.task.name, "step", step)
        values = [self._descend(loss, step) for loss in self._losses(batch, generator)]
        for scheduler in self.task.schedulers:
            scheduler.step()
        self.log.losses.append(math.fsum(values) / len(values))

    def _losses(self, batch: ImageBatch, generator: torch.Generator) -> Iterator[Tensor]:
        """Those of one step, one after the other; nothing is yielded within the context of autocast."""
        with self._autocast():
            made = self.task.loss(batch, generator)
            losses = iter([made]) if isinstance(made, Tensor) else made
            loss = next(losses, None)
        while loss is not None:
            yield loss
            with self._autocast():
                loss = next(losses, None)

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.context.device.startswith("cuda"))

    def _descend(self, loss: Tensor, step: int) -> float:
        """Move the weights against the gradient of this loss; its value."""
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._diverged("the loss", step)
        for optimizer in self.task.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.task.optimizers:
            optimizer.step()
        return value

    def _order(self, step: int) -> Sequence[int]:
        """The images of one step: epochs are shuffled walks, a short last batch is filled from the next."""
        count = len(self.images.ids)
        wanted = range(step * self.schedule.batch_size, (step + 1) * self.schedule.batch_size)
        return [int(self._epoch(position // count)[position % count]) for position in wanted]

    def _epoch(self, epoch: int) -> Any:
        generator = numpy_generator(self.context.seed, self.task.name, "epoch", epoch)
        return generator.permutation(len(self.images.ids))

    def _validate(self) -> None:
        if self.task.judge is None:
            return
        self.task.module.eval()
        values = []
        with torch.inference_mode():
            for start, batch in enumerate(batches(self.validation, self.schedule.batch_size)):
                generator = torch_generator(self.context.seed, self.task.name, "validation", start)
                values.append(self.task.judge(batch.to(self.context.device), generator).float().cpu())
        value = float(torch.cat(values).mean())
        if not math.isfinite(value):
            raise self._diverged("the validation value", self._done)
        if value < self.log.best:
            self.log.best_step = self._done
            self.best = {name: t.detach().clone() for name, t in self.task.module.state_dict().items()}
        self.log.validations.append((self._done, value))

    def _out_of_patience(self) -> bool:
        if self.schedule.patience is None:
            return False
        since = sum(1 for step, _ in self.log.validations if step > self.log.best_step)
        return since >= self.schedule.patience

    def _tell(self) -> None:
        """Tell the observer of the steps it does not know yet: an epoch, or what is left of the last one."""
        since, self.told = self.told, self._done
        if since < self._done:
            epoch = -(-self._done // self._epoch_steps)
            self.context.observer.epoch_ended(self.task.name, epoch, self.log, since)

    def _finish(self) -> None:
        if self.best:
            self.task.module.load_state_dict(self.best)
        else:
            self.log.best_step = self._done
        self.task.module.eval()

    def _diverged(self, what: str, step: int) -> TrainingError:
        self._finish()
        rate = max(group["lr"] for optimizer in self.task.optimizers for group in optimizer.param_groups)
        good = (
            f"the last good state is of step {self.log.best_step}"
            if self.best
            else "no good state was reached"
        )
        return TrainingError(
            f"{self.task.name}: {what} became NaN or infinite at step {step} (learning rate {rate:g}); "
            f"{good}. Try a smaller learning rate.",
            member=self.task.name,
            step=step,
        )

    def _save(self) -> None:
        """Keep a checkpoint; a full disk is told once and does not end a training that can go on."""
        if self.context.checkpoint is None:
            return
        try:
            self._write(self.context.checkpoint)
        except ArtifactError as error:
            if not self.unsaved:
                self.context.progress.say(
                    f"{self.task.name}: no checkpoint could be kept, an interruption now would lose what was "
                    f"learned since the last one; {error}"
                )
            self.unsaved = True
        else:
            self.unsaved = False
        self.saved_at = time.monotonic()  # after it: what takes long to write is not written at every step

    def _keep(self) -> None:
        """Keep this state too if it is its turn; the last one is what the training gives."""
        keeping = self.context.keeping
        if keeping is None or self._done % keeping.every or self._done == self.schedule.steps:
            return
        try:
            self._write(keeping.file(self._done))
        except ArtifactError as error:
            self.context.progress.say(
                f"{self.task.name}: the checkpoint of step {self._done} could not be kept; {error}"
            )

    def _write(self, path: Path) -> None:
        tensors = {f"module.{k}": v for k, v in self.task.module.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        moments, plain = flat_optimizers(self.task.optimizers)
        note = {"log": self.log.as_json(), "optimizers": plain, "key": self.key}
        note["finished"] = [{"key": over.key, "log": over.log.as_json()} for over in self.before]
        for i, over in enumerate(self.before):
            tensors |= {f"finished{i}.{k}": v for k, v in over.state.items()}
        write_tensors(path, tensors | moments, {"note": json.dumps(note)})

    def _resume(self) -> None:
        path = self.context.checkpoint
        if path is None or not path.exists():
            return
        tensors, note = read_checkpoint(path)
        place = len(self.before)
        over = note.get("finished", [])[place : place + 1]
        if over and over[0]["key"] == self.key:
            self.log = TrainingLog.from_json(over[0]["log"])
            self.best = under(f"finished{place}.", tensors)  # nothing is left to do but to take it
            self.told = self._done
            self.context.progress.say(f"{self.task.name}: already learned")
        elif note["key"] == self.key:
            self._go_on(tensors, note)
        elif note["key"] not in [earlier.key for earlier in self.before]:
            self.context.progress.say(
                f"{self.task.name}: the checkpoint is of other options or images; starting anew"
            )

    def _go_on(self, tensors: dict[str, Tensor], note: dict[str, Any]) -> None:
        self.log = TrainingLog.from_json(note["log"])
        self.told = self._done - self._done % self._epoch_steps  # an epoch is told whole, or not yet
        self.task.module.load_state_dict(under("module.", tensors))
        self.best = under("best.", tensors)
        for scheduler in self.task.schedulers:
            moved_on(scheduler, self._done)
        load_optimizers(self.task.optimizers, tensors, note["optimizers"])
        self.context.progress.say(
            f"{self.task.name}: going on from step {self._done} of {self.schedule.steps}"
        )

    def _key(self) -> str:
        """Changes with anything that would make this another training."""
        task = self.task
        shapes = [(name, tuple(t.shape)) for name, t in task.module.state_dict().items()]
        groups = [
            {k: v for k, v in g.items() if k != "params"} for o in task.optimizers for g in o.param_groups
        ]
        parts = [
            (task.name, task.identity, str(self.schedule), str(shapes)),
            (*(type(part).__name__ for part in (*task.optimizers, *task.schedulers)), str(groups)),
            (str(self.images.size), *self.images.ids, "validation", *self.validation.ids),
            *(("after", earlier.key) for earlier in self.before),
        ]
        return str(derive(self.context.seed, *(text for part in parts for text in part)))
