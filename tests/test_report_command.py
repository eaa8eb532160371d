"""`leatherens report RUN`: the same page from what the run keeps, and sentences where something is gone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import save
from tiny_runs import call, make

from leatherens.core.host import PluginHost
from leatherens.core.leather import write_demo
from leatherens.ensembles.map_files import read_map
from leatherens.ensembles.reopening import view_of_run


@pytest.fixture
def run(pair: Path, tmp_path: Path) -> Path:
    """A copy of the pair, to be damaged."""
    return Path(shutil.copytree(pair, tmp_path / "runs" / "pair"))


def cards(run: Path) -> list[str]:
    """The report's cards without where their photographs lie."""
    text = (run / "report.html").read_text(encoding="utf-8")
    return [
        re.sub(r'data-(full|lies)="[^"]*"', "", c) for c in re.findall(r"<article.*?</article>", text, re.S)
    ]


def test_report__has_the_cards_that_the_run_wrote(alone: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(alone, tmp_path / "alone"))
    (copy / "report.html").unlink()
    result = call("report", copy)
    assert result.exit_code == 0, result.stderr
    assert len(cards(copy)) == 9
    assert cards(copy) == cards(alone)


def test_maps__are_those_of_the_run_and_its_members(pair: Path) -> None:
    view = view_of_run(pair, PluginHost(installed=False))
    image = view.images[0]
    assert set(image.member_maps) == {"draem", "stfpm"}
    assert image.member_maps["stfpm"]().shape == image.score_map().shape
    assert float(image.score_map().max()) == pytest.approx(
        float(read_map(pair / "maps" / f"{image.id}.tiff").max()), abs=0
    )


def test_report__without_the_kept_pictures_says_so(run: Path) -> None:
    (run / "pictures.zip").unlink()
    result = call("report", run)
    assert result.exit_code == 0, result.stderr
    assert "pictures.zip is not there; it was deleted" in result.stdout


FILES = (
    "run.json",
    "recipe.yaml",
    "splits.json",
    "images.json",
    "metrics.json",
    "details.json",
    "scores.csv",
    "pictures.zip",
    "ensemble/colours.json",
    "ensemble/thresholds/ensemble/component.json",
    "ensemble/block/state.safetensors",
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["deleted", "emptied", "truncated", "of another kind"])
def test_report__never_fails_without_a_sentence(run: Path, name: str, how: str) -> None:
    file = run / name
    content = file.read_bytes()
    match how:
        case "deleted":
            file.unlink()
        case "emptied":
            file.write_bytes(b"")
        case "truncated":
            file.write_bytes(content[: len(content) // 2])
        case _:
            file.write_bytes(b"[1, 2]")
    result = call("report", run)  # raises what is no exit
    assert result.exit_code in (0, 2)
    if result.exit_code:
        assert result.stderr.count("Error: ") == 1


def test_report__of_an_unfinished_run_lists_what_is_there(run: Path) -> None:
    (run / "DONE").unlink()
    (run / "members" / "draem" / "component.json").unlink()
    result = call("report", run)
    assert result.exit_code == 2
    assert re.search(r"✗ draem +not learned yet", result.stdout)
    assert re.search(r"✓ stfpm +learned", result.stdout)
    assert f"leatherens run --resume --out {run}" in result.stderr
    page = (run / "unfinished.html").read_text(encoding="utf-8")
    assert "1 of 8 parts is missing." in page
    assert f"leatherens run --resume --out {run}" in page
    assert page.count('aria-label="Training of ') == 2


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run and its photographs, to be copied."""
    root = tmp_path_factory.mktemp("moving")
    write_demo(root / "leather", scenario="one-colour", size=64, train=16, test=9, seed=0)
    made = make(root / "run", root / "leather", "stfpm")
    (root / "leather").rename(root / "moved")
    return made, root / "moved"


def test_report__of_moved_photographs_shows_small_ones(moving: tuple[Path, Path], tmp_path: Path) -> None:
    result = call("report", moving[0], "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "9 of 9 photographs are not in" in result.stdout
    assert "the masks of 4 images are gone" in result.stdout
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count('id="photo-') == 9


def test_report__finds_photographs_where_data_says_and_names_others(
    moving: tuple[Path, Path], tmp_path: Path
) -> None:
    made, moved = moving
    result = call("report", made, "--data", moved, "--out", tmp_path / "page.html")
    assert result.exit_code == 0, result.stderr
    assert "of 9 photographs" not in result.stdout
    assert (tmp_path / "page.html").is_file()

    other = Path(shutil.copytree(moved, tmp_path / "other"))
    save(other / "test" / "good" / "000.png", np.full((64, 64, 3), 90, np.uint8))
    result = call("report", made, "--data", other, "--out", tmp_path)
    assert "1 of 9 photographs are not those that were judged (test/good/000.png)" in result.stdout

    result = call("report", made, "--data", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "holds none of the 9 photographs" in result.stderr


def test_report__without_maps_has_no_cards_and_says_why(run: Path) -> None:
    maps = sorted((run / "maps").rglob("*.tiff"))
    maps[0].unlink()
    maps[1].write_bytes(maps[1].read_bytes()[:40])
    result = call("report", run)
    assert result.exit_code == 0, result.stderr
    assert "2 of 9 score maps are missing or damaged" in result.stdout
    assert (run / "report.html").read_text(encoding="utf-8").count("<article") == 7
