"""Where good images score high again and again: planted places are found, chance is not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from leatherens.core.disturbance import Rule, alarms, disturbed
from leatherens.core.errors import InputError

SHAPE = (64, 96)
SQUARE = np.s_[10:22, 60:76]
EXACT = Rule(margin=0)


def noise(images: int = 24, seed: int = 0) -> np.ndarray:
    """(n, h, w) float32 smooth noise, each image another."""
    rng = np.random.default_rng(seed)
    rough = rng.normal(size=(images, *SHAPE))
    return np.stack([cv2.GaussianBlur(one, (0, 0), 2) for one in rough]).astype(np.float32)


def disturbed_in(share: float, height: float, seed: int = 0) -> np.ndarray:
    """Noise with a square that is higher in some of the images."""
    maps = noise(seed=seed)
    for one in maps[: round(share * len(maps))]:
        one[SQUARE] += height * noise().std()
    return maps


@pytest.mark.parametrize("share", [1, 0.5])
def test_disturbed__finds_a_planted_place(share: float) -> None:
    found = disturbed(disturbed_in(share, 6), rule=EXACT)

    planted = np.zeros(SHAPE, dtype=bool)
    planted[SQUARE] = True
    assert found.pieces == 1
    assert (found.region & planted).sum() / (found.region | planted).sum() > 0.6
    assert found.region[12:20, 63:73].all()
    assert found.peaks >= 0.9 * share * 24
    assert found.share == found.region.mean()
    assert found.hot[16, 68] == pytest.approx(share, abs=0.1)


def test_disturbed__a_margin_widens_it() -> None:
    maps = disturbed_in(1, 6)

    plain, widened = disturbed(maps, rule=EXACT), disturbed(maps, rule=replace(EXACT, margin=0.05))

    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))  # 5 % of 96 pixels, all around
    np.testing.assert_array_equal(widened.region, cv2.dilate(plain.region.astype(np.uint8), disc) > 0)
    assert (widened.pieces, widened.peaks) == (plain.pieces, plain.peaks)


def test_disturbed__chance_is_marked_as_rarely_as_promised() -> None:
    marked = [disturbed(noise(seed=seed)).pieces > 0 for seed in range(60)]

    assert np.mean(marked) <= 0.05


def test_disturbed__a_place_that_never_raises_an_alarm_is_left() -> None:
    maps = disturbed_in(1, 3)
    rng = np.random.default_rng(1)
    for one in maps:  # the highest pixel lies anywhere else
        one[rng.integers(30, 64), rng.integers(96)] += 20

    assert disturbed(maps).pieces == 0
    assert disturbed(disturbed_in(1, 3)).pieces == 1


def test_disturbed__asks_in_how_many_images_not_how_high() -> None:
    maps = noise()
    for one in maps[:3]:
        one[SQUARE] += 100

    assert disturbed(maps).pieces == 0


def test_disturbed__knows_no_unit_and_no_order() -> None:
    maps = disturbed_in(0.6, 6)
    rng = np.random.default_rng(2)
    scaled = maps * rng.uniform(1, 8, (24, 1, 1)).astype(np.float32) + rng.normal(0, 50, (24, 1, 1))

    expected = disturbed(maps)
    found = disturbed(scaled.astype(np.float32)[::-1])

    assert expected.pieces == 1
    np.testing.assert_array_equal(found.region, expected.region)
    np.testing.assert_allclose(found.hot, expected.hot, atol=1e-6)


def test_disturbed__what_does_not_count_is_never_hot() -> None:
    maps = disturbed_in(1, 6)
    valid = np.ones(maps.shape, dtype=bool)
    valid[:, 5:27, 55:81] = False

    found = disturbed(maps, valid)

    assert found.pieces == 0
    assert found.hot[12:20, 63:73].max() < 0.01


def test_disturbed__a_place_larger_than_what_is_hot_is_found_in_rounds() -> None:
    maps = noise()
    maps[:, 10:30, 20:50] += 6 * maps.std()  # a tenth of the picture, of which a twentieth is hot

    found = disturbed(maps, rule=EXACT)

    assert found.region[12:28, 22:48].mean() > 0.9
    assert found.pieces == 1
    assert found.share < 0.15


def test_disturbed__more_than_is_allowed_is_not_proposed() -> None:
    maps = disturbed_in(1, 6)

    assert disturbed(maps, rule=replace(EXACT, most=0.05)).share > 0
    assert disturbed(maps, rule=replace(EXACT, most=0.01)).pieces == 0


def test_disturbed__the_product_on_an_empty_table_is_no_disturbance() -> None:
    maps = noise()
    maps[:, :, 30:70] += 6 * maps.std()  # it fills two fifths of the picture

    assert disturbed(maps).pieces == 0


def test_disturbed__a_few_pixels_are_no_region() -> None:
    maps = noise()
    maps[:, 30, 40] += 100

    assert disturbed(maps, rule=replace(EXACT, smallest=0.01)).pieces == 0


def test_disturbed__few_images_cannot_tell() -> None:
    with pytest.raises(InputError) as error:
        disturbed(noise(3))

    assert str(error.value) == (
        "4 held-out good images are needed to tell a disturbed place from chance, got 3; give more good "
        "photographs"
    )
    disturbed(noise(4))


def test_alarms__by_hand() -> None:
    chosen, others = np.zeros((4, 1, 3), np.float32), np.zeros((3, 1, 3), np.float32)
    chosen[:, 0] = [[1, 9, 0], [2, 0, 0], [3, 0, 0], [4, 0, 0]]
    others[:, 0] = [[3.5, 0, 10], [5, 0, 0], [0, 9.5, 0]]
    nothing, middle = np.zeros((1, 3), bool), np.array([[False, True, False]])

    before, after = (alarms(chosen, others, silenced, rate=0.2) for silenced in (nothing, middle))

    assert (before.threshold, before.alarms, before.images) == (9, 2, 3)
    assert (after.threshold, after.alarms, after.images) == (4, 2, 3)


def test_alarms__the_rate_says_which_of_the_chosen_is_the_threshold() -> None:
    chosen = np.arange(1, 20, dtype=np.float32)[:, None, None]

    assert alarms(chosen, chosen, np.zeros((1, 1), bool), rate=0.1).threshold == 18
    assert alarms(chosen, chosen, np.zeros((1, 1), bool), rate=0.001).threshold == 19
