"""Paired differences: hand cases, DeLong's test, and how often intervals hold the true difference."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from leatherens.core.bootstrap import interval, pixel_counts, ratio_of, stratified_draws
from leatherens.core.metrics import image_ap, image_auroc, image_f1, iou, pixel_metrics
from leatherens.core.paired import (
    NORMAL_975,
    Judged,
    Marks,
    resampled,
    resampled_difference,
    share_difference,
)

Floats = NDArray[np.float64]


def two_scorers(
    rng: np.random.Generator, good: int, defective: int
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Scores of two scorers that see much the same: unit normals, defects 1 and 1.3 higher; and labels."""
    labels = np.arange(good + defective) < defective
    common = rng.normal(size=labels.size)
    first = 0.8 * common + 0.6 * rng.normal(size=labels.size) + labels
    other = 0.8 * common + 0.6 * rng.normal(size=labels.size) + 1.3 * labels
    return first, other, labels


def differences(first: Floats, other: Floats, labels: NDArray[np.bool_], count: int, seed: int = 0) -> Floats:
    """(count,) resampled differences of the image AUROC."""
    draws = stratified_draws(labels.tolist(), count, np.random.default_rng(seed))
    nothing = np.zeros(labels.size, np.bool_)
    values = [resampled(Judged(s, nothing), labels, nothing, draws)["image_auroc"] for s in (first, other)]
    return values[1] - values[0]


def delong(first: Floats, other: Floats, labels: NDArray[np.bool_]) -> tuple[float, float]:
    """The AUROC difference and its standard error (DeLong, DeLong and Clarke-Pearson, 1988), by hand."""
    placed = []
    for scores in (first, other):
        wins = (scores[labels][:, None] > scores[~labels]) + 0.5 * (
            scores[labels][:, None] == scores[~labels]
        )
        placed.append((wins.mean(axis=1), wins.mean(axis=0), wins.mean()))
    spread = [np.cov(placed[0][side], placed[1][side]) for side in (0, 1)]
    contrast = np.array([-1, 1])
    variance = sum(
        contrast @ s @ contrast / n for s, n in zip(spread, (labels.sum(), (~labels).sum()), strict=True)
    )
    return placed[1][2] - placed[0][2], math.sqrt(variance)


# ranking


def test_difference__of_four_images_is_what_all_their_resamplings_give() -> None:
    labels = np.array([True, True, False, False])
    first, other = np.array([3.0, 1.0, 2.0, 0.0]), np.array([1.0, 3.0, 2.0, 0.0])
    moved = differences(first, other, labels, 40_000)
    every = [
        image_auroc(other[list(drawn)], [1, 1, 0, 0]) - image_auroc(first[list(drawn)], [1, 1, 0, 0])
        for drawn in itertools.product((0, 1), (0, 1), (2, 3), (2, 3))
    ]

    assert set(np.round(moved, 9)) == set(np.round(every, 9))
    for value in set(every):
        assert (np.isclose(moved, value)).mean() == pytest.approx(np.isclose(every, value).mean(), abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_difference__spreads_as_delong_s_test_says(seed: int) -> None:
    first, other, labels = two_scorers(np.random.default_rng(seed), good=150, defective=120)
    value, error = delong(first, other, labels)
    moved = differences(first, other, labels, 2000)

    assert value == pytest.approx(image_auroc(other, labels) - image_auroc(first, labels))
    assert moved.std() == pytest.approx(error, rel=0.1)
    assert interval(moved) == pytest.approx((value - 1.96 * error, value + 1.96 * error), abs=0.3 * error)


def test_difference__is_far_surer_than_two_intervals_apart() -> None:
    first, other, labels = two_scorers(np.random.default_rng(7), good=150, defective=120)
    draws = [stratified_draws(labels.tolist(), 1000, np.random.default_rng(seed)) for seed in (1, 2)]
    nothing = np.zeros(labels.size, np.bool_)
    apart = [
        resampled(Judged(scores, nothing), labels, nothing, drawn)["image_auroc"]
        for scores, drawn in zip((first, other), draws, strict=True)
    ]

    assert differences(first, other, labels, 1000).std() < 0.7 * (apart[1] - apart[0]).std()


def test_interval__holds_the_true_difference_about_as_often_as_it_says() -> None:
    truth = stats.norm.cdf(1.3 / math.sqrt(2)) - stats.norm.cdf(1 / math.sqrt(2))
    held = 0
    for seed in range(200):
        first, other, labels = two_scorers(np.random.default_rng(seed), good=70, defective=50)
        low, high = interval(differences(first, other, labels, 200, seed))
        held += low <= truth <= high

    assert 0.89 <= held / 200 <= 0.98


def test_resampled__every_image_once_gives_the_metrics_themselves() -> None:
    rng = np.random.default_rng(3)
    masks = [
        np.pad(np.ones((6, 5), np.bool_), 8) if i % 2 else np.zeros((22, 21), np.bool_) for i in range(8)
    ]
    maps = [(rng.normal(size=mask.shape) + mask).astype(np.float32) for mask in masks]
    labels, scores = np.array([mask.any() for mask in masks]), rng.normal(size=8)
    flagged, marked = scores > 0.1, [m > 0.5 for m in maps]
    judged = Judged(
        scores,
        flagged,
        pixel_counts(maps, masks),
        Marks(
            np.array([(a & b).sum() for a, b in zip(marked, masks, strict=True)]),
            np.array([(~a & b).sum() for a, b in zip(marked, masks, strict=True)]),
            np.array([(a & ~b).sum() for a, b in zip(marked, masks, strict=True)]),
        ),
    )
    found = resampled(judged, labels, np.ones(8, np.bool_), np.ones((1, 8), np.int64))
    exact = pixel_metrics(maps, masks)

    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        {
            "image_auroc": image_auroc(scores, labels),
            "image_ap": image_ap(scores, labels),
            "image_f1": image_f1(scores, labels, 0.1),
            "pixel_auroc": exact.auroc,
            "pixel_ap": exact.ap,
            "au_pro": exact.au_pro,
            "iou": iou(maps, masks, 0.5),
        },
        abs=1e-3,
    )


def test_resampled__pixels_follow_the_images_that_are_drawn() -> None:
    marks = Marks(np.array([10, 0]), np.array([0, 10]), np.array([0, 5]))
    judged = Judged(np.zeros(3), np.zeros(3, np.bool_), None, marks)
    known = np.array([True, False, True])
    draws = np.array([[2, 0, 1], [0, 2, 0]])

    values = resampled(judged, np.array([True, False, True]), known, draws)["iou"]
    assert values[0] == pytest.approx(20 / 35)
    assert math.isnan(values[1])


def test_ratio_of__sums_before_it_divides() -> None:
    assert ratio_of(np.array([[1, 2], [0, 0]]), np.array([1, 1]), np.array([2, 4])) == pytest.approx(
        [0.3, math.nan], nan_ok=True
    )


def test_resampled_difference__has_no_interval_where_every_draw_says_the_same() -> None:
    same = {"image_auroc": np.array([1.0, 1.0, np.nan])}
    found = resampled_difference("image_auroc", {"image_auroc": 1.0}, {"image_auroc": 1.0}, (same, same))

    assert found.value == 0
    assert math.isnan(found.low)
    assert not found.certain
    assert math.isnan(resampled_difference("iou", {}, {}, ({}, {})).value)


def test_resampled_difference__is_certain_when_zero_lies_outside() -> None:
    values = np.linspace(0, 1, 101)
    draws = {"iou": values}, {"iou": values + np.linspace(0.1, 0.2, 101)}
    found = resampled_difference("iou", {"iou": 0.3}, {"iou": 0.45}, draws)

    assert found.value == pytest.approx(0.15)
    assert (found.low, found.high) == pytest.approx((0.1025, 0.1975))
    assert found.certain


# shares


def verdicts(both: int, first: int, other: int, neither: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    cells = (
        [(True, True)] * both + [(True, False)] * first + [(False, True)] * other + [(False, False)] * neither
    )
    return np.array([a for a, _ in cells]), np.array([b for _, b in cells])


def test_share_difference__is_the_one_worked_by_hand() -> None:
    """Of 21: shares (7 + 1) / 23 and (1 + 1) / 23, so 6 / 23 -+ 1.96 sqrt((10 / 23 - 36 / 529) / 23)."""
    found = share_difference(*verdicts(1, 1, 7, 12))

    assert (found.first, found.other) == pytest.approx((2 / 21, 8 / 21))
    assert (found.low, found.high) == pytest.approx((0.0134, 0.5084), abs=5e-5)


def test_share_difference__without_a_differing_verdict_still_knows_little() -> None:
    few, many = share_difference(*verdicts(5, 0, 0, 5)), share_difference(*verdicts(500, 0, 0, 500))

    assert (few.value, many.value) == (0, 0)
    assert few.high == pytest.approx(-few.low)
    assert few.high > 0.2
    assert 0 < many.high < 0.004
    assert math.isnan(share_difference(*verdicts(0, 0, 0, 0)).value)


def test_share_difference__four_more_of_forty_are_not_certain_and_ten_are() -> None:
    assert not share_difference(*verdicts(30, 0, 4, 6)).certain
    assert share_difference(*verdicts(20, 0, 10, 10)).certain


@pytest.mark.parametrize(
    ("shares", "at_most"),
    [((0.6, 0.05, 0.15, 0.2), 0.98), ((0.2, 0.1, 0.5, 0.2), 0.98), ((0.9, 0.02, 0.03, 0.05), 1)],
)
def test_share_difference__holds_the_true_difference_at_least_as_often_as_it_says(
    shares: tuple[float, ...], at_most: float
) -> None:
    rng, truth = np.random.default_rng(0), shares[2] - shares[1]
    tables = rng.multinomial(40, shares, size=2000)
    held = [found.low <= truth <= found.high for found in (share_difference(*verdicts(*t)) for t in tables)]

    assert 0.94 <= np.mean(held) <= at_most


def test_normal_quantile__is_scipy_s() -> None:
    assert stats.norm.ppf(0.975) == pytest.approx(NORMAL_975, abs=1e-15)
