"""What the terminal shows while something takes long: bars where somebody looks, lines elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from leatherens.core import terminal_progress as progress
from leatherens.core.terminal_progress import PLAIN_SECONDS, Bars, Lines, terminal_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress__is_bars_on_a_terminal_and_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(terminal_progress(), Lines)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(terminal_progress(), Bars)


def test_bars__show_the_step_its_count_and_remarks(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    bars = Bars()
    bars.say("size [64] is small")
    with bars.step("stfpm: learning", 3) as advance:
        for _ in range(3):
            advance(1)

    assert "size [64] is small" in screen.getvalue()
    assert "stfpm: learning" in screen.getvalue()
    assert "3/3" in screen.getvalue()


def test_lines__tell_the_time_left_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with Lines().step("learning", 12) as advance:
        for _ in range(12):
            now += PLAIN_SECONDS / 4
            advance(1)

    assert capsys.readouterr().err == (
        "learning: 5 of 12, about 18 s left\n"
        "learning: 10 of 12, about 5 s left\n"
        "learning: 12 of 12 in 30.0 s\n"
    )


def test_lines__do_not_count_what_an_earlier_run_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with Lines().step("learning", 110) as advance:
        advance(100)  # done before the interruption
        for _ in range(5):
            now += 3.0
            advance(1)

    assert capsys.readouterr().err.splitlines()[0] == "learning: 104 of 110, about 18 s left"
