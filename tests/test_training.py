"""The gradient loop: order, early stopping, divergence, interruption and resumption, a full disk."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import SGD, Adam, lr_scheduler

from leatherens.core import training
from leatherens.core.artifact import read_tensors
from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import FitContext, Keeping
from leatherens.core.errors import ArtifactError, TrainingError
from leatherens.core.progress import Advance, Silent
from leatherens.core.randomness import numpy_generator, seeded_construction, torch_generator
from leatherens.core.schedules import Schedule
from leatherens.core.tasks import Task, TrainingLog
from leatherens.core.training import Course, interrupts_between_steps, train
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.core.weights import WeightFinder

SHORT = Schedule(steps=12, batch_size=3, validate_every=3)


def photographs(count: int = 7, *, prefix: str = "hide", seed: int = 0) -> ImagesInMemory:
    pixels = torch.rand((count, 3, 8, 10), generator=torch.Generator().manual_seed(seed))
    return ImagesInMemory(ImageBatch(pixels, tuple(f"{prefix}{i}" for i in range(count))))


HELD_OUT = photographs(4, prefix="held out ", seed=1)


class Watched(Silent):
    """Remembers what was said and advanced; interrupts when `stop_at` units are done."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.sentences: list[str] = []
        self.done = 0
        self.stop_at = stop_at

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        def advance(units: int) -> None:
            self.done += units
            if units and self.done == self.stop_at:
                raise KeyboardInterrupt

        yield advance

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def context(checkpoint: Path | None = None, *, stop_at: int | None = None, seed: int = 5) -> FitContext:
    return FitContext(
        BackbonePool(WeightFinder()), seed=seed, progress=Watched(stop_at), checkpoint=checkpoint
    )


def said(found: FitContext) -> list[str]:
    assert isinstance(found.progress, Watched)
    return found.progress.sentences


Rates = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


Optimizers = Callable[[nn.Sequential], list[torch.optim.Optimizer]]


def sgd(network: nn.Sequential) -> list[torch.optim.Optimizer]:
    return [SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)]


def adam(network: nn.Sequential) -> list[torch.optim.Optimizer]:
    return [Adam(network.parameters(), lr=0.01)]


def sgd_and_adam(network: nn.Sequential) -> list[torch.optim.Optimizer]:
    return [SGD(network[:2].parameters(), lr=0.1, momentum=0.9), Adam(network[2:].parameters(), lr=0.01)]


def noisy_task(optimizers: Optimizers = sgd, rates: Rates | None = None) -> Task:
    """A small network with batch-norm whose loss draws from the step's generator."""
    with seeded_construction(1, "test"):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))

    def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        noise = torch.rand(batch.pixels.shape, generator=generator)
        return (network(batch.pixels + 0.3 * noise) - 1).square().mean()

    def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        return (network(batch.pixels) - 1).square().mean(dim=(1, 2, 3))

    made = optimizers(network)
    return Task("member", network, made, loss, judge, [rates(o) for o in made] if rates else [])


class Counter(nn.Module):
    """One number; with the loss `number` and a learning rate of 1 it is minus the steps done."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.zeros(()))

    @property
    def steps(self) -> int:
        return round(-float(self.number.detach()))


def counting_task(values: dict[int, float] | None = None, *, nan_at: int | None = None) -> Task:
    """A task that is judged `values[step]`; its loss is NaN at step `nan_at`."""
    counter = Counter()

    def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        return counter.number * (float("nan") if counter.steps == nan_at else 1)

    def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        assert values is not None
        return torch.full((len(batch),), values[counter.steps])

    return Task("member", counter, [SGD(counter.parameters(), lr=1.0)], loss, judge if values else None)


def steps_of(task: Task) -> int:
    assert isinstance(task.module, Counter)
    return task.module.steps


# the order of images


@pytest.mark.parametrize(("count", "batch_size"), [(7, 3), (4, 4), (2, 5)])
def test_train__shows_every_image_once_in_each_epoch_and_shuffles_anew(count: int, batch_size: int) -> None:
    seen: list[str] = []
    task = counting_task()

    def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        seen.extend(batch.ids)
        return task.loss(batch, generator)

    schedule = Schedule(steps=count * 6, batch_size=batch_size, validate_every=1)
    train(replace(task, loss=loss), photographs(count), HELD_OUT, schedule, context())

    epochs = [tuple(seen[start : start + count]) for start in range(0, len(seen), count)]
    assert all(set(epoch) == set(photographs(count).ids) for epoch in epochs)
    assert len(set(epochs)) > 1


def test_train__repeats_itself_and_follows_the_seed() -> None:
    first, again, other = (
        train(noisy_task(), photographs(), HELD_OUT, SHORT, context(seed=seed)) for seed in (5, 5, 6)
    )
    assert first == again
    assert first.losses != other.losses


def test_train__draws_anew_in_each_step_and_alike_in_each_validation() -> None:
    drawn: dict[str, list[float]] = {"loss": [], "judge": []}
    task = counting_task(dict.fromkeys(range(7), 1.0))
    judge = task.judge
    assert judge is not None

    def noted_loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        drawn["loss"].append(float(torch.rand((), generator=generator)))
        return task.loss(batch, generator)

    def noted_judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        drawn["judge"].append(float(torch.rand((), generator=generator)))
        return judge(batch, generator)

    schedule = Schedule(steps=6, batch_size=2, validate_every=1)  # four held-out images: two batches
    train(replace(task, loss=noted_loss, judge=noted_judge), photographs(), HELD_OUT, schedule, context())
    assert len(set(drawn["loss"])) == 6
    assert drawn["judge"] == drawn["judge"][:2] * 6
    assert len(set(drawn["judge"])) == 2


def test_train__advances_by_one_for_each_step() -> None:
    watched = context()
    train(noisy_task(), photographs(), HELD_OUT, SHORT, watched)
    assert isinstance(watched.progress, Watched)
    assert watched.progress.done == 12


# several gradient steps on one batch


def several_task(optimizers: Optimizers = adam, rates: Rates | None = None, *, times: int = 3) -> Task:
    """The noisy task, its loss taken `times` times a step with noise drawn in turn."""
    task = noisy_task(optimizers, rates)

    def losses(batch: ImageBatch, generator: torch.Generator) -> Iterator[Tensor]:
        for _ in range(times):
            loss = task.loss(batch, generator)
            assert isinstance(loss, Tensor)
            yield loss

    return replace(task, loss=losses)


def test_train__moves_the_weights_after_each_of_several_losses() -> None:
    task = counting_task()
    assert isinstance(task.module, Counter)
    number = task.module.number
    seen: list[float] = []

    def losses(batch: ImageBatch, generator: torch.Generator) -> Iterator[Tensor]:
        for _ in range(3):
            seen.append(float(number.detach()))
            yield number * 1

    schedule = Schedule(steps=2, batch_size=2, validate_every=1)
    log = train(replace(task, loss=losses), photographs(), HELD_OUT, schedule, context())
    assert seen == [0, -1, -2, -3, -4, -5]
    assert log.losses == [-1, -4], "the mean of each step's"


def test_train__several_losses_are_those_of_a_plain_loop_and_move_the_learning_rate_once() -> None:
    task, twin = several_task(rates=RATES["lambda"]), several_task(rates=RATES["lambda"])
    watched = context()
    train(replace(task, judge=None), photographs(), HELD_OUT, SHORT, watched)

    (optimizer,), rates = twin.optimizers, []
    for step in range(SHORT.steps):
        batch = photographs().batch(epoch_order(step))
        made = twin.loss(batch, torch_generator(5, "member", "step", step))
        assert not isinstance(made, Tensor)
        for loss in made:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        twin.schedulers[0].step()
    assert rates == pytest.approx([0.01 / (1 + step) for step in range(12)])
    expected = twin.module.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in task.module.state_dict().items())
    assert isinstance(watched.progress, Watched)
    assert watched.progress.done == 12


def epoch_order(step: int) -> list[int]:
    """Which of seven photographs a step of three sees: walks shuffled by seed 5, one after the other."""
    orders = [numpy_generator(5, "member", "epoch", epoch).permutation(7).tolist() for epoch in range(6)]
    return [order for epoch in orders for order in epoch][3 * step : 3 * step + 3]


def test_train__several_losses_resumed_equal_uninterrupted_bit_for_bit(tmp_path: Path) -> None:
    expected_log, expected = finished(several_task(), context())
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        finished(several_task(), context(file, stop_at=5))
    log, found = finished(several_task(), context(file))
    assert log == expected_log
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_train__ends_where_one_of_several_losses_is_nan() -> None:
    task = counting_task(nan_at=4)

    def losses(batch: ImageBatch, generator: torch.Generator) -> Iterator[Tensor]:
        for _ in range(3):
            loss = task.loss(batch, generator)
            assert isinstance(loss, Tensor)
            yield loss

    with pytest.raises(TrainingError, match=r"^member: the loss became NaN or infinite at step 1 "):
        train(replace(task, loss=losses), photographs(), HELD_OUT, SHORT, context())
    assert steps_of(task) == 4


# validation and early stopping


def test_train__keeps_the_best_validated_state() -> None:
    task = counting_task({2: 3.0, 4: 1.0, 6: 2.0, 7: 1.5})
    log = train(task, photographs(), HELD_OUT, Schedule(steps=7, batch_size=2, validate_every=2), context())
    assert steps_of(task) == log.best_step == 4
    assert log.validations == [(2, 3.0), (4, 1.0), (6, 2.0), (7, 1.5)]
    assert log.best == 1.0
    assert not task.module.training


def test_train__keeps_the_first_of_equally_good_states() -> None:
    task = counting_task({1: 2.0, 2: 1.0, 3: 1.0})
    train(task, photographs(), HELD_OUT, Schedule(steps=3, batch_size=2, validate_every=1), context())
    assert steps_of(task) == 2


def test_train__keeps_the_last_state_of_a_task_without_a_judge() -> None:
    task = counting_task()
    log = train(task, photographs(), HELD_OUT, Schedule(steps=5, batch_size=2, validate_every=2), context())
    assert steps_of(task) == log.best_step == 5
    assert log.validations == []


def test_train__stops_after_as_many_validations_without_a_better_value_as_patience_allows() -> None:
    values = {1: 3.0, 2: 2.0, 3: 2.5, 4: 2.0, 5: 1.0, 6: 1.1, 7: 1.2, 8: 1.3, 9: 0.0}
    task = counting_task(values)
    schedule = Schedule(steps=9, batch_size=2, validate_every=1, patience=3)
    log = train(task, photographs(), HELD_OUT, schedule, context())
    assert len(log.losses) == 8
    assert steps_of(task) == 5


def test_train__judges_all_held_out_images_in_eval_mode_without_gradient() -> None:
    seen: list[str] = []
    task = noisy_task()

    def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        assert not task.module.training
        assert not torch.is_grad_enabled()
        seen.extend(batch.ids)
        return torch.zeros(len(batch))

    train(
        replace(task, judge=judge),
        photographs(),
        HELD_OUT,
        Schedule(steps=1, batch_size=3, validate_every=1),
        context(),
    )
    assert seen == list(HELD_OUT.ids)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch_size": 0}, {"validate_every": 0}, {"patience": 0}])
def test_schedule__refuses_what_would_never_learn(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        Schedule(**{"steps": 1, "batch_size": 1, "validate_every": 1, **wrong})


def test_training_log__survives_json() -> None:
    log = train(noisy_task(), photographs(), HELD_OUT, SHORT, context())
    assert TrainingLog.from_json(json.loads(json.dumps(log.as_json()))) == log


# divergence


def test_train__ends_on_a_nan_loss_with_the_best_state_in_place() -> None:
    task = counting_task({2: 1.0, 4: 2.0}, nan_at=5)
    with pytest.raises(TrainingError) as caught:
        train(task, photographs(), HELD_OUT, Schedule(steps=9, batch_size=2, validate_every=2), context())
    assert str(caught.value) == (
        "member: the loss became NaN or infinite at step 5 (learning rate 1); the last good state is of "
        "step 2. Try a smaller learning rate."
    )
    assert (caught.value.member, caught.value.step) == ("member", 5)
    assert steps_of(task) == 2
    assert not task.module.training


def test_train__says_when_no_good_state_was_reached() -> None:
    task = counting_task({9: 1.0}, nan_at=0)
    with pytest.raises(
        TrainingError, match=r"at step 0 \(learning rate 1\); no good state was reached\. Try"
    ):
        train(task, photographs(), HELD_OUT, Schedule(steps=9, batch_size=2, validate_every=9), context())
    assert steps_of(task) == 0  # the step with the bad loss was not made


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_train__ends_on_a_validation_value_that_is_no_number(value: float) -> None:
    task = counting_task({1: 1.0, 2: value})
    with pytest.raises(
        TrainingError, match=r"^member: the validation value became NaN or infinite at step 2 "
    ):
        train(task, photographs(), HELD_OUT, Schedule(steps=3, batch_size=2, validate_every=1), context())
    assert steps_of(task) == 1


# interruption and resumption

RATES: dict[str, Rates | None] = {
    "none": None,
    "multi-step": lambda o: lr_scheduler.MultiStepLR(o, [4, 9], gamma=0.2),
    "step": lambda o: lr_scheduler.StepLR(o, 3),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 12),
    "cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.2, total_steps=12),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "sequence": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=4), lr_scheduler.ExponentialLR(o, 0.9)], [4]
    ),
}


def finished(task: Task, found: FitContext) -> tuple[TrainingLog, dict[str, Tensor]]:
    log = train(task, photographs(), HELD_OUT, SHORT, found)
    return log, {name: t.clone() for name, t in task.module.state_dict().items()}


@pytest.mark.parametrize("rates", RATES.values(), ids=RATES.keys())
@pytest.mark.parametrize("optimizers", [sgd, adam, sgd_and_adam])
@pytest.mark.parametrize("stops", [[7], [12], [1, 5, 6]], ids=str)
def test_train__resumed_equals_uninterrupted_bit_for_bit(
    stops: list[int], optimizers: Optimizers, rates: Rates | None, tmp_path: Path
) -> None:
    expected_log, expected = finished(noisy_task(optimizers, rates), context())

    file = tmp_path / "checkpoint.safetensors"
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            finished(noisy_task(optimizers, rates), context(file, stop_at=stop))
    last = context(file)
    log, found = finished(noisy_task(optimizers, rates), last)

    assert said(last) == [f"member: going on from step {stops[-1]} of 12"]
    assert log == expected_log
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_train__resumes_from_a_checkpoint_kept_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: nothing was said or saved at the end."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1)
    file = tmp_path / "checkpoint.safetensors"
    _, expected = finished(noisy_task(adam), context())

    task = noisy_task(adam)
    made = 0

    def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        nonlocal made
        made += 1
        if made == 8:
            raise MemoryError
        return task.loss(batch, generator)

    with pytest.raises(MemoryError):
        finished(replace(task, loss=loss), context(file))
    again = context(file)
    _, found = finished(noisy_task(adam), again)

    assert said(again) == ["member: going on from step 7 of 12"]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_train__keeps_no_file_without_a_checkpoint_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1)
    with pytest.raises(KeyboardInterrupt):
        finished(noisy_task(), context(stop_at=3))
    assert list(tmp_path.iterdir()) == []


def test_train__saves_every_few_seconds_not_every_step(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    finished(noisy_task(), context(file))  # far quicker than CHECKPOINT_SECONDS
    assert not file.exists()


def test_train__does_not_save_at_every_step_what_takes_long_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, saved_at = 0, []

    def slowly(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        nonlocal now
        now += 90
        saved_at.append(now)
        save_file(tensors, path, metadata=metadata)

    task = noisy_task()

    def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        nonlocal now
        now += 10
        return task.loss(batch, generator)

    monkeypatch.setattr("safetensors.torch.save_file", slowly)
    monkeypatch.setattr("leatherens.core.training.time.monotonic", lambda: now)
    finished(replace(task, loss=loss), context(tmp_path / "checkpoint.safetensors"))  # 12 steps
    assert saved_at == [30 + 90, 150 + 90, 270 + 90, 390 + 90]  # each third step


OTHERS: dict[str, Callable[[Path], object]] = {
    "seed": lambda file: train(noisy_task(), photographs(), HELD_OUT, SHORT, context(file, seed=6)),
    "schedule": lambda file: train(
        noisy_task(), photographs(), HELD_OUT, SHORT.model_copy(update={"steps": 11}), context(file)
    ),
    "images": lambda file: train(noisy_task(), photographs(6), HELD_OUT, SHORT, context(file)),
    "held-out images": lambda file: train(
        noisy_task(), photographs(), photographs(3, prefix="other"), SHORT, context(file)
    ),
    "optimiser": lambda file: train(noisy_task(adam), photographs(), HELD_OUT, SHORT, context(file)),
    "learning rate": lambda file: train(
        noisy_task(lambda network: [SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)]),
        photographs(),
        HELD_OUT,
        SHORT,
        context(file),
    ),
    "scheduler": lambda file: train(
        noisy_task(rates=RATES["cosine"]), photographs(), HELD_OUT, SHORT, context(file)
    ),
    "identity": lambda file: train(
        replace(noisy_task(), identity="beta 0.5"), photographs(), HELD_OUT, SHORT, context(file)
    ),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_train__starts_anew_beside_a_checkpoint_of_another_training(
    other: Callable[[Path], object], tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        finished(noisy_task(), context(file, stop_at=4))
    sentences: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watched, "say", lambda self, sentence: sentences.append(sentence))
        found = other(file)

    assert sentences == ["member: the checkpoint is of other options or images; starting anew"]
    assert found == other(tmp_path / "none")


def test_train__refuses_a_damaged_checkpoint_and_leaves_it(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        finished(noisy_task(), context(file, stop_at=4))
    damaged = file.read_bytes()[:-40]
    file.write_bytes(damaged)
    with pytest.raises(ArtifactError) as caught:
        finished(noisy_task(), context(file))
    assert str(caught.value).startswith(f"{file}: damaged, not safetensors (")
    assert str(caught.value).endswith("); move it away to learn from the start")
    assert file.read_bytes() == damaged


def test_train__never_writes_over_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"weight": torch.ones(3)}, file)
    with pytest.raises(ArtifactError) as caught:
        finished(noisy_task(), context(file))
    assert str(caught.value) == (
        f"{file}: not the checkpoint of a training; move it away to learn from the start"
    )
    assert torch.equal(read_tensors(file)[0]["weight"], torch.ones(3))


# several trainings on one checkpoint


def hasty(network: nn.Sequential) -> list[torch.optim.Optimizer]:
    return [Adam(network.parameters(), lr=1.0)]


class Turns:
    """A first and a second training, the second with a loss that needs what the first one learned."""

    def __init__(
        self, found: FitContext, *, first: str = "", second: str = "", cut_at: int | None = None
    ) -> None:
        self.course = Course(photographs(), HELD_OUT, found)
        self.first = replace(noisy_task(hasty), name="first", identity=first)
        self.second = replace(noisy_task(sgd), name="second", identity=second)
        self.steps = {"first": 0, "second": 0}
        self.cut_at = cut_at

    def run(self) -> tuple[list[TrainingLog], dict[str, Tensor]]:
        logs = [self.course.train(self._counted(self.first), SHORT)]
        logs.append(self.course.train(self._counted(replace(self.second, loss=self._imitate)), SHORT))
        modules = {"first": self.first.module, "second": self.second.module}
        return logs, {f"{n}.{k}": t.clone() for n, m in modules.items() for k, t in m.state_dict().items()}

    def _imitate(self, batch: ImageBatch, generator: torch.Generator) -> Tensor:
        assert not self.first.module.training
        with torch.no_grad():
            wanted = self.first.module(batch.pixels)
        noise = torch.rand(batch.pixels.shape, generator=generator)
        loss: Tensor = (self.second.module(batch.pixels + noise) - wanted).square().mean()
        return loss

    def _counted(self, task: Task) -> Task:
        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            if sum(self.steps.values()) == self.cut_at:
                raise MemoryError
            self.steps[task.name] += 1
            return task.loss(batch, generator)

        return replace(task, loss=loss)


@pytest.fixture(scope="module")
def whole() -> tuple[list[TrainingLog], dict[str, Tensor]]:
    return Turns(context()).run()


Whole = tuple[list[TrainingLog], dict[str, Tensor]]


def expect_same(found: Whole, expected: Whole) -> None:
    assert found[0] == expected[0]
    assert all(torch.equal(found[1][name], tensor) for name, tensor in expected[1].items())


def test_course__trains_each_task_as_it_would_be_alone(whole: Whole) -> None:
    alone = replace(noisy_task(hasty), name="first")
    log = train(alone, photographs(), HELD_OUT, SHORT, context())
    assert whole[0][0] == log
    assert all(torch.equal(whole[1][f"first.{k}"], t) for k, t in alone.module.state_dict().items())


def test_course__best_state_of_the_first_is_not_its_last(whole: Whole) -> None:
    """Or the tests below could not tell which of them is kept."""
    assert whole[0][0].best_step < 12


@pytest.mark.parametrize(
    ("stop", "made", "sentences"),
    [
        (7, {"first": 5, "second": 12}, ["first: going on from step 7 of 12"]),
        (12, {"first": 0, "second": 12}, ["first: going on from step 12 of 12"]),
        (13, {"first": 0, "second": 11}, ["first: already learned", "second: going on from step 1 of 12"]),
        (20, {"first": 0, "second": 4}, ["first: already learned", "second: going on from step 8 of 12"]),
        (24, {"first": 0, "second": 0}, ["first: already learned", "second: going on from step 12 of 12"]),
    ],
)
def test_course__resumed_equals_uninterrupted_and_repeats_nothing(
    stop: int, made: dict[str, int], sentences: list[str], whole: Whole, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        Turns(context(file, stop_at=stop)).run()
    last = context(file)
    turns = Turns(last)
    expect_same(turns.run(), whole)
    assert turns.steps == made
    assert said(last) == sentences


@pytest.mark.parametrize("every", [1, 4, 5])
def test_keeping__leaves_checkpoints_and_changes_nothing(every: int, tmp_path: Path) -> None:
    expected_log, expected = finished(noisy_task(adam), context())
    keeping = Keeping(tmp_path / "kept", every)

    log, found = finished(noisy_task(adam), replace(context(), keeping=keeping))

    assert log == expected_log
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert list(keeping.files()) == list(range(every, 12, every))  # the last is what the training gives


def test_until__a_kept_checkpoint_is_what_the_training_was_then(tmp_path: Path) -> None:
    seen: dict[int, dict[str, Tensor]] = {}
    task = noisy_task(adam)

    def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        seen[len(seen)] = {name: t.detach().clone() for name, t in task.module.state_dict().items()}
        return task.loss(batch, generator)

    keeping = Keeping(tmp_path, 4)
    finished(replace(task, loss=loss, judge=None), replace(context(), keeping=keeping))

    for step, file in keeping.files().items():
        then = replace(noisy_task(adam), judge=None)
        log, found = finished(then, replace(context(file), until=step))
        assert len(log.losses) == log.best_step == step
        assert all(torch.equal(found[name], seen[step][name]) for name in found)


def test_until__takes_the_best_state_validated_so_far(tmp_path: Path) -> None:
    values = {2: 3.0, 4: 1.0, 6: 2.0, 8: 0.5, 10: 9.0, 12: 9.0}
    keeping = Keeping(tmp_path, 3)
    schedule = Schedule(steps=12, batch_size=2, validate_every=2)
    train(counting_task(values), photographs(), HELD_OUT, schedule, replace(context(), keeping=keeping))

    best = {}
    for step, file in keeping.files().items():
        task = counting_task(values)
        train(task, photographs(), HELD_OUT, schedule, replace(context(file), until=step))
        best[step] = steps_of(task)

    assert best == {3: 2, 6: 4, 9: 8}


def test_until__without_a_checkpoint_stops_there() -> None:
    log, _ = finished(noisy_task(adam), replace(context(), until=5))
    whole, _ = finished(noisy_task(adam), context())

    assert log.losses == whole.losses[:5]


def test_keeping__what_cannot_be_written_is_told_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ArtifactError("no space left")

    monkeypatch.setattr(training, "write_tensors", full)
    watched = replace(context(), keeping=Keeping(tmp_path, 8))
    log, _ = finished(noisy_task(adam), watched)

    assert len(log.losses) == 12
    assert said(watched) == ["member: the checkpoint of step 8 could not be kept; no space left"]


def test_course__keeps_no_checkpoints_and_says_so(whole: Whole, tmp_path: Path) -> None:
    keeping = Keeping(tmp_path / "kept", 1)
    watched = replace(context(), keeping=keeping)
    expect_same(Turns(watched).run(), whole)

    assert not keeping.files()
    assert said(watched) == ["no checkpoints are kept of what learns in several trainings"]


def test_course__resumed_again_and_again_equals_uninterrupted(whole: Whole, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    for stop in (3, 9, 14, 19):  # what an earlier call did counts as done
        with pytest.raises(KeyboardInterrupt):
            Turns(context(file, stop_at=stop)).run()
    expect_same(Turns(context(file)).run(), whole)


@pytest.mark.parametrize("cut_at", [12, 13])
def test_course__a_power_cut_in_the_second_does_not_cost_the_first(
    cut_at: int, whole: Whole, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(MemoryError):
        Turns(context(file), cut_at=cut_at).run()
    turns = Turns(context(file))
    expect_same(turns.run(), whole)
    assert turns.steps == {"first": 0, "second": 12}


def test_course__uninterrupted_says_nothing_of_its_own_checkpoints(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1)
    found = context(tmp_path / "checkpoint.safetensors")
    expect_same(Turns(found).run(), whole)
    assert said(found) == []


def test_course__another_second_training_keeps_the_first(whole: Whole, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        Turns(context(file, stop_at=15)).run()
    last = context(file)
    turns = Turns(last, second="beta 0.5")
    expect_same(turns.run(), whole)
    assert turns.steps == {"first": 0, "second": 12}
    assert said(last) == [
        "first: already learned",
        "second: the checkpoint is of other options or images; starting anew",
    ]


def test_course__another_first_training_is_another_second_one(whole: Whole, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        Turns(context(file, stop_at=15)).run()
    last = context(file)
    turns = Turns(last, first="beta 0.5")
    expect_same(turns.run(), whole)
    assert turns.steps == {"first": 12, "second": 12}
    anew = "the checkpoint is of other options or images; starting anew"
    assert said(last) == [f"first: {anew}", f"second: {anew}"]


def test_course__goes_on_to_the_second_when_the_disk_is_full(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    file = tmp_path / "checkpoint.safetensors"
    found = context(file)
    expect_same(Turns(found).run(), whole)
    assert said(found) == [UNSAVED.format(file=file).replace("member", "second")]


# Ctrl-C


def with_ctrl_c_in_the_loss(task: Task, at: int) -> Task:
    calls = 0

    def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGINT)
        return task.loss(batch, generator)

    return replace(task, loss=loss)


def test_train__holds_ctrl_c_back_until_the_step_is_done(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    before = signal.getsignal(signal.SIGINT)
    interrupted = noisy_task()
    with pytest.raises(KeyboardInterrupt):
        finished(with_ctrl_c_in_the_loss(interrupted, at=6), context(file))
    assert signal.getsignal(signal.SIGINT) is before

    whole = noisy_task()
    steps_done = len(json.loads(read_tensors(file)[1]["note"])["log"]["losses"])
    six = SHORT.model_copy(update={"steps": 6})
    train(replace(whole, judge=None), photographs(), HELD_OUT, six, context())
    assert steps_done == 6
    assert all(
        torch.equal(t, whole.module.state_dict()[n]) for n, t in interrupted.module.state_dict().items()
    )


def test_train__works_in_a_thread_where_no_signal_can_be_held_back() -> None:
    found: list[TrainingLog] = []
    thread = threading.Thread(target=lambda: found.append(finished(noisy_task(), context())[0]))
    thread.start()
    thread.join()
    assert found == [finished(noisy_task(), context())[0]]


def test_interrupts_between_steps__gives_the_handler_back_even_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), interrupts_between_steps():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


# a full disk


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


UNSAVED = (
    "member: no checkpoint could be kept, an interruption now would lose what was learned since the last "
    "one; {file}: cannot be written (No space left on device); free some space or choose another --out"
)


def test_train__goes_on_when_the_disk_is_full_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = finished(noisy_task(), context())
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1)
    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    file = tmp_path / "checkpoint.safetensors"
    told = context(file)
    _, found = finished(noisy_task(), told)

    assert said(told) == [UNSAVED.format(file=file)]
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert list(tmp_path.iterdir()) == []


def test_train__says_so_again_when_the_disk_fills_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1)
    outcomes = iter([True, True, False, True, False, False, *[False] * 6])

    def sometimes(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        if next(outcomes):
            full_disk()
        save_file(tensors, path, metadata=metadata)

    monkeypatch.setattr("safetensors.torch.save_file", sometimes)
    told = context(tmp_path / "checkpoint.safetensors")
    finished(noisy_task(), told)
    assert len(said(told)) == 2


def test_train__stays_interrupted_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    file = tmp_path / "checkpoint.safetensors"
    told = context(file, stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        finished(noisy_task(), told)
    assert said(told) == [UNSAVED.format(file=file)]
