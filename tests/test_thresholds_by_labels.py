"""Rules that learn from labelled images: hand cases, ties, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_recall_curve

from leatherens.core.errors import InputError
from leatherens.core.thresholds import Labelled, Normals, Threshold
from leatherens.plugins.thresholds import MaxAreaThreshold
from leatherens.plugins.thresholds_by_labels import F1Threshold, LineClearanceThreshold

GOOD = Normals(np.array([0.1, 0.2]), [np.zeros((1, 2))] * 2)


def labelled_of(scores: list[float], labels: list[int], kind: type = np.float64) -> Labelled:
    """Images whose maps are one pixel of their own score, marked where they are defective."""
    image = np.array(scores, kind)
    truth = np.array(labels, bool)
    return Labelled(image, truth, [np.full((1, 1), s) for s in image], [np.full((1, 1), d) for d in truth])


# f1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_f1__of_five_scores(kind: type) -> None:
    labelled = labelled_of([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0], kind)
    rule = F1Threshold().fit(GOOD, labelled)

    for limit in (rule.image_, rule.pixel_):
        assert limit == pytest.approx(0.6)
        found = labelled.image > limit  # the score 0.6 itself is defective, as `score >= t` defines F1
        assert found.tolist() == [True, True, True, True, False]
        assert f1_score(labelled.labels, found) == pytest.approx(0.857143, abs=1e-6)
    assert rule.labelled_ == 5


def test_f1__is_the_lowest_of_equally_good_thresholds() -> None:
    rule = F1Threshold().fit(GOOD, labelled_of([4.0, 3, 2, 1], [1, 0, 0, 1]))
    assert rule.image_ == pytest.approx(1)  # F1 is 2/3 at 4 and at 1


def test_f1__of_pixels_is_the_best_of_all_pooled_pixels() -> None:
    random = np.random.default_rng(0)
    maps = [random.normal(size=(8, 9)).astype(np.float32) for _ in range(4)]
    masks = [random.random((8, 9)) < 0.2, None, np.zeros((8, 9), bool), random.random((8, 9)) < 0.1]
    valid = [None, None, None, random.random((8, 9)) < 0.8]
    labelled = Labelled(np.arange(4.0), np.array([True, True, False, True]), maps, masks, valid)
    rule = F1Threshold().fit(GOOD, labelled, sides=("pixel",))

    pixels = np.concatenate([maps[0].ravel(), maps[2].ravel(), maps[3][valid[3]]])
    truth = np.concatenate([masks[0].ravel(), masks[2].ravel(), masks[3][valid[3]]])
    precision, recall, thresholds = precision_recall_curve(truth, pixels)
    best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert f1_score(truth, pixels > np.float32(rule.pixel_)) == pytest.approx(best)
    assert np.float32(np.nextafter(np.float32(rule.pixel_), np.float32(np.inf))) in thresholds


def test_f1__follows_a_monotone_transform() -> None:
    scores, labels = [0.3, 2.0, 1.0, 4.0, 3.0, 0.1], [0, 1, 0, 1, 1, 0]
    plain = F1Threshold().fit(GOOD, labelled_of(scores, labels)).image_
    moved = F1Threshold().fit(GOOD, labelled_of([float(np.exp(s)) for s in scores], labels)).image_
    assert moved == pytest.approx(np.exp(plain))


# line clearance


def accuracy(labelled: Labelled, limit: float) -> float:
    return float(((labelled.image > limit) == labelled.labels).mean())


GOOD_SCORES = np.array([1.0, 1.1, 1.2, 1.3, 9.0])


def clearance(labelled: Labelled, scores: NDArray[np.float64] = GOOD_SCORES) -> LineClearanceThreshold:
    rule = LineClearanceThreshold(LineClearanceThreshold.Params(k=0.5, p=0.6))
    return rule.fit(Normals(scores, [np.full((1, 1), s) for s in scores]), labelled)


def test_line_clearance__takes_the_most_accurate() -> None:
    # maximum 9, k-sigma 2.72 + 0.5 * 3.14 = 4.29, p-quantile 1.24
    assert clearance(labelled_of([10.0, 3, 2], [1, 0, 0])).chosen_ == "maximum"
    assert clearance(labelled_of([5.0, 2.0], [1, 0])).chosen_ == "k-sigma"
    found = clearance(labelled_of([2.0, 1.0], [1, 0]))
    assert (found.chosen_, found.right_) == ("p-quantile", 2)
    assert found.image_ == found.pixel_ == pytest.approx(np.quantile(GOOD_SCORES, 0.6))
    assert found.remarks == (
        "line-clearance chose the rule 'p-quantile', which judges 2 of 2 labelled images rightly",
    )


def test_line_clearance__prefers_the_maximum_then_k_sigma() -> None:
    assert clearance(labelled_of([10.0, 0.5], [1, 0])).chosen_ == "maximum"  # all three are right
    assert clearance(labelled_of([2.0, 5.0, 0.5], [1, 1, 0])).chosen_ == "p-quantile"
    assert clearance(labelled_of([2.0, 3.0, 5.0], [1, 0, 1])).chosen_ == "k-sigma"  # 2 right, as the quantile


# what is refused


@pytest.mark.parametrize("kind", [F1Threshold, LineClearanceThreshold])
@pytest.mark.parametrize(
    ("labelled", "sentence"),
    [
        (None, "learns from labelled images, good and defective ones, and there are none; give some"),
        (labelled_of([1.0, 2.0], [0, 0]), "but all of the 2 labelled images are good"),
        (labelled_of([1.0], [1]), "but all of the 1 labelled image are defective"),
        (labelled_of([1.0, np.nan], [1, 0]), "the scores of labelled images hold NaN or infinite values"),
        (
            Labelled(np.ones(2), np.array([True, False]), [np.zeros((1, 1))], [None, None]),
            "2 labelled images, but 1 maps",
        ),
    ],
    ids=["none", "all good", "all defective", "not a number", "a map too few"],
)
def test_labels__are_asked_for_in_words(
    kind: type[Threshold], labelled: Labelled | None, sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        kind().fit(GOOD, labelled)
    assert str(caught.value).startswith(f"{kind.id}: ")
    assert sentence in str(caught.value)


def test_f1__of_pixels_wants_a_marked_defect_and_images_do_not() -> None:
    bare = Labelled(np.array([1.0, 2.0]), np.array([False, True]), [np.zeros((1, 1))] * 2, [None, None])
    assert F1Threshold().fit(GOOD, bare, sides=("image",)).image_ == pytest.approx(2)
    with pytest.raises(InputError, match="f1: no defect is marked in the labelled images"):
        F1Threshold().fit(GOOD, bare)


# max-area


def test_max_area__judges_images_by_the_highest_good_one_and_pixels_by_regions() -> None:
    scores = np.zeros((4, 5))
    scores[0, :2], scores[3, 4] = 5, 9
    rule = MaxAreaThreshold(MaxAreaThreshold.Params(area=1)).fit(Normals(np.array([3.0]), [scores]))
    assert (rule.image_, rule.pixel_) == (3.0, 5.0)


def test_max_area__of_thinned_maps_counts_a_pixel_for_those_it_stands_for() -> None:
    thinned = np.array([[5.0, 5, 0, 9]])
    normals = Normals(np.array([3.0]), [thinned], step=3, peaks=np.array([11.0]))
    found = [
        MaxAreaThreshold(MaxAreaThreshold.Params(area=area)).fit(normals).pixel_ for area in (8, 9, 17, 18)
    ]
    assert found == [11.0, 5.0, 5.0, 0.0]
