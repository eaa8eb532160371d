"""Registration: known homographies are found, and what is no nudge is refused with its reason."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from boards import board, nudge, photographed

from leatherens.core.errors import InputError
from leatherens.core.leather import good_hide
from leatherens.core.photographs import resize_photograph
from leatherens.core.preparation import Frame
from leatherens.core.randomness import numpy_generator
from leatherens.core.registration import (
    Alignment,
    KeyPoints,
    Limits,
    Reference,
    Registration,
    Why,
    choose_reference,
    warped,
    warped_mask,
)
from leatherens.core.registration.estimating import agreed_homography, likeness, refined_homography
from leatherens.core.registration.homographies import corner_error, moved, resizing
from leatherens.core.registration.reference import spread

SIZE = (320, 400)
NUDGES = {
    "shift": nudge(SIZE, shift=(14, -9)),
    "turn": nudge(SIZE, turn=5),
    "scale": nudge(SIZE, scale=1.06),
    "tilt": nudge(SIZE, tilt=0.06),
    "all": nudge(SIZE, turn=-3, shift=(-8, 6), scale=0.97, tilt=0.03),
}


def leather(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return good_hide(numpy_generator(seed, "hide"), scenario="one-colour", size=size)


@pytest.mark.parametrize(
    ("refine", "mean", "most"), [(False, 0.5, 1.0), (True, 0.06, 0.15)], ids=["points", "grey-levels"]
)
def test_align__recovers_known_homographies_in_other_light(refine: bool, mean: float, most: float) -> None:
    registration = Registration(refine=refine)
    errors = []
    for scene in (board(1), board(2)):
        reference = registration.reference(photographed(scene, seed=1))
        for nudged in NUDGES.values():
            found = registration.align(photographed(scene, nudged, light=0.8), reference)
            assert found.homography is not None
            assert found.likeness is not None
            assert found.likeness[1] > max(0.98, found.likeness[0])
            errors.append(corner_error(found.homography, np.linalg.inv(nudged), SIZE))

    assert np.mean(errors) < mean
    assert max(errors) < most


def test_align__of_another_size_than_the_reference() -> None:
    scene, registration = board(2), Registration(refine=True)
    reference = registration.reference(photographed(scene))
    larger = (480, 800)
    picture = cv2.resize(photographed(scene, NUDGES["all"]), larger[::-1])

    found = registration.align(picture, reference)

    true = np.linalg.inv(NUDGES["all"]) @ resizing(larger, SIZE)
    assert found.homography is not None
    assert corner_error(found.homography, true, larger) < 0.2


def test_align__looks_for_points_in_a_reduced_picture() -> None:
    scene, whole = board(2), Registration()
    reduced = replace(whole, side=200, refine=True)
    reference = reduced.reference(photographed(scene))

    found = reduced.align(photographed(scene, NUDGES["all"]), reference)

    assert reference.grey.shape == (160, 200)
    assert reference.size == SIZE
    assert found.homography is not None
    assert corner_error(found.homography, np.linalg.inv(NUDGES["all"]), SIZE) < 0.5


def test_align__where_nothing_moved_nothing_is_moved() -> None:
    picture, registration = photographed(board()), Registration()

    found = registration.align(picture, registration.reference(picture))

    assert found.why is None
    np.testing.assert_array_equal(found.homography, np.eye(3))


def test_align__a_moving_label_does_not_drag_the_picture_along() -> None:
    waves = 128 + 100 * np.sin(np.arange(SIZE[1]) / 25)
    wall = waves[None, :, None] * np.ones((SIZE[0], 1, 3))
    label = photographed(board())[:120, :160]
    first, second = wall.astype(np.uint8), wall.astype(np.uint8)
    first[100:220, 20:180], second[100:220, 100:260] = label, label
    registration = Registration(limits=Limits(uncertainty=1))

    found = registration.align(second, registration.reference(first))

    assert found.why is Why.no_better
    assert found.homography is None
    assert "correlation of grey levels would go from" in found.detail


def test_align__a_patch_of_points_does_not_hold_the_far_corners() -> None:
    patch = np.full((*SIZE, 3), 90, dtype=np.uint8), np.full((*SIZE, 3), 90, dtype=np.uint8)
    for picture, turn in zip(patch, (0, 2), strict=True):
        picture[20:140, 20:140] = photographed(board(), nudge(SIZE, turn=turn), seed=turn)[20:140, 20:140]
    registration = Registration(limits=Limits(shift=1, stretch=4))

    found = registration.align(patch[1], registration.reference(patch[0]))

    assert found.why is Why.uncertain
    assert "of the diagonal, 1.0% may be" in found.detail


@pytest.mark.parametrize(
    "picture",
    [
        np.full((*SIZE, 3), 128, dtype=np.uint8),
        np.zeros((30, 40, 3), dtype=np.uint8),
        photographed(board(7)),
        leather(1),
    ],
    ids=["blank", "tiny", "another-board", "leather"],
)
def test_align__what_cannot_be_recognised_is_left(picture: np.ndarray) -> None:
    registration = Registration(refine=True)

    found = registration.align(picture, registration.reference(photographed(board())))

    assert found.homography is None
    assert found.why is Why.too_few
    assert found.detail == f"{found.agreeing} of {found.matches} matches agree, more than " + (
        f"{8 + 0.3 * found.matches:.1f} are needed"
    )


@pytest.mark.parametrize("refine", [False, True])
def test_align__leather_and_other_boards_are_never_warped(refine: bool) -> None:
    registration = Registration(refine=refine, contrast=8)
    strangers = [photographed(board(seed)) for seed in range(3)] + [leather(seed) for seed in range(3)]
    references = [registration.reference(picture) for picture in strangers]

    warps = [
        (i, j)
        for i, picture in enumerate(strangers)
        for j, reference in enumerate(references)
        if i != j and registration.align(picture, reference).homography is not None
    ]

    assert sum(len(reference.points) > 100 for reference in references) == 6  # it is not for want of points
    assert warps == []


def seen_as(homography: np.ndarray, *, within: int = SIZE[1]) -> Alignment:
    """What is made of key points that lie, one for one, as a homography moves them; none beyond a column."""
    rng = np.random.default_rng(0)
    descriptors = rng.integers(0, 256, (80, 32), dtype=np.uint8)
    places = rng.uniform(0, (within, SIZE[0]), (80, 2))
    registration = Registration()
    reference = Reference(SIZE, np.zeros(SIZE, np.uint8), KeyPoints(moved(places, homography), descriptors))
    return registration.matched(KeyPoints(places, descriptors), SIZE, reference)


@pytest.mark.parametrize(
    ("homography", "why", "detail"),
    [
        (nudge(SIZE, turn=180), Why.shifted, "a corner moves by 100% of the diagonal, 25% may be"),
        (nudge(SIZE, shift=(0, 150)), Why.shifted, "a corner moves by 29% of the diagonal, 25% may be"),
        (nudge(SIZE, scale=0.6), Why.stretched, "a length changes 1.67 times, 1.5 may be"),
    ],
    ids=["half-a-turn", "far", "small"],
)
def test_matched__what_no_nudge_does_is_refused(homography: np.ndarray, why: Why, detail: str) -> None:
    found = seen_as(homography)

    assert (found.why, found.detail) == (why, detail)
    assert found.homography is None
    assert found.agreeing == found.matches == 80


def test_matched__a_horizon_inside_the_picture_is_refused() -> None:
    horizon = np.array([[1, 0, 0], [0, 1, 0], [-1 / 300, 0, 1.0]])  # the line x = 300 goes to infinity

    found = seen_as(horizon, within=200)

    assert (found.why, found.detail) == (Why.folded, "a part of it would be turned inside out")
    assert found.found is not None
    assert found.homography is None


def test_matched__mirrored_points_agree_with_nothing() -> None:
    assert seen_as(np.array([[-1, 0, 399], [0, 1, 0], [0, 0, 1.0]])).why is Why.too_few


def test_matched__the_same_limits_let_a_nudge_through() -> None:
    found = seen_as(NUDGES["all"])

    assert found.homography is not None
    assert corner_error(found.homography, NUDGES["all"], SIZE) < 1e-3


def test_align__the_same_whatever_other_threads_do() -> None:
    scene, registration = board(2), Registration(refine=True)
    reference = registration.reference(photographed(scene))
    picture = photographed(scene, NUDGES["all"])

    def aligned(number: int) -> bytes:
        cv2.setRNGSeed(number)
        found = registration.align(picture, reference)
        assert found.homography is not None
        return found.homography.tobytes()

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(aligned, range(24)))

    assert len(found) == 1


def test_align__leaves_opencvs_generator_alone() -> None:
    scene, registration = board(2), Registration(refine=True)
    drawn = []
    for work in (False, True):
        cv2.setRNGSeed(5)
        if work:
            registration.align(photographed(scene), registration.reference(photographed(scene)))
        drawn.append(cv2.randu(np.zeros((1, 8)), 0, 1).tolist())

    assert drawn[0] == drawn[1]


def test_agreed_homography__is_not_led_astray_by_outliers() -> None:
    rng = np.random.default_rng(0)
    sources = rng.uniform(0, 400, (200, 2))
    targets = moved(sources, NUDGES["all"]) + rng.normal(0, 0.3, (200, 2))
    targets[:120] = rng.uniform(0, 400, (120, 2))

    found, agreeing = agreed_homography(sources, targets, tolerance=2)

    assert found is not None
    assert corner_error(found, NUDGES["all"], SIZE) < 0.5
    assert agreeing[120:].all()
    assert agreeing[:120].sum() < 5


def test_agreed_homography__three_pairs_say_nothing() -> None:
    points = np.array([[0.0, 0], [9, 0], [0, 9]])

    found, agreeing = agreed_homography(points, points, tolerance=2)

    assert found is None
    assert not agreeing.any()


def test_refined_homography__none_where_there_is_nothing_to_see() -> None:
    blank = np.full((80, 100), 9, dtype=np.uint8)

    assert refined_homography(blank, blank, np.eye(3)) is None


def test_likeness__is_numpys_correlation_and_blind_to_light() -> None:
    first, second = (cv2.cvtColor(photographed(board(seed)), cv2.COLOR_RGB2GRAY) for seed in (0, 1))

    assert likeness(first, second, np.eye(3)) == pytest.approx(
        np.corrcoef(first.ravel(), second.ravel())[0, 1], rel=1e-3
    )
    assert likeness(first, first // 2, np.eye(3)) == pytest.approx(1, abs=1e-3)
    assert likeness(first, np.zeros_like(first), np.eye(3)) == 0
    assert likeness(first, first, nudge(SIZE, shift=(500, 0))) == 0


def test_choose_reference__the_one_that_most_others_fit() -> None:
    scene, registration = board(2), Registration()
    pictures = [
        photographed(board(5)),
        photographed(scene, nudge(SIZE, turn=9, shift=(30, 20))),
        photographed(scene, seed=1),
        photographed(board(6)),
        photographed(scene, nudge(SIZE, turn=-9, shift=(-30, -20))),
    ]

    chosen = choose_reference(registration, pictures)

    assert (chosen.index, chosen.fits, chosen.others) == (2, 2, 4)
    assert chosen.reference.size == SIZE


def test_choose_reference__of_strangers_any_that_can_be_recognised() -> None:
    blank = np.full((*SIZE, 3), 128, dtype=np.uint8)

    chosen = choose_reference(Registration(), [blank, photographed(board(3)), blank])

    assert (chosen.index, chosen.fits, chosen.others) == (1, 0, 2)


def test_choose_reference__one_alone_is_it() -> None:
    chosen = choose_reference(Registration(), [photographed(board())])

    assert (chosen.index, chosen.fits, chosen.others) == (0, 0, 0)


def test_choose_reference__blank_ones_are_refused() -> None:
    blank = np.full((*SIZE, 3), 128, dtype=np.uint8)

    with pytest.raises(InputError) as error:
        choose_reference(Registration(), [blank, blank])

    assert str(error.value) == (
        "registration: the good photographs are blank, nothing in them can be recognised; lower "
        "registration.contrast, or leave registration out"
    )


def test_choose_reference__small_ones_are_refused() -> None:
    with pytest.raises(InputError) as error:
        choose_reference(Registration(), [board(0, (40, 90))])

    assert str(error.value) == (
        "registration: the good photographs are 40 x 90 pixels, at least 64 x 64 are needed to recognise "
        "anything; leave registration out"
    )


def test_spread__covers_all_of_a_few() -> None:
    assert [len(set(spread(count, 12))) for count in (1, 5, 12, 13, 211)] == [1, 5, 12, 12, 12]
    assert max(spread(211, 12)) > 190


def test_warped__shows_the_reference_where_it_is_valid_and_is_not_black_elsewhere() -> None:
    scene = board(2)
    picture = photographed(scene, NUDGES["shift"], light=1)

    laid, valid = warped(picture, np.linalg.inv(NUDGES["shift"]), SIZE)

    apart = np.abs(laid.astype(int) - photographed(scene, seed=3).astype(int)).max(axis=2)
    expected = np.zeros(SIZE, dtype=bool)
    expected[9:, : SIZE[1] - 14] = True  # moved by (14, -9): nine rows and fourteen columns left the picture
    np.testing.assert_array_equal(valid, expected)
    assert np.median(apart[valid]) <= 4
    assert laid[~valid].min() > 0
    np.testing.assert_array_equal(laid[:9, :100], np.broadcast_to(laid[9, :100], (9, 100, 3)))


def test_warped__a_plain_resize_is_the_house_resize_and_valid_everywhere() -> None:
    picture = photographed(board())
    for size in ((160, 200), (640, 500)):
        laid, valid = warped(picture, resizing(SIZE, size), size)

        assert valid.all()
        apart = np.abs(laid.astype(int) - resize_photograph(picture, size).astype(int))
        assert apart.max() <= 3


def test_warped__a_mask_moves_with_its_picture_and_comes_back() -> None:
    scene, marked = board(2), np.zeros(SIZE, dtype=bool)
    marked[90:150, 120:230] = True
    homography = np.linalg.inv(NUDGES["all"])
    picture = photographed(scene, NUDGES["all"])
    picture[marked] = (255, 0, 255)

    laid, _ = warped(picture, homography, SIZE)
    moved_mask = warped_mask(marked, homography, SIZE)
    painted = (laid[..., 0] > 128) & (laid[..., 2] > 128) & (laid[..., 1] < 60)
    back = Frame(SIZE, SIZE, homography).back_valid(torch.from_numpy(moved_mask))

    assert overlap(moved_mask, painted) > 0.98
    assert overlap(back, marked) > 0.98


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union."""
    return float((first & second).sum() / (first | second).sum())
