"""What images look like: each measure on pictures whose answer is known, then on leather and on real sets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leatherens.core.errors import InputError
from leatherens.core.leather import good_hide
from leatherens.core.looks import look_at, this_machine
from leatherens.core.looks.details import contrast_left, detail_width
from leatherens.core.looks.look import Details
from leatherens.core.looks.looking import DRAWN
from leatherens.core.looks.places import likeness_in_place, share_that_fits
from leatherens.core.looks.surface import UNEVEN, unevenness
from leatherens.core.looks.view_names import named_views
from leatherens.core.reading import Sample

Picture = NDArray[np.uint8]
SIZE = (256, 256)


def noise(seed: int, side: int = 256, sigma: float = 0.0) -> NDArray[np.float32]:
    """Independent pixels of mean 0 and deviation 1, smoothed by a Gaussian."""
    grey = np.random.default_rng(seed).normal(size=(side, side)).astype(np.float32)
    if sigma:
        grey = cv2.GaussianBlur(grey, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return grey / grey.std()


def picture(grey: NDArray[np.float32]) -> Picture:
    """Grey levels as a photograph."""
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def bottle(seed: int = 0, *, moved: int = 0, side: int = 256) -> Picture:
    """A bottle from above on a light table, moved by at most so many pixels."""
    rng = np.random.default_rng(seed)
    canvas = np.full((side, side, 3), 200, np.float32)
    centre = [int(side / 2 + d) for d in rng.uniform(-moved, moved, 2)]
    for radius, colour in ((0.38, (60, 70, 40)), (0.25, (110, 90, 60)), (0.12, (30, 30, 30))):
        cv2.circle(canvas, centre, int(side * radius), colour, -1)
    return np.clip(canvas + rng.normal(0, 4, canvas.shape), 0, 255).astype(np.uint8)


def hide(seed: int, scenario: str = "one-colour", side: int = 128) -> Picture:
    """Demo leather."""
    return good_hide(np.random.default_rng(seed), scenario=scenario, size=side)


def written(folder: Path, pictures: list[Picture]) -> list[Sample]:
    """Pictures as samples on disk."""
    samples = []
    for number, pixels in enumerate(pictures):
        path = folder / f"{number:03d}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(path, path.name, defective=False))
    return samples


@pytest.mark.parametrize("sigma", [1.5, 3.0, 6.0])
def test_the_width_of_smoothed_noise_is_what_its_autocorrelation_says(sigma: float) -> None:
    # exp(-r^2 / 4 s^2) falls to a half at r = 2 s sqrt(ln 2)
    expected = 4 * sigma * np.sqrt(np.log(2))
    found = [detail_width(100 + 20 * noise(seed, 512, sigma)) for seed in range(3)]
    assert np.median(found) == pytest.approx(expected, rel=0.12)


def test_independent_pixels_are_one_pixel_wide_and_nothing_is_seen_of_a_blank_picture() -> None:
    assert detail_width(100 + 20 * noise(0)) == pytest.approx(1.0, abs=0.05)
    assert detail_width(np.full((64, 64), 90, np.float32)) == 0.0


def test_uneven_light_does_not_widen_details() -> None:
    light = np.linspace(0, 120, 256, dtype=np.float32)[None, :]
    plain = 60 + 10 * noise(1, sigma=2)
    assert detail_width(plain + light) == pytest.approx(detail_width(plain), rel=0.05)


def test_independent_pixels_lose_contrast_as_averages_do() -> None:
    found = contrast_left(picture(128 + 20 * noise(2)), (64, 64))
    assert found == pytest.approx(1 / 4, rel=0.1)  # 4 x 4 pixels averaged: a quarter of the deviation
    assert contrast_left(picture(128 + 20 * noise(2)), SIZE) == 1.0


def test_a_texture_is_even_and_an_object_is_not_whatever_the_contrast() -> None:
    for scale in (5, 40):
        assert unevenness(picture(128 + scale * noise(3, sigma=2))) < 0.3
    assert unevenness(bottle()) > 0.7
    assert unevenness((bottle() // 3 + 90).astype(np.uint8)) > UNEVEN


def test_a_part_at_the_same_place_is_alike_and_one_that_moves_is_less() -> None:
    still, moved = (likeness_in_place([bottle(s, moved=by) for s in range(8)]) for by in (0, 25))
    assert still > 0.95
    assert moved < 0.7
    assert likeness_in_place([bottle()]) == 0.0


def test_a_light_that_all_images_share_makes_no_part_of_a_texture_alike() -> None:
    light = np.linspace(0, 100, 256, dtype=np.float32)[None, :]
    found = likeness_in_place([picture(80 + light + 15 * noise(seed, sigma=2)) for seed in range(8)])
    assert abs(found) < 0.2


def test_a_print_that_moves_can_be_laid_over_itself_and_leather_cannot() -> None:
    big = picture(128 + 60 * np.sign(noise(5, 400, sigma=6)))
    moved = [
        np.ascontiguousarray(big[y : y + 320, x : x + 320]) for x, y in ((0, 0), (20, 10), (35, 30), (5, 40))
    ]
    assert share_that_fits(moved) == 1.0
    assert share_that_fits([hide(seed) for seed in range(4)]) == 0.0
    assert share_that_fits(moved[:1]) == 0.0


@pytest.mark.parametrize(
    ("ids", "views"),
    [
        ([f"train/{view}/{n}.png" for view in ("top", "left") for n in range(5)], ("left", "top")),
        ([f"good/{n:03d}_cam{c}.png" for n in range(5) for c in (1, 2, 3)], ("cam1", "cam2", "cam3")),
        ([f"good/color_{n}_{x}_{y}.png" for n in range(3) for x in (0, 256) for y in (0, 256)], ()),
        ([f"good/{m}_{n}.png" for n, m in enumerate(["grey", "slate", "cream"] * 4)], ()),
        (["a.png", "b_left.png"], ()),
        ([], ()),
    ],
    ids=["folders", "words", "tiles", "materials", "one-name", "none"],
)
def test_views_are_told_by_words_that_come_with_every_part(ids: list[str], views: tuple[str, ...]) -> None:
    assert named_views(ids) == views


def test_demo_leather_of_one_colour_is_seen_as_what_it_is(tmp_path: Path) -> None:
    look = look_at(written(tmp_path, [hide(seed) for seed in range(10)]), size=SIZE)
    assert look.surface == "texture"
    assert look.colours.one
    assert (look.images, look.seen, look.smallest, look.longest_side) == (10, 10, (128, 128), 128)
    assert not look.still
    assert not look.views
    assert look.sentences["colours"] == "one colour: brown"
    assert "one view" in look.sentences.values()


def test_demo_leather_of_several_colours_is_seen_as_what_it_is(tmp_path: Path) -> None:
    look = look_at(written(tmp_path, [hide(seed, "multi-colour") for seed in range(12)]), size=SIZE)
    assert look.surface == "texture"
    assert not look.colours.one


@pytest.mark.parametrize(("moved", "still"), [(0, True), (25, False)])
def test_an_object_is_told_and_whether_it_lies_still(tmp_path: Path, moved: int, still: bool) -> None:
    look = look_at(written(tmp_path, [bottle(seed, moved=moved) for seed in range(8)]), size=SIZE)
    assert look.surface == "object"
    assert look.still is still
    assert ("at the same place in all images" in look.sentences["places"]) is True
    assert (look.places.fitting is None) is still


def test_the_same_images_give_the_same_look(tmp_path: Path) -> None:
    samples = written(tmp_path, [hide(seed) for seed in range(6)])
    assert look_at(samples, size=SIZE).content() == look_at(samples, size=SIZE).content()


def test_of_many_images_some_are_looked_at(tmp_path: Path) -> None:
    (sample,) = written(tmp_path, [hide(0, side=64)])
    many = [Sample(sample.path, f"{number}.png", defective=False) for number in range(DRAWN + 30)]
    look = look_at(many, size=SIZE)
    assert (look.images, look.seen) == (DRAWN + 30, DRAWN)
    assert look.sentences["images"] == f"{DRAWN + 30} good images, {DRAWN} of them looked at"


def test_one_image_has_a_look_too(tmp_path: Path) -> None:
    look = look_at(written(tmp_path, [hide(0)]), size=SIZE)
    assert look.images == 1
    assert look.colours.one
    assert not look.still


def test_images_that_cannot_be_read_are_named_and_the_others_looked_at(tmp_path: Path) -> None:
    samples = written(tmp_path, [hide(seed) for seed in range(4)])
    samples[2].path.write_bytes(b"no picture")
    look = look_at(samples, size=SIZE)
    assert look.unreadable == ("002.png",)
    assert look.seen == 3
    assert "1 cannot be read: 002.png" in look.sentences["images"]


def test_where_nothing_can_be_read_there_is_no_look(tmp_path: Path) -> None:
    samples = written(tmp_path, [hide(0), hide(1)])
    for sample in samples:
        sample.path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of the 2 good images looked at can be read; the first"):
        look_at(samples, size=SIZE)
    with pytest.raises(InputError, match="no images to look at"):
        look_at([], size=SIZE)


def test_fine_details_of_large_photographs_are_said_to_be_lost(tmp_path: Path) -> None:
    pictures = [picture(128 + 25 * noise(seed, 1200, 0.6)) for seed in range(2)]
    look = look_at(written(tmp_path, pictures), size=SIZE)
    assert look.details.shrink == pytest.approx(1200 / 256)
    assert look.details.lost
    assert look.sentences["details"].endswith("too little, look in tiles (--tile)")
    assert not Details(width=12.0, shrink=2.0, left=0.9, size=SIZE).lost


def test_the_machine_has_cores_and_memory_and_a_sentence() -> None:
    machine = this_machine("cpu")
    assert machine.cores >= 1
    assert machine.gpu is None
    assert machine.memory_mb is None or machine.memory_mb > 256
    assert "no GPU" in machine.sentence


REAL: dict[str, tuple[str, bool | None]] = {
    "circuit_board_pairs": ("object", False),
    "fabric_02": ("texture", False),
    "fabric_03": ("texture", False),
    "leather_labels_only/darkgreen": ("texture", False),
    "leather_multi_colour_tiles": ("texture", False),
    "leather_one_colour": ("texture", False),
    "magnetic_tile": ("object", False),
}
"""By folder, the surface, and whether parts lie still."""


@pytest.mark.parametrize("name", REAL)
def test_real_sets_are_seen_as_people_see_them(name: str, real_good: Callable[[str], list[Sample]]) -> None:
    look = look_at(real_good(name)[:24], size=SIZE)
    assert (look.surface, look.still) == REAL[name]


@pytest.fixture
def real_good() -> Callable[[str], list[Sample]]:
    """The good images of a real set that teach."""
    root = os.environ.get("LEATHERENS_DATA")
    if root is None:
        pytest.skip("real images are needed; name their folder in LEATHERENS_DATA")

    def samples(name: str) -> list[Sample]:
        folder = Path(root, name, "train", "good")
        return [Sample(path, path.name, defective=False) for path in sorted(folder.iterdir())]

    return samples
