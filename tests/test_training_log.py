"""How trainings went is kept: in a file that no interruption changes, and as figures of the report."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from test_html_report import run_of, set_of
from test_training import (
    HELD_OUT,
    SHORT,
    Turns,
    Watched,
    context,
    counting_task,
    noisy_task,
    photographs,
)
from tiny_runs import at_step, call, make, options, press_ctrl_c

from leatherens.core import artifact
from leatherens.core.detector import FitContext
from leatherens.core.errors import ArtifactError, TrainingError
from leatherens.core.observers import Observers
from leatherens.core.schedules import Schedule
from leatherens.core.tasks import TrainingLog
from leatherens.core.training import train
from leatherens.core.training_curves import MOST_POINTS, TrainingCurve, thinned
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.training_log import (
    TrainingRecorder,
    read_training,
    training_curves,
    write_training,
)
from leatherens.plugins.html_report import HtmlReport
from leatherens.plugins.html_report.training import training_figures


class Heard:
    """A learning observer that remembers copies of what it is told."""

    def __init__(self) -> None:
        self.epochs: list[tuple[str, int, tuple[float, ...], tuple[tuple[int, float], ...]]] = []
        self.ends: list[tuple[str, int]] = []

    def epoch_ended(self, task: str, epoch: int, log: TrainingLog, since: int) -> None:
        validations = tuple(pair for pair in log.validations if pair[0] > since)
        self.epochs.append((task, epoch, tuple(log.losses[since:]), validations))

    def ended(self, task: str, log: TrainingLog) -> None:
        self.ends.append((task, len(log.losses)))


def observed(heard: Any, checkpoint: Path | None = None, *, stop_at: int | None = None) -> FitContext:
    found = context(checkpoint, stop_at=stop_at)
    return FitContext(found.pool, found.seed, progress=found.progress, checkpoint=checkpoint, observer=heard)


def recorder(run: Path, member: str = "member") -> TrainingRecorder:
    return TrainingRecorder(RunFolder(run), member, Observers(), Watched())


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# what the loop tells


def test_epochs__are_walks_through_the_images_and_the_last_may_be_short() -> None:
    heard = Heard()
    schedule = Schedule(steps=7, batch_size=4, validate_every=3)
    count = len(photographs().ids)
    log = train(noisy_task(), photographs(), HELD_OUT, schedule, observed(heard))

    steps = -(-count // 4)
    assert steps > 1
    assert 7 % steps  # or nothing would be cut short
    assert [epoch for _, epoch, _, _ in heard.epochs] == list(range(1, -(-7 // steps) + 1))
    assert [len(losses) for _, _, losses, _ in heard.epochs] == [steps] * (7 // steps) + [7 % steps]
    assert [loss for _, _, losses, _ in heard.epochs for loss in losses] == log.losses
    assert [pair for _, _, _, pairs in heard.epochs for pair in pairs] == log.validations
    assert heard.ends == [("member", 7)]


def test_training__that_is_observed_learns_the_same() -> None:
    alone, watched = noisy_task(), noisy_task()

    log = train(alone, photographs(), HELD_OUT, SHORT, context())
    same = train(watched, photographs(), HELD_OUT, SHORT, observed(Heard()))

    assert log == same
    state = watched.module.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in alone.module.state_dict().items())


@pytest.mark.parametrize("stop", [1, 5, 7, 12, 13, 20, 24])
def test_course__interrupted_tells_and_keeps_what_an_uninterrupted_one_does(
    stop: int, tmp_path: Path
) -> None:
    whole, parts = Heard(), Heard()
    Turns(observed(whole)).run()
    Turns(observed(recorder(tmp_path / "whole"))).run()
    checkpoint = tmp_path / "checkpoint.safetensors"

    with pytest.raises(KeyboardInterrupt):
        Turns(observed(parts, checkpoint, stop_at=stop)).run()
    Turns(observed(parts, checkpoint)).run()
    checkpoint.unlink()
    with pytest.raises(KeyboardInterrupt):
        Turns(observed(recorder(tmp_path / "parts"), checkpoint, stop_at=stop)).run()
    half = lines(RunFolder(tmp_path / "parts").training("member"))
    Turns(observed(recorder(tmp_path / "parts"), checkpoint)).run()

    assert parts.epochs == whole.epochs
    assert len(half) == stop
    kept = [RunFolder(tmp_path / run).training("member").read_bytes() for run in ("whole", "parts")]
    assert kept[0] == kept[1]
    assert [line["task"] for line in lines(RunFolder(tmp_path / "parts").training("member"))] == [
        *["first"] * 12,
        *["second"] * 12,
    ]


def test_training__that_diverges_leaves_what_it_did(tmp_path: Path) -> None:
    schedule = Schedule(steps=9, batch_size=4, validate_every=1)
    with pytest.raises(TrainingError):
        train(counting_task(nan_at=2), photographs(), HELD_OUT, schedule, observed(recorder(tmp_path)))

    kept = lines(RunFolder(tmp_path).training("member"))
    assert [(line["step"], line["loss"]) for line in kept] == [("1", "0"), ("2", "-1")]


def test_training__goes_on_where_its_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "members").write_text("a file where a folder should be", encoding="utf-8")
    heard = Watched()
    keeping = TrainingRecorder(RunFolder(tmp_path), "member", Observers(), heard)
    monkeypatch.setattr("leatherens.ensembles.training_log.WRITE_SECONDS", 0.0)

    log = train(noisy_task(), photographs(), HELD_OUT, SHORT, observed(keeping))

    assert len(log.losses) == 12
    (sentence,) = heard.sentences
    assert sentence.startswith("member: the log of its training could not be kept; ")


# the file


def test_file__is_a_line_a_step(tmp_path: Path) -> None:
    logs = {
        "ast teacher": TrainingLog([3.0, 2.25], [(2, 0.5)], best_step=2),
        "ast student": TrainingLog([1.0], [], best_step=1),
    }
    write_training(tmp_path / "training.csv", logs)

    assert (tmp_path / "training.csv").read_text(encoding="utf-8") == (
        "task,step,loss,validation,best\nast teacher,1,3,,\nast teacher,2,2.25,0.5,1\nast student,1,1,,1\n"
    )
    assert read_training(tmp_path / "training.csv") == (
        TrainingCurve("ast teacher", 2, ((1, 3.0), (2, 2.25)), ((2, 0.5),), 2),
        TrainingCurve("ast student", 1, ((1, 1.0),), (), 1),
    )


@pytest.mark.parametrize(
    "text", ["step,loss\n1,2\n", "task,step,loss,validation,best\na,one,2,,\n", "task,step,loss\na,1,\n"]
)
def test_file__damaged_is_told_and_the_report_does_without(text: str, tmp_path: Path) -> None:
    path = RunFolder(tmp_path).training("stfpm")
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    heard = Watched()

    with pytest.raises(ArtifactError, match=r"training\.csv: damaged, expected the columns task, step, "):
        read_training(path)
    assert training_curves(RunFolder(tmp_path), ["stfpm", "padim"], heard) == {}
    assert len(heard.sentences) == 1


@pytest.mark.parametrize("count", [1, MOST_POINTS, MOST_POINTS + 1, 1000, 12345])
def test_thinned__keeps_few_points_and_the_mean_of_all(count: int) -> None:
    losses = torch.rand(count, generator=torch.Generator().manual_seed(0)).tolist()
    width, points = thinned(losses)

    ends = [0, *(step for step, _ in points)]
    sizes = [end - start for start, end in itertools.pairwise(ends)]
    assert len(points) <= MOST_POINTS
    assert sizes[:-1] == [width] * (len(points) - 1)
    assert ends[-1] == count
    total = sum(size * mean for size, (_, mean) in zip(sizes, points, strict=True))
    assert total == pytest.approx(sum(losses))


def test_run__keeps_what_its_members_learned_by(pair: Path, alone: Path) -> None:
    for run, member in ((alone, "stfpm"), (pair, "draem")):
        state = json.loads((run / "members" / member / "state.json").read_text(encoding="utf-8"))
        kept = lines(run / "members" / member / "training.csv")
        losses = state["log_"]["losses"] if "log_" in state else state["losses_"]
        assert [float(line["loss"]) for line in kept] == pytest.approx(losses)


def test_run__interrupted_and_resumed_has_the_file_of_an_uninterrupted_one(
    alone: Path, leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, "stfpm: learning", press_ctrl_c, after=2)
        assert call("run", *options("stfpm"), "--data", leather, "--out", out).exit_code == 130
    file = Path("members/stfpm/training.csv")
    assert len(lines(out / file)) == 2

    assert call("run", "--resume", "--out", out).exit_code == 0
    assert (out / file).read_bytes() == (alone / file).read_bytes()


def test_run__of_a_member_that_walks_the_images_keeps_no_such_file(leather: Path, tmp_path: Path) -> None:
    out = make(tmp_path / "run", leather, "patchcore")

    assert not (out / "members/patchcore/training.csv").exists()
    assert 'id="training"' not in (out / "report.html").read_text(encoding="utf-8")


# the figures


class Figures(HTMLParser):
    """The figures of the section on training: captions, and attributes of what is drawn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside = False
        self.drawn: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.inside = dict(attrs).get("id") == "training" if tag == "section" else self.inside
        if self.inside:
            self.drawn.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.inside and data.strip():
            self.words.append(data.strip())

    def of_class(self, tag: str, name: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.drawn if t == tag and name in (a.get("class") or "").split()]


def curve(**changes: Any) -> TrainingCurve:
    told: dict[str, Any] = {"task": "stfpm", "steps": 4, "losses": ((1, 4.0), (2, 3.0), (3, 2.0), (4, 0.0))}
    return TrainingCurve(**{**told, **changes})


def test_figure__lies_on_its_axes() -> None:
    (figure,) = training_figures({"stfpm": [curve(validations=((2, 1.0), (4, 2.0)), best_step=2)]})

    assert figure.losses == "75.0,0.0 150.0,37.5 225.0,75.0 300.0,150.0"
    assert figure.validations == "150.0,112.5 300.0,75.0"
    assert figure.best == (2, 1.0, (150.0, 112.5))
    assert figure.step_ticks == ((75.0, 1), (150.0, 2), (225.0, 3), (300.0, 4))
    assert not figure.logarithmic


def test_figure__is_logarithmic_where_values_lie_far_apart() -> None:
    (figure,) = training_figures({"a": [curve(losses=((1, 100.0), (2, 10.0), (4, 1.0)))]})

    assert figure.logarithmic
    assert figure.losses == "75.0,0.0 150.0,75.0 300.0,150.0"


@pytest.mark.parametrize("changes", [{"best_step": 4}, {"validations": ((2, 1.0),), "best_step": 0}])
def test_figure__marks_no_step_where_nothing_chose_one(changes: dict[str, Any]) -> None:
    (figure,) = training_figures({"stfpm": [curve(**changes)]})

    assert figure.best is None


def test_figure__of_one_step_can_be_drawn() -> None:
    (figure,) = training_figures({"stfpm": [curve(steps=1, losses=((1, 2.0),), validations=((1, 2.0),))]})

    assert figure.losses == "300.0,75.0"


def test_report__shows_a_figure_for_each_training(tmp_path: Path) -> None:
    evil = "<b>&\"'"
    training = {
        "ast": (curve(task="ast teacher"), curve(task="ast student", width=7)),
        evil: (curve(validations=((2, 1.0), (4, 2.0)), best_step=2),),
    }
    page = HtmlReport().write(run_of(set_of(2, 2), training=training), tmp_path).read_text(encoding="utf-8")
    found = Figures(page)

    assert len(found.of_class("svg", "chart")) == 3
    assert [word for word in found.words if word in ("ast teacher", "ast student", evil)] == [
        "ast teacher",
        "ast student",
        evil,
    ]
    assert len(found.of_class("circle", "mark")) == 1
    labels = [svg["aria-label"] for svg in found.of_class("svg", "chart")]
    assert labels[2] == (f"Training of {evil}, 4 steps: loss from 4 to 0; best validation 1 at step 2")
    assert "A point of a loss is the mean of up to 7 steps." in " ".join(found.words)
    assert 'href="#training"' in page


def test_report__of_a_run_shows_what_the_file_holds(alone: Path) -> None:
    found = Figures((alone / "report.html").read_text(encoding="utf-8"))
    kept = lines(alone / "members/stfpm/training.csv")

    (loss,) = found.of_class("polyline", "colour0")
    assert len((loss["points"] or "").split()) == len(kept)
    assert f": {len(kept)} steps" in " ".join(found.words)


def test_training__of_a_full_disk_in_a_run_is_a_sentence(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = artifact.written_whole

    def full(path: Path) -> Any:
        if path.name == "training.csv":
            raise ArtifactError(f"{path}: cannot be written (No space left on device)")
        return whole(path)

    monkeypatch.setattr(artifact, "written_whole", full)
    result = call("run", *options("stfpm"), "--data", leather, "--out", tmp_path / "run")

    assert result.exit_code == 0
    assert result.stderr.count("stfpm: the log of its training could not be kept; ") == 1
