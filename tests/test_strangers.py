"""What is put around a stranger's code: shared things put back, faults with a name, waiting that is told."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from leatherens.core import strangers
from leatherens.core.errors import ConfigError, PartFailed, PluginWarning
from leatherens.core.global_state import global_state, kept_global_state
from leatherens.core.strangers import blaming, kept_from, surviving, waiting_for

CHANGES: dict[str, Callable[[], object]] = {
    "Python's random generator": lambda: random.seed(3),
    "numpy's random generator": lambda: np.random.seed(3),
    "torch's random generator": lambda: torch.manual_seed(3),
    "torch's thread count": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's deterministic mode": lambda: torch.use_deterministic_algorithms(True),
    "cuDNN's benchmark mode": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "the working folder": lambda: os.chdir("/"),
    "the filters of warnings": lambda: warnings.simplefilter("ignore"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change__of_what_is_shared_is_seen_and_undone(name: str) -> None:
    before = global_state()

    with kept_global_state() as changed:
        CHANGES[name]()
        assert global_state()[name] != before[name]

    assert changed == [name]
    assert global_state()[name] == before[name]


def test_shared__is_everything_that_can_be_changed() -> None:
    assert set(global_state()) == set(CHANGES)


def test_change__is_undone_though_the_code_raised() -> None:
    def fail() -> None:
        torch.set_default_dtype(torch.float64)
        raise KeyError

    with pytest.raises(KeyError), kept_global_state() as changed:
        fail()

    assert changed == ["torch's default dtype"]
    assert torch.get_default_dtype() is torch.float32


def test_drawing__from_pythons_generator_is_put_back_and_not_told() -> None:
    """The first import of scikit-learn does it, which is nobody's fault."""
    for drawn in (1, 300, 600):
        random.seed(5)
        before = random.getstate()
        with kept_global_state() as changed:
            [random.getrandbits(32) for _ in range(drawn)]
        assert changed == []
        assert random.getstate() == before


def test_filter__for_warnings_of_ones_own_stays() -> None:
    class Own(UserWarning): ...

    with warnings.catch_warnings():
        with kept_global_state() as changed:
            warnings.simplefilter("ignore", Own)
        with warnings.catch_warnings(record=True) as told:
            warnings.warn("not shown", Own, stacklevel=1)

    assert (changed, told) == ([], [])


def test_package__that_was_not_imported_before_must_begin_as_it_does() -> None:
    """torch is not there before: what it begins with is known."""
    code = """if True:
        from leatherens.core.global_state import kept_global_state
        with kept_global_state() as changed:
            import torch
            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(False)
        print(changed, torch.get_default_dtype(), torch.is_grad_enabled())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == '["torch\'s default dtype", "torch\'s gradient mode"] torch.float32 True\n'


def test_kept_from__names_who_and_when() -> None:
    with (
        pytest.warns(
            PluginWarning, match=r"^head 'edge' changed torch's gradient mode while scoring; put back$"
        ),
        kept_from("head 'edge'", "while scoring"),
    ):
        torch.set_grad_enabled(False)


def test_fault__that_no_message_foresaw_gets_a_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LEATHERENS_TRACE_PLUGINS", raising=False)
    with pytest.raises(PartFailed) as caught, blaming("head 'edge'", "while scoring"):
        raise KeyError("grain")

    assert str(caught.value) == (
        "head 'edge' failed while scoring: KeyError: 'grain'; LEATHERENS_TRACE_PLUGINS=1 shows where"
    )
    assert capsys.readouterr().err == ""


def test_fault__shows_where_if_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEATHERENS_TRACE_PLUGINS", "1")
    with pytest.raises(PartFailed), blaming("head 'edge'", "while scoring"):
        raise KeyError("grain")

    told = capsys.readouterr().err
    assert told.startswith("leatherens plugins: head 'edge' is broken:\nTraceback (most recent call last):\n")
    assert told.endswith("KeyError: 'grain'\n")


def test_error__meant_for_a_user_stays_as_it_is() -> None:
    with pytest.raises(ConfigError, match=r"^take fewer$"), blaming("head 'edge'", "while scoring"):
        raise ConfigError("take fewer")


def test_surviving__goes_on_and_tells() -> None:
    with (
        pytest.warns(
            PluginWarning, match=r"^reporter 'pdf' failed while writing: OSError: no font; .*; done"
        ),
        surviving("reporter 'pdf'", "while writing"),
    ):
        raise OSError("no font")


def test_waiting__long_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(strangers, "PATIENCE", 0.01)
    told, deadline = "", time.monotonic() + 30

    with waiting_for("grain 1.2", "leave it out"):
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
            told = capsys.readouterr().err

    assert told == "Still waiting for plugin grain 1.2 to be imported; leave it out\n"


def test_waiting__that_is_over_is_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[strangers.threading.Timer] = []
    timer = strangers.threading.Timer
    monkeypatch.setattr(strangers.threading, "Timer", lambda *given: made.append(timer(*given)) or made[-1])

    with waiting_for("grain", "leave it out"):
        assert made[0].is_alive()
    made[0].join(timeout=30)

    assert made[0].finished.is_set()
    assert capsys.readouterr().err == ""


def test_ctrl_c__while_waiting_names_the_plugin() -> None:
    with (
        pytest.raises(
            KeyboardInterrupt, match=r"^Interrupted while waiting for plugin grain to be imported; "
        ),
        waiting_for("grain", "LEATHERENS_BLOCK_PLUGINS=grain does without it"),
    ):
        raise KeyboardInterrupt


def test_import__that_hangs_is_told_by_the_command(tmp_path: Path) -> None:
    """A whole process, since it is stopped by a signal while it waits."""
    plugin = tmp_path / "slow.py"
    plugin.write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    code = f"""if True:
        from leatherens.core import strangers
        strangers.PATIENCE = 0.05
        from leatherens.cli import main
        main(["--plugin", {str(plugin)!r}, "plugins"])
    """
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    process.kill()
    process.communicate()

    assert line == (
        "Still waiting for plugin slow to be imported; leave out --plugin slow.py to do without it\n"
    )
