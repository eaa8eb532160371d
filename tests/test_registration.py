"""Registration as a step of a run: what it learns, what it leaves, and what a run says of it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from boards import board, nudge, photographed
from pictures import save
from tiny_runs import call, make, predicted, table

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.photographs import resize_photograph
from leatherens.core.preparation import Frame, Prepared
from leatherens.core.progress import Silent
from leatherens.core.registration.homographies import corner_error
from leatherens.plugins.registration import RegistrationPreparation

SIZE = (320, 400)
NUDGED = nudge(SIZE, turn=4, shift=(12, -8), scale=1.03, tilt=0.02)
BLANK = np.full((*SIZE, 3), 128, dtype=np.uint8)
LEFT = "left as photographed (too few key points agree)"


def good(count: int = 3) -> list[Prepared]:
    return [Prepared(f"{number}.png", photographed(board(), seed=number)) for number in range(count)]


@pytest.fixture(scope="module")
def step() -> RegistrationPreparation:
    return RegistrationPreparation().fit(good())


class Said(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def test_a_nudged_photograph__comes_to_lie_where_the_reference_lies(step: RegistrationPreparation) -> None:
    found = step.apply(Prepared("n.png", photographed(board(), NUDGED)))

    assert found.remarks == ()
    assert found.warp is not None
    assert corner_error(found.warp, np.linalg.inv(NUDGED), SIZE) < 1
    apart = np.abs(found.pixels.astype(int) - good(1)[0].pixels.astype(int)).max(axis=2)
    assert found.hidden is not None
    assert np.median(apart[~found.hidden]) < 6
    assert 0.02 < found.hidden.mean() < 0.2


def test_what_left_the_frame__is_hidden_and_not_black(step: RegistrationPreparation) -> None:
    found = step.apply(Prepared("n.png", photographed(board(), NUDGED)))

    assert found.hidden is not None
    assert found.pixels[found.hidden].max(axis=1).min() > 0
    assert found.ignored is None


@pytest.mark.parametrize(
    "pixels", [BLANK, photographed(board(7)), BLANK[:30, :40]], ids=["blank", "another", "tiny"]
)
def test_a_stranger__is_left_and_told(step: RegistrationPreparation, pixels: np.ndarray) -> None:
    found = step.apply(Prepared("s.png", pixels))

    assert found.remarks == (LEFT,)
    assert found.hidden is None
    np.testing.assert_array_equal(found.pixels, resize_photograph(pixels, SIZE))
    assert (found.warp is None) is (pixels.shape[:2] == SIZE)


def test_a_stranger_of_another_size__is_resized_and_finds_its_way_back(step: RegistrationPreparation) -> None:
    pixels = np.zeros((160, 240, 3), dtype=np.uint8)
    pixels[40:60, 100:140] = 200

    found = step.apply(Prepared("s.png", pixels))
    back = Frame((160, 240), found.size, found.warp).back(torch.from_numpy(found.pixels[..., 0]).float())

    assert found.size == SIZE
    assert np.abs(back - pixels[..., 0]).mean() < 4


def test_regions_of_earlier_steps__move_along(step: RegistrationPreparation) -> None:
    mark = np.zeros(SIZE, dtype=bool)
    mark[100:150, 200:260] = True
    picture = Prepared("n.png", photographed(board(), NUDGED)).ignoring(mark)

    found = step.apply(picture)

    assert found.ignored is not None
    assert found.warp is not None
    back = Frame(SIZE, SIZE, found.warp).back_valid(torch.from_numpy(found.ignored))
    assert (back & mark).sum() / (back | mark).sum() > 0.97


def test_warps__follow_each_other(step: RegistrationPreparation) -> None:
    pixels = photographed(board(), NUDGED)
    shrunk = Prepared("n.png", pixels, warp=np.diag([0.5, 0.5, 1.0]))

    plain, after = step.apply(Prepared("n.png", pixels)), step.apply(shrunk)

    assert plain.warp is not None
    np.testing.assert_allclose(after.warp, plain.warp @ np.diag([0.5, 0.5, 1.0]))


def test_the_reference__is_the_one_that_most_others_fit_and_is_told() -> None:
    said = Said()
    strangers = [Prepared(f"s{seed}.png", photographed(board(seed))) for seed in (5, 6)]

    RegistrationPreparation().fit([strangers[0], *good(3), strangers[1]], progress=said)

    (sentence,) = said.sentences
    assert re.fullmatch(
        r"registration: the reference is \d\.png; 2 of 4 other good photographs can be laid over it", sentence
    )


def test_compare__what_agrees_is_grey_afterwards(step: RegistrationPreparation) -> None:
    found = step.compare(Prepared("n.png", photographed(board(), NUDGED)))

    rims = [np.abs(p[..., 0].astype(int) - p[..., 1]).mean() for p in (found.before, found.after)]
    assert found.before.shape == found.after.shape == (*SIZE, 3)
    assert rims[1] < 0.2 * rims[0]
    assert re.fullmatch(
        r"\d+ of \d+ key points agree; correlation of grey levels 0\.\d\d before, 0\.99 after", found.caption
    )


def test_compare__what_is_left_looks_the_same(step: RegistrationPreparation) -> None:
    found = step.compare(Prepared("s.png", BLANK))

    np.testing.assert_array_equal(found.before, found.after)
    assert found.caption == (
        "left as photographed: too few key points agree (0 of 0 matches agree, more than 8.0 are needed)"
    )


def test_the_reference__is_looked_for_among_so_many() -> None:
    opened = []

    class Counted(list[Prepared]):
        def __getitem__(self, index: int) -> Prepared:  # type: ignore[override]
            opened.append(index)
            return super().__getitem__(index)

    RegistrationPreparation.from_options({"candidates": 2}).fit(Counted(good(5)))

    assert opened == [0, 2]


def test_the_reference__may_be_a_file_of_its_own_size(tmp_path: Path) -> None:
    larger = photographed(board(0, (440, 520)))
    path = save(tmp_path / "reference.png", np.kron(larger, np.ones((2, 2, 1), np.uint8)))

    step = RegistrationPreparation.from_options({"reference": str(path)}).fit(good(1))
    found = step.apply(Prepared("n.png", photographed(board(), NUDGED)))

    assert found.size == (640, 800)
    assert found.remarks == ()


@pytest.mark.parametrize("pixels", [BLANK, BLANK[:20, :20]], ids=["blank", "tiny"])
def test_a_blank_reference_file__is_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    path = save(tmp_path / "reference.png", pixels)

    with pytest.raises(InputError) as error:
        RegistrationPreparation.from_options({"reference": str(path)}).fit(good(1))

    assert str(error.value) == (
        f"{path}: blank or too small, so that nothing can be laid over it; give a photograph of at least "
        "64 x 64 pixels with edges, marks or print"
    )


def test_blank_good_photographs__are_refused() -> None:
    with pytest.raises(InputError, match="the good photographs are blank, nothing in them can be recognised"):
        RegistrationPreparation().fit([Prepared("b.png", BLANK)])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"side": 20}, "registration: option 'side': input should be greater than or equal to 64, got 20"),
        ({"stretch": 1}, "registration: option 'stretch': input should be greater than 1, got 1"),
        ({"ratio": 1.5}, "registration: option 'ratio': input should be less than or equal to 1, got 1.5"),
        ({"shit": 1}, "registration: unknown option 'shit'; did you mean 'shift'?"),
    ],
)
def test_wrong_options__are_told(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        RegistrationPreparation.from_options(options)

    assert str(error.value).startswith(sentence)


def test_stored__it_is_tensors_and_a_size(step: RegistrationPreparation) -> None:
    state = step.state()

    assert {name: type(value).__name__ for name, value in state.items()} == {
        "size_": "list",
        "grey_": "Tensor",
        "places_": "Tensor",
        "descriptors_": "Tensor",
    }


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 good photographs to learn from, half by a nudged camera; 5 to test, one of another board."""
    root = tmp_path_factory.mktemp("line")
    rng = np.random.default_rng(0)
    for number in range(16):
        turn, across, down = rng.uniform(-4, 4), *rng.uniform(-12, 12, 2)
        nudged = nudge(SIZE, turn=turn, shift=(across, down)) if number % 2 else None
        folder = "train/good" if number < 12 else "test/good"
        save(root / folder / f"{number:02d}.png", photographed(board(), nudged, seed=number))
    save(root / "test/other/99.png", photographed(board(9)))
    return root


def test_run__registers_and_says_what_was_left(line: Path, tmp_path: Path) -> None:
    run = make(tmp_path / "run", line, "patchcore", "--prepare", "registration")

    assert (run / "preparation/0-registration/state.safetensors").exists()
    assert f"1 of 5 images {LEFT}: test/other/99.png" in (run / "report.html").read_text()
    report = (run / "report.html").read_text()
    assert report.count("before and after registration") == 5  # five images were tested
    assert report.index("test/other/99.png</b>, before and after") > report.index("</b>, before and after")
    scores = {name: float(row["ensemble"]) for name, row in table(run).items()}
    again = predicted(run, line / "test/good/13.png")
    assert [float(score) for score, _ in again.values()] == [
        pytest.approx(scores["test/good/13.png"], rel=1e-5)
    ]


def test_run__blank_photographs_leave_no_run_behind(tmp_path: Path) -> None:
    for number in range(10):  # each of its own brightness: twins are refused before they are aligned
        save(tmp_path / f"data/{number}.png", BLANK[:80, :80] - number)
    out = tmp_path / "run"

    found = call(
        "run",
        "--members",
        "patchcore",
        "--data",
        tmp_path / "data",
        "--out",
        out,
        "--prepare",
        "registration",
    )

    assert found.exit_code == 2
    assert "the good photographs are blank" in found.stderr
    assert not out.exists()
