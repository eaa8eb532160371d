"""The scripts in examples/ run as they stand, and their output is what they say."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the tests run without the examples")


def output(name: str, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", [name, str(out)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_fit_and_predict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = output("fit_and_predict.py", tmp_path, monkeypatch, capsys)

    assert said.count("\nResult(") == 16 + 1
    assert "opened again, the same scores: True" in said
    assert (tmp_path / "run" / "report.html").is_file()


def test_compare_thresholds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = output("compare_thresholds.py", tmp_path, monkeypatch, capsys)

    assert said.count("conformal, 0.2") == said.count("k-sigma, k = 2") == 2
    assert (tmp_path / "thresholds.png").stat().st_size > 10_000


def test_scikit_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = output("scikit_learn.py", tmp_path, monkeypatch, capsys)

    assert said.count("mean AUROC") == 2
    assert "verdicts of the best" in said


def test_every_script_has_a_test() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}

    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested
