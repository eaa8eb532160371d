"""Plugins are told of a run while it is made, and none of them can spoil it."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from broken_trackers import Diary
from tiny_runs import at_step, call, files, options, press_ctrl_c, table

from leatherens.core.errors import PluginError, PluginWarning
from leatherens.core.hookspecs import hookimpl
from leatherens.core.host import OBSERVER_HOOKS, PluginHost
from leatherens.core.observers import Observers

WATCHER = """
import json
from pathlib import Path
from leatherens import hookimpl
leatherens_api = 1

def note(hook, **facts):
    with Path(LOG).open("a") as file:
        file.write(json.dumps({"hook": hook, **facts}, default=str) + "\\n")

@hookimpl
def run_started(folder, recipe, data, command, versions, resumed):
    note("run_started", folder=folder, recipe=recipe, data=data, command=command, versions=versions,
         resumed=resumed)
    recipe.clear()  # its own to keep: the others' stay as they are

@hookimpl
def epoch_ended(folder, member, task, epoch, step, losses, validations, best_step):
    note("epoch_ended", folder=folder, member=member, task=task, epoch=epoch, step=step, losses=losses,
         validations=validations, best_step=best_step)
    losses.clear()

@hookimpl
def member_fitted(folder, member, seconds, images, size):
    note("member_fitted", folder=folder, member=member, seconds=seconds, images=images, size=size)

@hookimpl
def run_finished(folder, metrics, report):
    note("run_finished", folder=folder, metrics=metrics, report=report)

@hookimpl
def run_stopped(folder, reason):
    note("run_stopped", folder=folder, reason=reason)
"""

SHOUTER = """
from leatherens import hookimpl
leatherens_api = 1

@hookimpl
def epoch_ended(member):
    raise RuntimeError(f"no room for {member}")

@hookimpl
def run_finished(folder):
    (folder / "told.txt").write_text("after all")
"""


def watcher(folder: Path, name: str = "watcher") -> tuple[Path, Path]:
    """A plugin file that writes down all it is told, and where to."""
    log = folder / f"{name}.jsonl"
    path = folder / f"{name}.py"
    path.write_text(WATCHER.replace("LOG", repr(str(log))), encoding="utf-8")
    return path, log


def heard(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def losses(told: list[dict[str, Any]]) -> list[float]:
    return [loss for one in told if one["hook"] == "epoch_ended" for loss in one["losses"]]


@pytest.fixture(scope="module")
def told(leather: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], str]:
    """A run of stfpm with an observer and, before it by name, one that raises; what was heard, and stderr."""
    folder = tmp_path_factory.mktemp("observed")
    plugin, log = watcher(folder)
    (folder / "shouter.py").write_text(SHOUTER, encoding="utf-8")
    given = ["--plugin", folder / "shouter.py", "--plugin", plugin]
    with warnings.catch_warnings():
        warnings.simplefilter("default", PluginWarning)
        result = call(*given, "run", *options("stfpm"), "--data", leather, "--out", folder / "run")
    assert result.exit_code == 0, result.stderr
    return folder / "run", heard(log), result.stderr


def test_run__tells_its_life_in_order(told: tuple[Path, list[dict[str, Any]], str], leather: Path) -> None:
    run, lines, _ = told
    hooks = [line["hook"] for line in lines]
    start, fitted, end = lines[0], lines[-2], lines[-1]

    assert [hooks[0], hooks[-2], hooks[-1]] == ["run_started", "member_fitted", "run_finished"]
    assert set(hooks[1:-2]) == {"epoch_ended"}
    assert {line["folder"] for line in lines} == {str(run.resolve())}
    assert (start["resumed"], list(start["recipe"]["members"])) == (False, ["stfpm"])
    assert start["command"].startswith("leatherens --plugin ")
    assert start["data"].startswith("read as MVTec AD")
    assert "torch" in start["versions"]
    cost = json.loads((run / "members/stfpm/fit.json").read_text(encoding="utf-8"))
    assert (fitted["seconds"], fitted["images"]) == (cost["seconds"], cost["images"])
    state = [run / "members/stfpm" / name for name in ("state.json", "state.safetensors")]
    assert fitted["size"] == sum(path.stat().st_size for path in state)
    assert end["metrics"] == json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert end["report"] == str(run.resolve() / "report.html")


def test_run__tells_the_losses_and_validations_that_it_keeps(
    told: tuple[Path, list[dict[str, Any]], str],
) -> None:
    run, lines, _ = told
    with (run / "members/stfpm/training.csv").open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    epochs = [line for line in lines if line["hook"] == "epoch_ended"]

    assert losses(lines) == pytest.approx([float(row["loss"]) for row in kept])
    assert [(step, pytest.approx(value)) for line in epochs for step, value in line["validations"]] == [
        (int(row["step"]), float(row["validation"])) for row in kept if row["validation"]
    ]
    assert [line["epoch"] for line in epochs] == list(range(1, len(epochs) + 1))
    assert (epochs[-1]["step"], {line["task"] for line in epochs}) == (len(kept), {"stfpm"})


def test_run__goes_on_without_an_observer_that_raises(
    told: tuple[Path, list[dict[str, Any]], str], alone: Path
) -> None:
    run, lines, stderr = told

    assert stderr.count("Warning: plugin shouter ") == 1
    assert (
        "failed in epoch_ended: RuntimeError: no room for stfpm; LEATHERENS_TRACE_PLUGINS=1 shows where; it "
        "is told nothing more of this run"
    ) in stderr
    assert not (run / "told.txt").exists()
    assert lines[-1]["hook"] == "run_finished"
    assert table(run) == table(alone)
    assert files(run) - {".lock"} == files(alone) - {".lock"}


def test_run__interrupted_says_so_and_goes_on_telling(
    told: tuple[Path, list[dict[str, Any]], str],
    leather: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugin, log = watcher(tmp_path)
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, "stfpm: learning", press_ctrl_c, after=1)
        stopped = call("--plugin", plugin, "run", *options("stfpm"), "--data", leather, "--out", out)
    before = heard(log)
    resumed = call("--plugin", plugin, "run", "--resume", "--out", out)

    assert (stopped.exit_code, resumed.exit_code) == (130, 0)
    assert (before[-1]["hook"], before[-1]["reason"]) == ("run_stopped", "KeyboardInterrupt")
    after = heard(log)[len(before) :]
    assert (after[0]["hook"], after[-1]["hook"]) == ("run_started", "run_finished")
    assert losses(heard(log)) == losses(told[1])


def test_run__that_is_refused_tells_nobody(tmp_path: Path) -> None:
    plugin, log = watcher(tmp_path)
    given = ["--data", tmp_path / "nothing", "--out", tmp_path / "run"]
    result = call("--plugin", plugin, "run", *options("stfpm"), *given)

    assert result.exit_code == 2
    assert not log.exists()


# how observers are told


class Noted:
    """An observer that changes what it is given and what is everybody's."""

    def __init__(self) -> None:
        self.metrics: list[Any] = []

    @hookimpl
    def run_finished(self, metrics: dict[str, Any]) -> None:
        self.metrics.append(dict(metrics))
        metrics.clear()


def test_observers__have_values_of_their_own() -> None:
    one, other = Noted(), Noted()
    metrics = {"ensemble": {"image_auroc": 0.5}}
    Observers([("plugin one", one), ("plugin other", other)]).tell(
        "run_finished", folder=Path("run"), metrics=metrics, report=None
    )

    assert one.metrics == other.metrics == [metrics]
    assert metrics == {"ensemble": {"image_auroc": 0.5}}


@pytest.mark.parametrize("error", [RuntimeError("broken"), SystemExit(3), PluginError("no room")])
def test_observers__that_raise_are_switched_off_and_the_others_told(error: BaseException) -> None:
    class Raises:
        calls = 0

        @hookimpl
        def run_stopped(self) -> None:
            self.calls += 1
            raise error

    raising, noted = Raises(), Noted()
    observers = Observers([("plugin a", raising), ("plugin b", noted)])

    with pytest.warns(PluginWarning, match="^plugin a failed in run_stopped: "):
        observers.tell("run_stopped", folder=Path("run"), reason="an error")
    observers.tell("run_stopped", folder=Path("run"), reason="another")
    observers.tell("run_finished", folder=Path("run"), metrics={}, report=None)

    assert (raising.calls, noted.metrics) == (1, [{}])


def test_observers__do_not_keep_ctrl_c() -> None:
    class Interrupted:
        @hookimpl
        def run_stopped(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Observers([("plugin a", Interrupted())]).tell("run_stopped", folder=Path("run"), reason="")


def test_observers__of_nobody_cost_nothing_to_tell() -> None:
    Observers().tell("epoch_ended")  # not even the arguments are looked at


# how they are found


def test_plugins__lists_which_hooks_are_observed(tmp_path: Path) -> None:
    plugin, _ = watcher(tmp_path)
    listed = call("--plugin", plugin, "plugins", "list")
    chosen = call("--plugin", plugin, "plugins", "--hook", "run_finished", "--json")

    (line,) = [line for line in listed.stdout.splitlines() if line.startswith("watcher ")]
    assert f"  {', '.join(OBSERVER_HOOKS)}  ok" in line
    assert [plugin["name"] for plugin in json.loads(chosen.stdout)] == ["watcher"]
    assert json.loads(chosen.stdout)[0]["hooks"] == sorted(OBSERVER_HOOKS)


def test_host__leaves_out_blocked_and_broken_observers(tmp_path: Path) -> None:
    plugin, _ = watcher(tmp_path)
    broken = tmp_path / "broken.py"
    broken.write_text(
        "from leatherens import hookimpl\nleatherens_api = 1\n@hookimpl\ndef run_stopped(colour): ...\n",
        encoding="utf-8",
    )
    host = PluginHost(builtins=False, installed=False, files=[plugin, broken], blocked=["watcher"])

    states = {found.name: found.state for found in host.plugins()}
    assert states == {"broken": "broken", "watcher": "blocked"}
    assert "Argument(s) {'colour'} are declared in the hookimpl" in host.plugins()[0].reason
    host.observers([]).tell("run_stopped", folder=tmp_path, reason="")


@pytest.mark.parametrize("hook", OBSERVER_HOOKS)
def test_hook__is_optional_for_who_also_works_with_an_older_leatherens(hook: str, tmp_path: Path) -> None:
    path = tmp_path / "grain.py"
    path.write_text(
        f"from leatherens import hookimpl\nleatherens_api = 1\n"
        f"@hookimpl(optionalhook=True)\ndef {hook}(folder): ...\n",
        encoding="utf-8",
    )
    (found,) = PluginHost(builtins=False, installed=False, files=[path]).plugins()

    assert (found.state, found.observes) == ("ok", (hook,))


def test_tracker__is_told_like_any_observer(tmp_path: Path) -> None:
    observers = Observers((), [Diary()])
    observers.tell(
        "run_started", folder=tmp_path, recipe={"members": {}}, data="", command="", versions={}, resumed=True
    )

    (line,) = heard(tmp_path / "diary" / "diary.jsonl")
    assert line == {"what": "started", "members": [], "resumed": True}
