"""A threshold for each group: each keeps its promise, and groups that are too small share one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from leatherens.core.errors import InputError
from leatherens.core.reading import Sample
from leatherens.core.thresholds import ANY, Group, Normals
from leatherens.plugins.thresholds import ConformalThreshold
from leatherens.plugins.thresholds_by_group import MondrianThreshold

TAN, GREY, RED = (Group(colour=name) for name in ("tan", "grey", "red"))


def normals_of(scores: NDArray[np.float64], groups: Sequence[Group] | None) -> Normals:
    return Normals(scores, [np.full((1, 1), score) for score in scores], groups=groups)


def rule(rate: float = 0.25, by: str = "colour") -> MondrianThreshold:
    return MondrianThreshold.from_options({"false_alarms": rate, "by": by})


def conformal(scores: NDArray[np.float64], rate: float = 0.25) -> ConformalThreshold:
    return ConformalThreshold.from_options({"false_alarms": rate}).fit(normals_of(scores, None))


TAN_SCORES, GREY_SCORES, RED_SCORES = np.arange(7.0), 100 + np.arange(4.0), np.array([1000.0, 1001.0])
MIXED = np.concatenate([TAN_SCORES, GREY_SCORES, RED_SCORES])
GROUPS = [TAN] * 7 + [GREY] * 4 + [RED] * 2


def test_each_group__has_the_conformal_threshold_of_its_own_images() -> None:
    found = rule().fit(normals_of(MIXED, GROUPS))
    for group, scores in ((TAN, TAN_SCORES), (GREY, GREY_SCORES)):
        assert found.image_for(group) == found.pixel_for(group) == conformal(scores).image_


def test_a_group_too_small_or_unknown__shares_the_threshold_of_all() -> None:
    found = rule().fit(normals_of(MIXED, GROUPS))  # a rate of 0.25 takes 3 images
    assert {found.image_for(group) for group in (RED, ANY, Group(colour="blue"))} == {found.image_}
    assert found.image_ == conformal(MIXED).image_
    assert found.promise_ == pytest.approx(1 / 4 + 3 / 14)  # 2 of 8 and 1 of 5, and 3 of 14 for the others
    assert found.remarks == (
        "mondrian: a threshold for each colour with the 3 held-out good images that promise 0.25: grey (4), "
        "tan (7); that of all for the others: red (2)",
    )


def test_all_groups_large_enough__promise_what_the_least_sure_one_does() -> None:
    found = rule().fit(normals_of(MIXED[:11], GROUPS[:11]))
    assert found.promise_ == pytest.approx(2 / 8)
    assert found.remarks == ("mondrian: a threshold for each colour: grey (4), tan (7)",)


def test_no_group_large_enough__is_conformal() -> None:
    found, plain = rule(0.05).fit(normals_of(MIXED, GROUPS)), conformal(MIXED, 0.05)
    assert (found.image_for(TAN), found.promise_) == (plain.image_, plain.promise_)
    assert found.remarks[0].startswith("mondrian: no colour has the 19 held-out good images")


def test_views__are_told_by_their_names() -> None:
    views = [Group("left", "tan")] * 7 + [Group("right", "tan")] * 4
    found = rule(by="view").fit(normals_of(MIXED[:11], views))
    assert found.image_for(Group("right", "grey")) == conformal(GREY_SCORES).image_
    with pytest.raises(InputError, match="mondrian: no image says its view"):
        rule(by="view").check_samples([Sample(Path("a.png"), "a.png", False)], [])
    rule(by="view").check_samples([Sample(Path("a.png"), "a.png", False, view="left")], [])


def test_each_group__keeps_the_promise_where_one_threshold_for_all_does_not() -> None:
    """The rate above the k-th largest of n is Beta(k, n + 1 - k); four deviations of the mean."""
    samples, fresh, rate, n = 300, 200, 0.1, 39
    random = np.random.default_rng(7)
    own, one = [], []
    for _ in range(samples):
        scores = np.concatenate([random.lognormal(size=n), 3 * random.lognormal(size=n)])
        found = rule(rate).fit(normals_of(scores, [TAN] * n + [GREY] * n))
        new = 3 * random.lognormal(size=fresh)
        own.append(float((new > found.image_for(GREY)).mean()))
        one.append(float((new > found.image_).mean()))
    variance = rate * (1 - rate) * (1 / (n + 2) + (1 - 1 / (n + 2)) / fresh) / samples
    assert abs(np.mean(own) - rate) < 4 * math.sqrt(variance)
    assert np.mean(one) > rate + 10 * math.sqrt(variance)
