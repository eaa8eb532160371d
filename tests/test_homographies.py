"""The geometry of homographies against hand cases, numeric derivatives and simulation."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from boards import nudge

from leatherens.core.registration.homographies import (
    corner_error,
    corners,
    folded,
    moved,
    resizing,
    shift_of,
    stretch_of,
    uncertainty_of,
)

SIZE = (300, 400)
STILL = np.eye(3)
TILTED = nudge(SIZE, turn=4, shift=(9, -5), scale=1.04, tilt=0.08)


def test_moved__as_opencv_moves_points() -> None:
    points = np.random.default_rng(0).uniform(0, 300, (50, 2))

    np.testing.assert_allclose(
        moved(points, TILTED), cv2.perspectiveTransform(points[None], TILTED)[0], atol=1e-9
    )


@pytest.mark.parametrize("to", [(150, 100), (300, 400), (900, 500)])
def test_resizing__keeps_the_edges_of_the_picture(to: tuple[int, int]) -> None:
    half = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    edges, wanted = corners(SIZE) + half, corners(to) + half

    np.testing.assert_allclose(moved(edges, resizing(SIZE, to)), wanted, atol=1e-9)


def test_corner_error__of_a_shift_is_its_length() -> None:
    assert corner_error(nudge(SIZE, shift=(3, 4)), STILL, SIZE) == pytest.approx(5)


MIRRORED = np.array([[-1, 0, 399], [0, 1, 0], [0, 0, 1.0]])
HORIZON = np.array([[1, 0, 0], [0, 1, 0], [-1 / 200, 0, 1.0]])  # the line x = 200 goes to infinity
FLAT = np.array([[1, 0, 0], [0, 0, 5], [0, 0, 1.0]])


@pytest.mark.parametrize(
    ("homography", "wanted"),
    [(STILL, False), (TILTED, False), (-2 * TILTED, False), (MIRRORED, True), (HORIZON, True), (FLAT, True)],
    ids=["still", "tilted", "tilted-times-minus-two", "mirrored", "horizon-inside", "flat"],
)
def test_folded(homography: np.ndarray, wanted: bool) -> None:
    assert folded(homography, SIZE) is wanted


def test_folded__the_horizon_just_outside_is_not() -> None:
    beyond = np.array([[1, 0, 0], [0, 1, 0], [-1 / 400, 0, 1.0]])

    assert not folded(beyond, SIZE)


def test_shift_of__the_furthest_corner_over_the_diagonal() -> None:
    assert shift_of(nudge(SIZE, shift=(30, 40)), SIZE, SIZE) == pytest.approx(50 / 500)


def test_shift_of__a_plain_resize_shifts_nothing() -> None:
    assert shift_of(resizing(SIZE, (600, 200)), SIZE, (600, 200)) == pytest.approx(0)


@pytest.mark.parametrize(
    ("homography", "wanted"),
    [
        (STILL, 1),
        (nudge(SIZE, turn=30), 1),
        (nudge(SIZE, scale=1.25), 1.25),
        (nudge(SIZE, scale=0.8), 1.25),
        (np.diag([2.0, 1.0, 1.0]), 2),
        (FLAT, np.inf),
    ],
    ids=["still", "turned", "larger", "smaller", "squeezed", "flat"],
)
def test_stretch_of__hand_cases(homography: np.ndarray, wanted: float) -> None:
    assert stretch_of(homography, SIZE, SIZE) == pytest.approx(wanted, rel=1e-6) or wanted == np.inf
    assert wanted < np.inf or stretch_of(homography, SIZE, SIZE) > 1e6


def test_stretch_of__counts_against_a_plain_resize() -> None:
    assert stretch_of(resizing(SIZE, (600, 200)), SIZE, (600, 200)) == pytest.approx(1)


def test_stretch_of__of_a_tilt_is_that_of_a_short_line_at_a_corner() -> None:
    lengths = []
    for corner in corners(SIZE):
        for angle in np.linspace(0, np.pi, 180):
            line = corner + 1e-4 * np.array([[0, 0], [np.cos(angle), np.sin(angle)]])
            lengths.append(np.linalg.norm(np.diff(moved(line, TILTED), axis=0)) / 1e-4)

    assert stretch_of(TILTED, SIZE, SIZE) == pytest.approx(max(*lengths, 1 / min(lengths)), rel=1e-3)


@pytest.mark.parametrize("area", [(400, 300), (80, 60)], ids=["everywhere", "in-a-corner"])
def test_uncertainty_of__is_the_spread_of_many_fits(area: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    sources = rng.uniform(0, area, (60, 2))
    told, landed = [], []
    for _ in range(150):
        targets = moved(sources, TILTED) + rng.normal(0, 0.5, sources.shape)
        fitted, _ = cv2.findHomography(sources, targets, 0)
        told.append(uncertainty_of(fitted, sources, targets, SIZE, SIZE))
        landed.append(moved(corners(SIZE), fitted))
    spread = np.sqrt(np.var(landed, axis=0).sum(axis=1)).max() / 500

    assert np.median(told) == pytest.approx(spread, rel=0.25)


def test_uncertainty_of__is_infinite_where_the_pairs_leave_it_open() -> None:
    line = np.column_stack([np.arange(20.0), np.arange(20.0)])

    assert uncertainty_of(STILL, line, line, SIZE, SIZE) == np.inf
    assert uncertainty_of(STILL, corners(SIZE), corners(SIZE), SIZE, SIZE) == np.inf


def test_uncertainty_of__does_not_depend_on_where_the_picture_begins() -> None:
    rng = np.random.default_rng(2)
    sources = rng.uniform(0, 300, (40, 2))
    targets = moved(sources, TILTED) + rng.normal(0, 0.5, sources.shape)
    fitted, _ = cv2.findHomography(sources, targets, 0)
    away = np.array([[1, 0, 1000], [0, 1, 2000], [0, 0, 1.0]])
    large = 10 * np.eye(3)
    large[2, 2] = 1

    here = uncertainty_of(fitted, sources, targets, SIZE, SIZE)
    scaled = large @ fitted @ np.linalg.inv(large)
    there = uncertainty_of(scaled, 10 * sources, 10 * targets, (2991, 3991), (2991, 3991))
    assert there == pytest.approx(here, rel=0.01)
    shifted = uncertainty_of(away @ fitted, sources, moved(targets, away), SIZE, SIZE)
    assert shifted == pytest.approx(here, rel=1e-3)
