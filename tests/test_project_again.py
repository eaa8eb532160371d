"""`leatherens report PROJECT`: the page of a project and those of its views, made again without scoring."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tiny_runs import call
from two_views import make_project, photograph, project_file


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machine")
    photograph(folder / "photographs")
    project_file(folder)
    return folder


@pytest.fixture(scope="module")
def made(machine: Path) -> Path:
    return make_project(machine / "machine.yaml", machine / "made")


def told(page: Path) -> str:
    """A page less its pictures, which may be compressed otherwise, and less its spaces."""
    text = re.sub(r'(src|href)="data:[^"]*"', "", page.read_text(encoding="utf-8"))
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_report__of_a_project_tells_the_same_again(made: Path) -> None:
    pages = ["report.html", "views/A/report.html", "views/B/report.html"]
    before = {page: told(made / page) for page in pages}
    for page in pages:
        (made / page).unlink()

    done = call("report", made)

    assert done.exit_code == 0, done.stderr
    assert before["report.html"] == told(made / "report.html")
    for page in pages[1:]:
        assert (made / page).exists()


def test_report__of_a_project_whose_photographs_moved_says_what_can_still_be_made(
    machine: Path, made: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    moved = machine / "photographs"
    moved.rename(machine / "elsewhere")
    try:
        done = call("report", copy)
    finally:
        (machine / "elsewhere").rename(moved)

    assert done.exit_code == 2
    assert "leatherens report" in done.stderr
    assert "Traceback" not in done.stderr + done.output
