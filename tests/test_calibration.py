"""Conformal scores by counting, uniform on fresh good images, monotone; rates and what they need."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from leatherens.core.calibration import (
    allowed_exceedances,
    conformal_scores,
    normals_needed,
    promised_rate,
)
from leatherens.core.errors import InputError, NotFittedError
from leatherens.plugins.conformal import Conformal

scores_with_ties = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


@given(scores_with_ties, scores_with_ties)
def test_conformal_scores__count_the_good_images_scoring_as_high(
    fresh: list[float], normals: list[float]
) -> None:
    n = len(normals)
    expected = [1 - (1 + sum(normal >= score for normal in normals)) / (n + 1) for score in fresh]
    found = conformal_scores(torch.tensor(fresh), torch.tensor(normals))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(scores_with_ties, scores_with_ties)
def test_conformal_scores__are_monotone(fresh: list[float], normals: list[float]) -> None:
    found = conformal_scores(torch.tensor(sorted(fresh)), torch.tensor(normals))
    assert bool((found.diff() >= 0).all())


def test_conformal_scores__lie_from_none_to_all() -> None:
    normals = torch.arange(9.0)
    found = conformal_scores(torch.tensor([-1.0, 0.0, 4.0, 8.0, 8.5]), normals)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.4, 0.8, 0.9]))


def test_conformal_scores__of_fresh_good_images_are_uniform() -> None:
    """Among n + 1 exchangeable scores every rank is as likely: chi-squared over 20 ranks, 4000 draws."""
    n, draws = 19, 4000
    samples = np.random.default_rng(11).gamma(2.0, size=(draws, n + 1)).astype(np.float32)
    found = [float(conformal_scores(torch.tensor(row[:1]), torch.tensor(row[1:]))[0]) for row in samples]
    ranks = np.round(np.array(found) * (n + 1)).astype(int)
    assert stats.chisquare(np.bincount(ranks, minlength=n + 1)).pvalue > 0.01
    for rate in (0.05, 0.1, 0.25):  # alarms: the calibrated score is at least 1 - rate
        alarms = int((ranks >= round((1 - rate) * (n + 1))).sum())
        assert stats.binomtest(alarms, draws, rate).pvalue > 0.01


@given(st.integers(1, 400), st.integers(1, 199).map(lambda k: Fraction(k, 200)))
def test_allowed_exceedances__is_the_most_that_keeps_the_rate(normals: int, rate: Fraction) -> None:
    k = allowed_exceedances(float(rate), normals)
    assert 1 <= k <= normals
    assert k == 1 or Fraction(k, normals + 1) <= rate
    assert k == normals or Fraction(k + 1, normals + 1) > rate
    assert promised_rate(float(rate), normals) == k / (normals + 1)


@pytest.mark.parametrize(
    ("rate", "normals", "k"), [(0.01, 99, 1), (0.01, 199, 2), (0.1, 49, 5), (0.29, 99, 29), (0.5, 1, 1)]
)
def test_allowed_exceedances__is_not_one_short_through_rounding(rate: float, normals: int, k: int) -> None:
    assert allowed_exceedances(rate, normals) == k


def test_allowed_exceedances__never_asks_for_more_than_there_are() -> None:
    assert allowed_exceedances(math.nextafter(1, 0), 10) == 10


@given(st.integers(1, 199).map(lambda k: Fraction(k, 200)))
def test_normals_needed__is_where_the_promise_begins(rate: Fraction) -> None:
    needed = normals_needed(float(rate))
    assert Fraction(1, needed + 1) <= rate
    assert needed == 0 or Fraction(1, needed) > rate


@pytest.mark.parametrize(("rate", "shown"), [(0.0, "0"), (1.0, "1"), (-0.5, "-0.5"), (math.nan, "nan")])
def test_rates__must_lie_between_0_and_1(rate: float, shown: str) -> None:
    sentence = f"a false-alarm rate must lie between 0 and 1, got {shown}; 0.01 asks for 1 in 100"
    for call in (
        lambda: allowed_exceedances(rate, 9),
        lambda: promised_rate(rate, 9),
        lambda: normals_needed(rate),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value) == sentence


# the conformal calibrator


def test_conformal__calibrates_by_counting_and_knows_how_many_it_learned_from() -> None:
    calibrated = Conformal().fit(torch.tensor([3.0, 1.0, 2.0])).calibrate(torch.tensor([0.5, 2.0, 9.0]))
    torch.testing.assert_close(calibrated.image, torch.tensor([0.0, 0.25, 0.75]))
    assert calibrated.normals == 3


def test_conformal__takes_double_precision_and_slices() -> None:
    calibrator = Conformal().fit(torch.arange(4.0, dtype=torch.float64))
    scores = torch.rand(3, 5, dtype=torch.float64)
    assert torch.equal(
        calibrator.calibrate(scores[:, 2]).image, calibrator.calibrate(scores[:, 2].contiguous()).image
    )


def test_conformal__forgets_an_earlier_fit_and_survives_its_state() -> None:
    calibrator = Conformal().fit(torch.arange(5.0)).fit(torch.tensor([7.0]))
    back = Conformal.from_state(Conformal.Params(), calibrator.state())
    for fitted in (calibrator, back):
        assert fitted.calibrate(torch.tensor([6.0, 7.5])).image.tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    ("normals", "sentence"),
    [
        (torch.zeros(0), "conformal: needs the score of at least one held-out good image, got none"),
        (
            torch.tensor([1.0, math.nan]),
            "conformal: the scores of held-out good images hold NaN or infinite values",
        ),
        (torch.zeros(2, 3), "conformal: expected scores (n,) of held-out good images, got (2, 3)"),
    ],
)
def test_conformal__refuses_to_learn_from(normals: torch.Tensor, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        Conformal().fit(normals)
    assert str(caught.value) == sentence


def test_conformal__refuses_to_calibrate_what_is_no_score_and_before_it_learned() -> None:
    with pytest.raises(
        NotFittedError,
        match=r"^conformal: calibrate was called before fit; call fit first or load a fitted run$",
    ):
        Conformal().calibrate(torch.zeros(1))
    with pytest.raises(InputError, match=r"^conformal: the scores of images hold NaN or infinite values$"):
        Conformal().fit(torch.arange(3.0)).calibrate(torch.tensor([math.nan]))
