"""The promise: as many fresh good images are called defective as was said, on average and in the spread."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from leatherens.core.calibration import allowed_exceedances, promised_rate
from leatherens.core.randomness import numpy_generator
from leatherens.core.thresholds import Floats, Normals
from leatherens.plugins.thresholds import ConformalThreshold


def threshold(scores: Floats, rate: float) -> float:
    """What a run would take, of image scores (n,)."""
    rule = ConformalThreshold.from_options({"false_alarms": rate})
    return rule.fit(Normals(scores, [np.zeros((1, 1))] * len(scores))).image_


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("n", [1, 3, 9, 19, 40])
def test_the_rate__is_exact_over_all_choices_of_the_fresh_image(n: int, rate: float) -> None:
    """Of n + 1 exchangeable scores each is as likely the fresh one; k of these choices raise an alarm."""
    scores = numpy_generator(3, "scores", n).normal(size=n + 1)
    alarms = sum(scores[i] > threshold(np.delete(scores, i), rate) for i in range(n + 1))

    assert alarms == allowed_exceedances(rate, n)
    assert float(Fraction(int(alarms), n + 1)) == promised_rate(rate, n)


@pytest.mark.parametrize(("n", "rate"), [(3, 0.05), (19, 0.05), (40, 0.1)])
def test_200_resamplings__stay_within_binomial_error(n: int, rate: float) -> None:
    """Mean within four standard errors of k / (n + 1); counts as the beta-binomial distribution has them."""
    fresh, times = 60, 200
    found = []
    for number in range(times):
        scores = numpy_generator(5, "resampling", n, number).gamma(2.0, size=n + fresh)
        found.append(int((scores[n:] > threshold(scores[:n], rate)).sum()))
    allowed = allowed_exceedances(rate, n)
    expected = stats.betabinom(fresh, allowed, n + 1 - allowed)

    error = expected.std() / times**0.5
    assert abs(np.mean(found) - fresh * promised_rate(rate, n)) < 4 * error
    low, high = expected.interval(0.9)
    inside = sum(low <= count <= high for count in found)
    assert stats.binomtest(inside, times, expected.cdf(high) - expected.cdf(low - 1)).pvalue > 0.001


def test_scores_that_are_not_exchangeable__break_it() -> None:
    """The test above can fail: images that taught score lower, and calibrated with they promise too much."""
    found = []
    for number in range(200):
        scores = numpy_generator(7, "taught", number).normal(size=79)
        found.append((scores[19:] > threshold(scores[:19] - 1.0, 0.05)).mean())

    assert np.mean(found) > 0.05 + 4 * np.std(found) / 200**0.5
