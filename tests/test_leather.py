"""Demo leather: reproducible, exact masks, and no bare pixel statistic tells good from defective."""

from __future__ import annotations

import colorsys
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from leatherens.core.errors import InputError
from leatherens.core.leather import DEFECTS, SCENARIOS, VISIBLE_LEVELS, defective_hide, good_hide, write_demo
from leatherens.core.leather.grain import _scatter, two_nearest
from leatherens.core.leather.hide import raw_hide
from leatherens.core.leather.scenarios import pick_leather
from leatherens.core.leather.shapes import draw_spot, draw_stroke

Array = npt.NDArray[np.float64]

each_kind = pytest.mark.parametrize("kind", DEFECTS)
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS)


def rng(*path: int) -> np.random.Generator:
    return np.random.default_rng(path)


def files_under(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image, np.uint8)


def write_small(
    folder: Path, *, train: int = 2, test: int = 4, seed: int = 7, scenario: str = "one-colour"
) -> None:
    write_demo(folder, scenario=scenario, size=32, train=train, test=test, seed=seed)


@each_scenario
def test_same_generator_state_gives_the_same_bytes(scenario: str) -> None:
    first, again = (good_hide(rng(3), scenario=scenario, size=48) for _ in range(2))
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, good_hide(rng(4), scenario=scenario, size=48))


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    def after_a_defect(seed: int) -> tuple[bytes, float]:
        np.random.seed(seed)
        picture, _ = defective_hide(rng(5), kind="cut", scenario="one-colour", size=48)
        return picture.tobytes(), float(np.random.random())

    pictures, draws = zip(after_a_defect(0), after_a_defect(1), strict=True)
    assert pictures[0] == pictures[1]
    assert draws == tuple(float(np.random.RandomState(seed).random_sample()) for seed in (0, 1))


@each_kind
@each_scenario
@pytest.mark.parametrize("size", [32, (56, 100)])
def test_mask_is_exactly_what_the_defect_changed(
    kind: str, scenario: str, size: int | tuple[int, int]
) -> None:
    for number in range(2):
        good = good_hide(rng(number), scenario=scenario, size=size)
        damaged, mask = defective_hide(rng(number), kind=kind, scenario=scenario, size=size)
        change = np.abs(good.astype(int) - damaged.astype(int)).max(axis=-1)
        assert mask.shape == good.shape[:2]
        assert mask.dtype == bool
        assert change[mask].min() >= VISIBLE_LEVELS
        assert change[~mask].max() == 0
        assert 6 <= mask.sum() <= 0.4 * mask.size


@each_kind
def test_every_defect_stands_out_of_the_grain(kind: str) -> None:
    """Some pixels change by twice the picture's own fine contrast, even where the dice were faint."""
    for number in range(3):
        good = good_hide(rng(11, number), scenario="multi-colour", size=96).astype(float)
        damaged, _ = defective_hide(rng(11, number), kind=kind, scenario="multi-colour", size=96)
        fine = np.abs(np.diff(good.mean(axis=-1), axis=1)).mean()
        assert np.sort(np.abs(damaged - good).max(axis=-1), axis=None)[-6] >= max(12, 2 * fine)


def test_defects_lie_anywhere_and_sometimes_cross_the_border() -> None:
    masks = [
        defective_hide(rng(21, n), kind="stain", scenario="one-colour", size=(32, 64))[1] for n in range(24)
    ]
    centres = np.array([np.argwhere(mask).mean(axis=0) / mask.shape for mask in masks])
    assert abs(np.corrcoef(centres.T)[0, 1]) < 0.6
    assert (centres.min(axis=0) < 0.3).all()
    assert (centres.max(axis=0) > 0.7).all()
    framed = [mask[[0, -1]].any() or mask[:, [0, -1]].any() for mask in masks]
    assert 0 < sum(framed) < len(framed)


def test_strength_is_severity() -> None:
    hide = raw_hide(rng(2), (64, 64), pick_leather(rng(2), "one-colour"))
    good = hide.photograph().astype(int)
    for kind, damage in DEFECTS.items():
        faint, plain = (
            np.abs(damage(hide, rng(1), strength=s).photograph() - good).sum() for s in (0.4, 1.4)
        )
        assert faint < plain, kind


def test_two_nearest__agrees_with_a_tree() -> None:
    spots, seeds = _scatter(rng(3), rng(4).uniform(0, 20, (4000, 2)))
    distance = cKDTree(seeds.reshape(-1, 2)).query(spots, k=2)[0].T
    found = [np.linalg.norm(spots - seeds.reshape(-1, 2)[seed], axis=1) for seed in two_nearest(spots, seeds)]
    assert np.allclose(found, distance, atol=1e-5)


def test_stroke_measures_distance_and_side() -> None:
    stroke = draw_stroke(rng(1), (60, 80), length=30.0, bend=0.0, reach=8.0)
    assert stroke.across.shape == (60, 80)
    assert np.abs(stroke.across).min() < 1
    assert stroke.across.max() == pytest.approx(8.0)
    assert stroke.across.min() < -7
    # a straight line of 30 pixels sees a band of 16 x 30 pixels and two half discs, less what the border cuts
    assert (np.abs(stroke.across) < 8).sum() <= 16 * 30 + np.pi * 8**2 + 40


def test_spot_has_about_the_asked_area() -> None:
    areas = [(draw_spot(rng(n), (200, 200), radius=9.0, rough=0.0).reach < 1).sum() for n in range(8)]
    assert max(areas) == pytest.approx(np.pi * 81, rel=0.05)


@each_scenario
@pytest.mark.parametrize("size", [32, (40, 72), (130, 64)])
def test_any_size(scenario: str, size: int | tuple[int, int]) -> None:
    expected = (size, size) if isinstance(size, int) else size
    picture = good_hide(rng(1), scenario=scenario, size=size)
    assert picture.shape == (*expected, 3)
    assert picture.std() > 3


def test_multi_colour_has_more_hues_than_one_colour() -> None:
    def spread(scenario: str) -> float:
        means = [good_hide(rng(n), scenario=scenario, size=32).mean(axis=(0, 1)) / 255 for n in range(24)]
        hues = np.array([colorsys.rgb_to_hsv(*mean)[0] for mean in means])
        return float(1 - np.abs(np.exp(2j * np.pi * hues).mean()))

    assert spread("one-colour") < 0.02
    assert spread("multi-colour") > 0.2


def test_good_hides_differ_in_light_and_grain() -> None:
    hides = [good_hide(rng(n), scenario="one-colour", size=64).mean(axis=-1) for n in range(16)]
    assert np.std([hide.mean() for hide in hides]) > 6
    contrast = [np.abs(np.diff(hide, axis=1)).mean() / hide.mean() for hide in hides]
    assert max(contrast) > 1.4 * min(contrast)


def auroc(good: Array, bad: Array) -> float:
    return float((bad[:, None] > good).mean() + 0.5 * (bad[:, None] == good).mean())


def bare_statistics(train: Array) -> dict[str, Callable[[Array], Array]]:
    """Image scores a detector must beat: none of them looks at the structure of leather."""
    mean, grey = train.mean(axis=0), train.mean(axis=-1)
    middle, spread = grey.mean(axis=0), grey.std(axis=0) + 1
    return {
        "mean colour": lambda x: np.linalg.norm(x.mean(axis=(1, 2)) - train.mean(axis=(0, 1, 2)), axis=1),
        "largest deviation": lambda x: np.abs(x - mean).max(axis=(1, 2, 3)),
        "largest z-score": lambda x: (np.abs(x.mean(axis=-1) - middle) / spread).max(axis=(1, 2)),
    }


@each_scenario
def test_bare_statistics_fail(scenario: str) -> None:
    kinds = [*DEFECTS] * 6
    train, good = (
        np.stack([good_hide(rng(split, n), scenario=scenario, size=64) for n in range(42)]).astype(float)
        for split in (0, 1)
    )
    bad = [
        defective_hide(rng(2, n), kind=kind, scenario=scenario, size=64)[0] for n, kind in enumerate(kinds)
    ]
    for name, statistic in bare_statistics(train).items():
        assert auroc(statistic(good), statistic(np.stack(bad).astype(float))) < 0.75, name


def test_write_demo__layout(tmp_path: Path) -> None:
    done = []
    write_demo(
        tmp_path,
        scenario="one-colour",
        size=(32, 48),
        train=3,
        test=17,
        seed=1,
        advance=lambda: done.append(1),
    )
    names = set(files_under(tmp_path))
    assert len(done) == 20
    assert {name for name in names if name.startswith("train")} == {
        f"train/good/{n:03d}.png" for n in range(3)
    }
    assert {name for name in names if "test/good" in name} == {f"test/good/{n:03d}.png" for n in range(9)}
    numbers = dict.fromkeys(DEFECTS, 1) | {next(iter(DEFECTS)): 2}
    bad = {f"{kind}/{n:03d}" for kind, count in numbers.items() for n in range(count)}
    assert {name for name in names if name.startswith("ground_truth")} == {
        f"ground_truth/{b}_mask.png" for b in bad
    }
    assert {f"test/{b}.png" for b in bad} < names
    assert len(names) == 3 + 9 + 2 * len(bad)
    mask, picture = pixels(tmp_path / "ground_truth/cut/001_mask.png"), pixels(tmp_path / "test/cut/001.png")
    assert mask.shape == (32, 48)
    assert set(np.unique(mask)) == {0, 255}
    assert picture.shape == (32, 48, 3)


def test_write_demo__a_larger_set_contains_the_smaller(tmp_path: Path) -> None:
    write_small(tmp_path / "small", train=1, test=3)
    write_small(tmp_path / "large", train=3, test=16)
    write_small(tmp_path / "other", train=1, test=3, seed=8)
    small, large, other = (files_under(tmp_path / name) for name in ("small", "large", "other"))
    assert small.items() < large.items()
    assert small.keys() == other.keys()
    assert not small.items() & other.items()
    assert len(set(large.values())) == len(large)


def test_write_demo__cut_short_leaves_no_half_picture_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        whole(path, data[: len(data) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(KeyboardInterrupt):
            write_small(tmp_path / "again")
    assert not list(tmp_path.rglob("*.png"))
    write_small(tmp_path / "fresh")
    write_small(tmp_path / "again")
    assert files_under(tmp_path / "again") == files_under(tmp_path / "fresh")


def test_write_demo__refuses_a_folder_with_other_pictures(tmp_path: Path) -> None:
    write_small(tmp_path, train=2, test=0)
    write_small(tmp_path, train=2, test=0)
    with pytest.raises(InputError) as caught:
        write_small(tmp_path, train=1, test=0)
    stray = tmp_path / "train" / "good" / "001.png"
    assert str(caught.value) == f"{tmp_path} already holds other pictures ({stray}); choose an empty folder"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"scenario": "one-color"},
            "unknown scenario 'one-color'; did you mean 'one-colour'? (scenarios: one-colour, multi-colour)",
        ),
        ({"size": 31}, "demo leather needs at least 32 pixels on each side, got 31 x 31"),
        ({"size": (64, 8)}, "demo leather needs at least 32 pixels on each side, got 64 x 8"),
        ({"train": -1}, "the number of train pictures must be 0 or more, got -1"),
        ({"test": -5}, "the number of test pictures must be 0 or more, got -5"),
    ],
)
def test_write_demo__bad_arguments(tmp_path: Path, wrong: dict[str, object], sentence: str) -> None:
    arguments = {"scenario": "one-colour", "size": 32, "train": 0, "test": 0, "seed": 0} | wrong
    with pytest.raises(InputError) as caught:
        write_demo(tmp_path, **arguments)  # type: ignore[arg-type]
    assert str(caught.value) == sentence
    assert not list(tmp_path.iterdir())


def test_unknown_defect_suggests_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        defective_hide(rng(0), kind="wrinkel", scenario="one-colour", size=32)
    assert str(caught.value) == (
        "unknown defect 'wrinkel'; did you mean 'wrinkle'? "
        "(defects: cut, hole, line, wrinkle, stain, glue, poke)"
    )


def test_needs_no_torch() -> None:
    code = "import leatherens.core.leather, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
