"""The rules for where good ends: hand cases, monotone transforms, and the promise kept in simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.thresholds import Normals, Threshold
from leatherens.plugins.thresholds import (
    ConformalThreshold,
    MaximumThreshold,
    QuantileThreshold,
    SigmaThreshold,
)

Floats = NDArray[np.floating]


def normals_of(scores: Floats | list[float]) -> Normals:
    """Good images whose maps are one pixel of their own score."""
    scores = np.asarray(scores, dtype=np.float64)
    return Normals(scores, [np.full((1, 1), score) for score in scores])


def threshold_of(rule: Threshold, scores: Floats | list[float]) -> float:
    return rule.fit(normals_of(scores)).image_


# hand cases


def test_quantile__of_0_to_99_at_99_percent() -> None:
    rule = QuantileThreshold(QuantileThreshold.Params(p=0.99)).fit(normals_of(np.arange(100.0)))
    assert rule.image_ == rule.pixel_ == pytest.approx(98.01)


def test_sigma__divides_by_n() -> None:
    rule = SigmaThreshold(SigmaThreshold.Params(k=3)).fit(normals_of([0.1, 0.2, 0.3, 0.4]))
    assert rule.image_ == rule.pixel_ == pytest.approx(0.585410, abs=1e-6)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30))
def test_maximum__flags_none_of_the_images_it_learned_from(scores: list[float]) -> None:
    rule = MaximumThreshold().fit(normals_of(scores))
    assert not (np.array(scores) > rule.image_).any()
    assert (np.array(scores) >= rule.image_).any()


def test_quantile__of_all_is_the_maximum() -> None:
    scores = np.random.default_rng(0).normal(size=57)
    assert threshold_of(QuantileThreshold(QuantileThreshold.Params(p=1.0)), scores) == scores.max()
    near = threshold_of(QuantileThreshold(QuantileThreshold.Params(p=1 - 1e-9)), scores)
    assert near == pytest.approx(scores.max())


# pixels


def two_maps() -> Normals:
    maps = [np.arange(6.0).reshape(2, 3), np.array([[0.0, 50.0], [3.0, 4.0]])]
    valid = [None, np.array([[True, False], [True, True]])]
    return Normals(np.array([5.0, 4.0]), maps, valid)


def test_normals__pool_the_pixels_that_count() -> None:
    normals = two_maps()
    assert normals.count == 2
    assert normals.pooled.tolist() == [0, 1, 2, 3, 4, 5, 0, 3, 4]
    assert normals.maxima.tolist() == [5.0, 4.0]


@pytest.mark.parametrize(
    ("rule", "pixel"),
    [
        (MaximumThreshold(), 5.0),
        (QuantileThreshold(QuantileThreshold.Params(p=0.5)), 3.0),
        (SigmaThreshold(SigmaThreshold.Params(k=1)), 22 / 9 + math.sqrt(80 / 9 - (22 / 9) ** 2)),
        (ConformalThreshold(ConformalThreshold.Params(false_alarms=0.7)), 4.0),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_pixel_threshold__is_the_rule_over_pooled_pixels_and_conformal_over_the_images_highest(
    rule: Threshold, pixel: float
) -> None:
    assert rule.fit(two_maps()).pixel_ == pytest.approx(pixel)


def test_pixel_threshold__takes_maps_of_several_sizes_and_float32() -> None:
    maps = [np.ones((2, 3), np.float32), np.full((4, 1), 2, np.float32)]
    rule = SigmaThreshold().fit(Normals(np.ones(2, np.float32), maps))
    pooled = np.concatenate([m.ravel() for m in maps]).astype(np.float64)
    assert rule.pixel_ == pytest.approx(pooled.mean() + 3 * pooled.std())


# invariance


def softplus(values: Floats) -> Floats:
    return np.log1p(np.exp(values))


@pytest.mark.parametrize(
    ("rule", "follows"),
    [
        (MaximumThreshold, True),
        (lambda: ConformalThreshold(ConformalThreshold.Params(false_alarms=0.07)), True),
        (lambda: QuantileThreshold(QuantileThreshold.Params(p=0.9)), True),  # 0.9 x 60 is a rank
        (SigmaThreshold, False),
    ],
    ids=["maximum", "conformal", "p-quantile", "k-sigma"],
)
def test_rules_of_rank__follow_a_monotone_transform_and_k_sigma_does_not(
    rule: Callable[[], Threshold], follows: bool
) -> None:
    scores = np.random.default_rng(1).normal(0, 2, 61)
    transformed = threshold_of(rule(), softplus(scores))
    expected = float(softplus(np.array(threshold_of(rule(), scores))))
    assert (transformed == pytest.approx(expected)) is follows


@given(st.permutations(range(12)))
def test_rules__do_not_depend_on_the_order_of_images(order: list[int]) -> None:
    scores = np.random.default_rng(2).gamma(2.0, size=12)
    for rule in (MaximumThreshold, ConformalThreshold, QuantileThreshold, SigmaThreshold):
        assert threshold_of(rule(), scores[list(order)]) == pytest.approx(threshold_of(rule(), scores))


# the promise


@given(
    st.lists(st.integers(0, 8).map(float), min_size=1, max_size=40),
    st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.5, 0.9]),
)
def test_conformal__is_the_k_th_largest_and_the_lowest_that_keeps_its_promise(
    scores: list[float], rate: float
) -> None:
    rule = ConformalThreshold(ConformalThreshold.Params(false_alarms=rate)).fit(normals_of(scores))
    n = len(scores)
    k = max(1, math.floor(rate * (n + 1) + 1e-9))
    assert rule.image_ == rule.pixel_ == sorted(scores, reverse=True)[k - 1]
    assert (np.array(scores) > rule.image_).sum() <= k - 1  # fewer with ties, never more
    assert rule.promise_ == k / (n + 1)
    assert rule.promise_ <= max(rate, 1 / (n + 1)) + 1e-9
    assert rule.normals_ == n


def test_conformal__with_one_image_promises_one_half() -> None:
    rule = ConformalThreshold().fit(normals_of([0.3]))
    assert (rule.image_, rule.pixel_, rule.promise_) == (0.3, 0.3, 0.5)


def test_conformal__cannot_promise_less_than_one_in_n_plus_one() -> None:
    rule = ConformalThreshold(ConformalThreshold.Params(false_alarms=1e-6)).fit(normals_of(np.arange(30.0)))
    assert (rule.image_, rule.promise_) == (29.0, 1 / 31)


def test_only_conformal_promises() -> None:
    for rule in (MaximumThreshold, QuantileThreshold, SigmaThreshold):
        assert not rule.makes_promise
        assert rule().fit(normals_of([1.0, 2.0])).promise_ is None
    assert ConformalThreshold.makes_promise


@pytest.mark.parametrize(("n", "rate"), [(99, 0.05), (30, 0.01), (36, 0.1)])
def test_conformal__keeps_its_promise_on_fresh_good_images(n: int, rate: float) -> None:
    """Exactly, on average: the rate above the k-th largest of n is Beta(k, n + 1 - k), of mean k / (n + 1).

    Over 200 samples of n, each tried on 400 fresh scores, the mean rate has the variance of that Beta plus
    the binomial one, over 200. Four of its deviations are exceeded once in 16000 seeds.
    """
    samples, fresh = 200, 400
    random = np.random.default_rng(20)
    rates = []
    for _ in range(samples):
        rule = ConformalThreshold(ConformalThreshold.Params(false_alarms=rate))
        rule.fit(normals_of(random.lognormal(size=n)))
        rates.append(float((random.lognormal(size=fresh) > rule.image_).mean()))
    promise = rule.promise_
    assert promise is not None
    variance = promise * (1 - promise) * (1 / (n + 2) + (1 - 1 / (n + 2)) / fresh) / samples
    assert abs(np.mean(rates) - promise) < 4 * math.sqrt(variance)


# refusals


@pytest.mark.parametrize(
    ("rule", "options", "sentence"),
    [
        (
            ConformalThreshold,
            {"false_alarms": 0},
            "option 'false_alarms': input should be greater than 0, got 0",
        ),
        (
            ConformalThreshold,
            {"false_alarms": 1},
            "option 'false_alarms': input should be less than 1, got 1",
        ),
        (QuantileThreshold, {"p": 1.5}, "option 'p': input should be less than or equal to 1, got 1.5"),
        (SigmaThreshold, {"k": math.inf}, "option 'k': input should be a finite number, got inf"),
        (MaximumThreshold, {"p": 0.5}, "unknown option 'p' (it has none)"),
    ],
)
def test_options__are_refused_in_words(
    rule: type[Threshold], options: dict[str, float], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        rule.from_options(options)
    assert str(caught.value) == f"{rule.id}: {sentence}"


def no_number() -> Normals:
    return Normals(np.array([1.0, math.nan]), [np.zeros((1, 1))] * 2)


def no_number_in_a_map() -> Normals:
    return Normals(np.array([1.0]), [np.array([[0.0, math.inf]])])


@pytest.mark.parametrize(
    ("normals", "sentence"),
    [
        (Normals(np.zeros(0), []), "expected one map per held-out good image, got 0 scores and 0 maps"),
        (
            Normals(np.zeros(2), [np.zeros((1, 1))]),
            "expected one map per held-out good image, got 2 scores and 1 maps",
        ),
        (no_number(), "the scores of held-out good images hold NaN or infinite values"),
        (no_number_in_a_map(), "the scores of held-out good images hold NaN or infinite values"),
    ],
)
def test_fit__refuses_in_words(normals: Normals, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        ConformalThreshold().fit(normals)
    assert str(caught.value) == f"conformal: {sentence}"


def test_threshold__forgets_an_earlier_fit_and_survives_its_state() -> None:
    rule = ConformalThreshold().fit(normals_of([1.0, 2.0])).fit(normals_of([3.0]))
    back = ConformalThreshold.from_state(rule.params, rule.state())
    assert vars(back) == vars(rule)
    assert rule.state() == {"image_": 3.0, "pixel_": 3.0, "typical_": 3.0, "promise_": 0.5, "normals_": 1}


# severities


def test_severity__is_0_at_the_median_and_1_at_the_threshold() -> None:
    rule = MaximumThreshold().fit(normals_of([1.0, 2.0, 3.0, 8.0, 9.0]))
    assert rule.typical_ == 3.0
    assert rule.severity(np.array([3.0, 9.0, 12.0, 0.0])).tolist() == [0.0, 1.0, 1.5, -0.5]


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9),
)
def test_severity__is_above_1_exactly_where_the_score_is_above_the_threshold(
    good: list[float], fresh: list[float]
) -> None:
    rule = SigmaThreshold(SigmaThreshold.Params(k=0.5)).fit(normals_of(good))
    scores = np.array([*fresh, rule.image_, np.nextafter(rule.image_, np.inf)])
    found = rule.severity(scores)
    assert ((found > 1) == (scores > rule.image_)).all()
    assert np.isfinite(found).all()
    assert (np.diff(found[np.argsort(scores)]) >= 0).all()


def test_severity__of_a_threshold_stored_without_the_median() -> None:
    rule = MaximumThreshold().fit(normals_of([1.0, 2.0]))
    state = {name: value for name, value in rule.state().items() if name != "typical_"}
    with pytest.raises(ArtifactError) as caught:
        MaximumThreshold.from_state(rule.params, state).severity(np.array([1.0]))
    assert str(caught.value) == (
        "maximum: stored without the typical score of good images, so that severities cannot be told; learn "
        "it with leatherens recalibrate RUN --good DIR"
    )
