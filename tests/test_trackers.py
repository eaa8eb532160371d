"""Trackers are switched on by name, told what to install, and go on where an interrupted run left off."""

from __future__ import annotations

import importlib
import json
import re
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from broken_trackers import Diary, ForgetsTheMarker, Misspells, NotInstalled, WantsMore
from test_training_log import lines
from tiny_runs import at_step, call, files, metrics, options, press_ctrl_c, table

import leatherens
from leatherens.core.errors import ArtifactError, ConfigError, PluginError, PluginWarning, UnknownPlugin
from leatherens.core.host import PluginHost
from leatherens.core.observers import require_hooks
from leatherens.core.tracking import final_metrics, flattened
from leatherens.ensembles.tracking import Tracking, stored_tracking, tracking_of
from leatherens.plugins.mlflow_tracker import MLflowTracker
from leatherens.plugins.tensorboard_tracker import TensorBoardTracker
from leatherens.testing import check_member

DOCS = Path(__file__).parent.parent / "docs" / "trackers.md"
DIARY = (
    "from leatherens import hookimpl\nleatherens_api = 1\n"
    "@hookimpl\ndef register_trackers(register):\n"
    "    register('diary', 'broken_trackers:Diary')\n"
    "    register('not-installed', 'broken_trackers:NotInstalled')\n"
)

without_tensorboard = pytest.mark.skipif(
    find_spec("tensorboard") is None, reason="tensorboard is not installed (leatherens[trackers])"
)
without_mlflow = pytest.mark.skipif(
    any(find_spec(name) is None for name in MLflowTracker.needs),
    reason="mlflow, sqlalchemy and alembic are not all installed (leatherens[trackers])",
)
theirs = pytest.mark.filterwarnings("ignore")  # what these packages warn of is not ours to mend


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    path = tmp_path / "diary_plugin.py"
    path.write_text(DIARY, encoding="utf-8")
    return path


@pytest.fixture
def host(diary: Path) -> PluginHost:
    return PluginHost(installed=False, files=[diary])


def interrupted_and_resumed(
    out: Path, leather: Path, monkeypatch: pytest.MonkeyPatch, *more: object, before: tuple[Any, ...] = ()
) -> None:
    """A run of stfpm, stopped after its second step and gone on with."""
    with monkeypatch.context() as patch:
        at_step(patch, "stfpm: learning", press_ctrl_c, after=2)
        stopped = call(*before, "run", *options("stfpm"), "--data", leather, "--out", out, *more)
    resumed = call(*before, "run", "--resume", "--out", out)
    assert (stopped.exit_code, resumed.exit_code) == (130, 0), stopped.stderr + resumed.stderr
    assert "Warning" not in stopped.stderr + resumed.stderr


# how they are asked for


def test_tracking__of_an_unknown_id_names_the_nearest(host: PluginHost) -> None:
    with pytest.raises(UnknownPlugin, match=r"^no tracker 'tensorbord'; did you mean 'tensorboard'\? "):
        tracking_of(["tensorbord"], host)


def test_tracking__without_its_package_says_what_to_install(host: PluginHost) -> None:
    with pytest.raises(PluginError) as caught:
        tracking_of("not-installed", host)

    assert str(caught.value) == (
        "tracker 'not-installed' needs a_package_of_nobody, which cannot be found; "
        "pip install 'leatherens-nobody'"
    )


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["diary="], "--track diary=: expected a place behind =, as in diary=DIR; or leave out ="),
        (["diary", "diary"], "--track diary: asked for twice"),
        (["diary=here"], "diary: unknown option 'place' (it has none)"),
    ],
)
def test_tracking__that_is_asked_for_wrongly_is_refused(
    asked: list[str], sentence: str, host: PluginHost
) -> None:
    with pytest.raises(ConfigError) as caught:
        tracking_of(asked, host)

    assert str(caught.value) == sentence


@pytest.mark.parametrize("kind", [TensorBoardTracker, MLflowTracker])
def test_place__that_is_a_file_is_refused_and_a_folder_is_meant_from_here(
    kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").touch()

    with pytest.raises(ConfigError, match=r"option 'place': .*expected a folder, there is a file"):
        kind.from_options({"place": "a file"})  # type: ignore[attr-defined]
    assert kind.from_options({"place": "logs"}).params.place == tmp_path / "logs"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Misspells, "there is no hook 'run_finnished' of a run; did you mean 'run_finished'?"),
        (ForgetsTheMarker, "member_fitted is not marked with @leatherens.hookimpl"),
        (WantsMore, "Argument(s) {'colour'} are declared in the hookimpl but can not be found"),
    ],
)
def test_tracker__whose_hooks_would_not_be_called_is_refused(kind: type[Diary], sentence: str) -> None:
    with pytest.raises(PluginError) as caught:
        require_hooks(kind)

    assert str(caught.value).startswith("tracker 'diary' cannot be used: ")
    assert sentence in str(caught.value)


def test_tracker__without_our_base_class_is_one(tmp_path: Path) -> None:
    path = tmp_path / "plain.py"
    path.write_text(
        "from leatherens import hookimpl\nleatherens_api = 1\n"
        "class Plain:\n    id = 'plain'\n    @hookimpl\n    def run_started(self, folder):\n"
        "        (folder / 'plain').mkdir()\n"
        "@hookimpl\ndef register_trackers(register): register('plain', 'plain:Plain')\n",
        encoding="utf-8",
    )
    host = PluginHost(builtins=False, installed=False, files=[path])

    told = {"recipe": {}, "data": "", "command": "", "versions": {}, "resumed": False}
    host.observers(tracking_of("plain", host).trackers(host)).tell("run_started", folder=tmp_path, **told)

    assert (tmp_path / "plain").is_dir()


def test_run__of_an_unknown_tracker_begins_nothing(leather: Path, tmp_path: Path) -> None:
    result = call("run", *options("stfpm"), "--data", leather, "--out", tmp_path / "run", "--track", "mlfow")

    assert result.exit_code == 2
    assert "no tracker 'mlfow'; did you mean 'mlflow'? (trackers: mlflow, tensorboard)" in result.stderr
    assert not (tmp_path / "run").exists()


def test_resume__keeps_its_trackers_and_takes_no_others(tmp_path: Path) -> None:
    result = call("run", "--resume", "--out", tmp_path, "--track", "tensorboard")

    assert result.exit_code == 2
    assert "leave out --track" in result.stderr


def test_stored__damaged_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "trackers.json"
    assert stored_tracking(path) == Tracking()
    path.write_text('["tensorboard"]', encoding="utf-8")

    with pytest.raises(ArtifactError, match=r"trackers\.json: damaged, .*; delete it to do without$"):
        stored_tracking(path)


# a stranger's


def test_run__with_a_tracker_goes_on_with_it(
    leather: Path, alone: Path, diary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    interrupted_and_resumed(out, leather, monkeypatch, "--track", "diary", before=("--plugin", diary))

    told = [json.loads(line) for line in (out / "diary/diary.jsonl").read_text("utf-8").splitlines()]
    seen = [loss for line in told if line["what"] == "epoch" for loss in line["losses"]]
    kept = [float(row["loss"]) for row in lines(out / "members/stfpm/training.csv")]
    whats = [line["what"] for line in told if line["what"] != "epoch"]
    assert seen == pytest.approx(kept)
    assert whats == ["started", "stopped", "started", "finished"]
    assert [line["resumed"] for line in told if line["what"] == "started"] == [False, True]
    assert told[-1]["report"] == "report.html"
    assert table(out) == table(alone)
    extra = files(out) - files(alone) - {".lock"}
    assert extra == {"trackers.json", "diary/diary.jsonl"}


def test_python__tracks_as_the_command_line_does(leather: Path, diary: Path, tmp_path: Path) -> None:
    said = options("stfpm")
    settings = dict(part.split("=") for part in said if part.startswith("stfpm."))
    given: Any = {"size": 64, "device": "cpu", "calibration": "split", "settings": settings}
    ensemble = leatherens.Ensemble(
        "stfpm", out=tmp_path / "run", plugins=[diary], track="diary", **given
    ).fit(leather)

    assert (ensemble.run / "diary/diary.jsonl").is_file()
    assert "track=('diary',)" in repr(ensemble)
    with pytest.raises(UnknownPlugin, match="no tracker 'dairy'; did you mean 'diary'"):
        leatherens.Ensemble("stfpm", plugins=[diary], track=["dairy"]).fit(leather)


def test_run__goes_on_without_a_tracker_that_fails(leather: Path, alone: Path, tmp_path: Path) -> None:
    path = tmp_path / "weak.py"
    path.write_text(
        "from leatherens import Tracker, hookimpl\nleatherens_api = 1\n"
        "class Weak(Tracker):\n    id = 'weak'\n    @hookimpl\n    def run_started(self):\n"
        "        raise OSError('the disk is full')\n    @hookimpl\n    def run_finished(self, folder):\n"
        "        (folder / 'weak').mkdir()\n"
        "@hookimpl\ndef register_trackers(register): register('weak', 'weak:Weak')\n",
        encoding="utf-8",
    )
    out = tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("default", PluginWarning)
        result = call(
            *("--plugin", path, "run", *options("stfpm"), "--data", leather, "--out", out, "--track", "weak")
        )

    assert result.exit_code == 0
    assert (
        result.stderr.count("Warning: tracker 'weak' failed in run_started: OSError: the disk is full") == 1
    )
    assert not (out / "weak").exists()
    assert table(out) == table(alone)


WANDB = """
CALLS = []

class Run:
    def __init__(self):
        self.summary = {}
    def define_metric(self, name, step_metric):
        CALLS.append(("define", name, step_metric))
    def log(self, point):
        CALLS.append(("log", dict(point)))
    def finish(self, exit_code=0):
        CALLS.append(("finish", exit_code, dict(self.summary)))

def init(**given):
    CALLS.append(("init", given))
    return Run()
"""


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A stand-in of the package, which notes what it is told."""
    folder = tmp_path / "stand_in"
    folder.mkdir()
    (folder / "wandb.py").write_text(WANDB, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(__import__("sys").modules, "wandb", raising=False)
    yield importlib.import_module("wandb")
    monkeypatch.delitem(__import__("sys").modules, "wandb", raising=False)


@pytest.mark.skipif(not DOCS.is_file(), reason="the tests run without the docs folder")
def test_docs__the_tracker_for_weights_and_biases_works(
    wandb: Any, leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    plugin, out = tmp_path / "wandb_tracker.py", tmp_path / "run"
    plugin.write_text(code, encoding="utf-8")
    interrupted_and_resumed(out, leather, monkeypatch, "--track", "wandb=hides", before=("--plugin", plugin))

    first, second = (given for what, given, *_ in wandb.CALLS if what == "init")
    assert first == second
    assert (first["project"], first["name"], first["resume"]) == ("hides", "run", "allow")
    assert list(first["config"]["members"]) == ["stfpm"]
    points = [call[1] for call in wandb.CALLS if call[0] == "log"]
    kept = lines(out / "members/stfpm/training.csv")
    assert [point["stfpm/step"] for point in points] == [int(row["step"]) for row in kept]
    assert [point["stfpm/stfpm loss"] for point in points] == pytest.approx(
        [float(row["loss"]) for row in kept]
    )
    judged = [point["stfpm/stfpm validation"] for point in points if "stfpm/stfpm validation" in point]
    assert judged == pytest.approx([float(row["validation"]) for row in kept if row["validation"]])
    ends = [call[1:] for call in wandb.CALLS if call[0] == "finish"]
    assert ends[0] == (1, {})
    assert ends[1][0] == 0
    assert ends[1][1]["image_auroc"] == metrics(out)["ensemble"]["image_auroc"]
    assert check_member(PluginHost(installed=False, files=[plugin]).trackers().load("wandb"))


# the built-in ones


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(TensorBoardTracker, marks=without_tensorboard),
        pytest.param(MLflowTracker, marks=without_mlflow),
        Diary,
    ],
)
@theirs
def test_tracker__conforms(kind: type) -> None:
    assert [result.message for result in check_member(kind) if not result.passed] == []


def test_kit__says_what_to_install() -> None:
    (failed, *_) = [result for result in check_member(NotInstalled) if not result.passed]

    assert "pip install 'leatherens-nobody'" in failed.message


@without_tensorboard
@theirs
def test_tensorboard__reads_back_what_the_run_kept(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    interrupted_and_resumed(out, leather, monkeypatch, "--track", "tensorboard")
    found = EventAccumulator(str(out / "tensorboard"), size_guidance={"scalars": 0})
    found.Reload()

    kept = lines(out / "members/stfpm/training.csv")
    curves = {  # files of one second are read by a counter in their names, the tenth before the ninth
        what: sorted((point.step, point.value) for point in found.Scalars(f"stfpm/{what}"))
        for what in ("loss", "validation")
    }
    for what, points in curves.items():
        expected = [(int(row["step"]), float(row[what])) for row in kept if row[what]]
        assert [step for step, _ in points] == [step for step, _ in expected]
        assert [value for _, value in points] == pytest.approx([value for _, value in expected])
    results = final_metrics(metrics(out))
    assert results
    for name, value in results.items():
        (point,) = found.Scalars(f"result/{name}")
        assert point.value == pytest.approx(value)
    assert "recipe/text_summary" in found.Tags()["tensors"]
    assert found.Scalars("stfpm/fit_seconds")[-1].value > 0


@without_mlflow
@theirs
def test_mlflow__reads_back_what_the_run_kept(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    out, store = tmp_path / "run", tmp_path / "store"
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    interrupted_and_resumed(out, leather, monkeypatch, "--track", f"mlflow={store}")
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("leatherens")
    (run,) = client.search_runs([experiment.experiment_id])

    kept = lines(out / "members/stfpm/training.csv")
    for what in ("loss", "validation"):
        points = client.get_metric_history(run.info.run_id, f"stfpm/{what}")
        expected = [(int(row["step"]), float(row[what])) for row in kept if row[what]]
        assert sorted((p.step, pytest.approx(p.value)) for p in points) == expected
    recipe = leatherens.Ensemble.open(out).recipe.model_dump(mode="json")
    assert run.data.params == {key: str(value) for key, value in flattened(recipe)}
    results = final_metrics(metrics(out))
    assert {name: run.data.metrics[f"result/{name}"] for name in results} == pytest.approx(results)
    assert [found.path for found in client.list_artifacts(run.info.run_id)] == ["report.html"]
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    assert "stopped" not in run.data.tags
    assert (store / "artifacts").is_dir()
