"""`leatherens mask suggest`: from photographs with a changing label to a mask that a run takes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tiny_runs import array, call, files, make, tiny

from leatherens.core.leather import write_demo

TINY = [*tiny("patchcore"), "--seed", "0"]
LABEL = np.s_[44:58, 8:32]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Leather of 64 x 64 pixels, 48 good to learn from, with a label that says something else each time."""
    folder = tmp_path_factory.mktemp("data") / "labelled"
    write_demo(folder, scenario="one-colour", size=64, train=48, test=4, seed=0)
    rng = np.random.default_rng(0)
    for path in sorted(folder.glob("t*/*/*.png")):
        picture = array(path)
        picture[LABEL] = rng.integers(0, 256, (14, 24, 3))
        Image.fromarray(picture).save(path)
    return folder


@pytest.fixture(scope="module")
def suggested(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The mask and what was said."""
    out = tmp_path_factory.mktemp("suggested") / "mask.png"
    found = call("mask", "suggest", *TINY, "--data", labelled, "--out", out)
    assert found.exit_code == 0, found.stderr
    return out, found.stdout


def test_the_mask__lies_on_the_label(suggested: tuple[Path, str]) -> None:
    out, _ = suggested
    mask = array(out)

    assert mask.shape == (64, 64)
    assert mask[LABEL].mean() > 0.9
    mask[36:, :42] = False  # within the reach of its score map
    assert not mask.any()


def test_what_is_said__region_effect_and_files(suggested: tuple[Path, str]) -> None:
    out, said = suggested
    lines = said.splitlines()

    assert lines[0] == "7 held-out good images choose the region, 7 others measure what it changes"
    assert lines[1].startswith("suggested: 1 piece, ")
    assert lines[1].endswith(" of the picture, with the highest pixels of 7 of 7 good images")
    assert lines[2].startswith("silenced: the threshold goes from ")
    assert lines[3] == f"{out}: white is to be ignored; leatherens run --ignore {out}"
    assert lines[4].startswith(f"{out.parent / 'mask-overlay.png'}: the region over the mean image")
    assert files(out.parent) == {"mask.png", "mask-overlay.png"}


def test_the_overlay__outlines_the_region_over_the_mean(suggested: tuple[Path, str]) -> None:
    out, _ = suggested
    overlay = array(out.with_name("mask-overlay.png"))

    red = (overlay == (227, 0, 27)).all(axis=2)
    assert overlay.shape == (64, 64, 3)
    assert red.any()
    assert array(out)[red].mean() > 0.5
    assert cv2.connectedComponents(red.astype(np.uint8), connectivity=8)[0] == 2


def test_a_run__takes_the_mask_and_has_nothing_more_to_ignore(
    suggested: tuple[Path, str], labelled: Path, tmp_path: Path
) -> None:
    out, _ = suggested
    run = make(tmp_path / "run", labelled, "patchcore", "--ignore", out)

    found = call("mask", "suggest", "--run", run, "--out", tmp_path / "more.png")

    assert found.exit_code == 0
    assert found.stdout.splitlines()[1].startswith(
        "nothing to suggest: no place scores high in more of the 7 images"
    )
    assert not (tmp_path / "more.png").exists()


def test_a_finished_run__is_asked_with_its_own_images(
    suggested: tuple[Path, str], labelled: Path, tmp_path: Path
) -> None:
    run = make(tmp_path / "run", labelled, "patchcore")

    found = call("mask", "suggest", "--run", run, "--out", tmp_path / "mask.png")

    assert found.exit_code == 0
    np.testing.assert_array_equal(array(tmp_path / "mask.png"), array(suggested[0]))


def test_a_run_with_a_mask__the_new_mask_holds_the_old(labelled: Path, tmp_path: Path) -> None:
    old = np.zeros((64, 64), dtype=np.uint8)
    old[:16] = 255
    Image.fromarray(old).save(tmp_path / "old.png")
    run = make(tmp_path / "run", labelled, "patchcore", "--ignore", tmp_path / "old.png")

    found = call("mask", "suggest", "--run", run, "--out", tmp_path / "mask.png")

    mask = array(tmp_path / "mask.png")
    assert mask[:16].all()
    assert mask[LABEL].mean() > 0.9
    assert f"25.0% of the picture is ignored already; {tmp_path / 'mask.png'} holds that, too" in found.stdout


def test_photographs_of_two_sizes__are_refused(labelled: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(labelled.glob("train/good/*.png"))):
        size = (64, 64) if number % 2 else (80, 64)
        (tmp_path / "data").mkdir(exist_ok=True)
        Image.open(path).resize(size).save(tmp_path / "data" / path.name)

    found = call("mask", "suggest", *TINY, "--data", tmp_path / "data", "--out", tmp_path / "mask.png")

    assert found.exit_code == 2
    assert "the photographs differ in size (" in found.stderr
    assert "a region belongs to one; register them first (--prepare registration)" in found.stderr
    assert not (tmp_path / "mask.png").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "DATA", "--out", "mask.jpg"], "--out: expected a name that ends in .png, got 'mask.jpg'"),
        (["--data", "DATA", "--out", "OUT"], "a folder; give --out a file in it, such as"),
        (["--out", "mask.png"], "whose good images? give either --data DIR or --run RUN"),
        (
            ["--data", "DATA", "--run", "RUN", "--out", "mask.png"],
            "whose good images? give either --data DIR or --run RUN",
        ),
        (
            ["--run", "RUN", "--members", "padim", "--prepare", "mask", "--out", "mask.png"],
            "a finished run keeps its own options; leave out --members, --prepare",
        ),
        (
            ["--data", "DATA", "--out", "mask.png", "--false-alarms", "2"],
            "--false-alarms: expected a share between 0 and 1, such as 0.01, got 2",
        ),
        (["--data", "DATA", "--members", "pachcore", "--out", "mask.png"], "did you mean 'patchcore'?"),
        (["--run", "nowhere", "--out", "mask.png"], "nowhere"),
        (
            ["--data", "DATA", *TINY, "--out", "mask.png"],
            "4 held-out good images are needed to tell a disturbed place from chance, got 2; give more good",
        ),
    ],
)
def test_mistakes__are_one_sentence(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    places = {"DATA": leather, "OUT": "folder.png", "RUN": "run"}

    found = call("mask", "suggest", *(places.get(argument, argument) for argument in arguments))

    assert found.exit_code == 2
    assert sentence in found.stderr
    assert files(tmp_path) == set()
