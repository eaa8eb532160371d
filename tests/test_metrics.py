"""Metrics against hand-computed cases, scikit-learn, and brute force written from the definitions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from leatherens.core.errors import InputError
from leatherens.core.metrics import (
    DEFINITIONS,
    au_pro,
    confusion,
    f1_max,
    false_alarm_rate,
    image_ap,
    image_auroc,
    image_f1,
    iou,
    pixel_ap,
    pixel_auroc,
    pixel_f1_max,
    pixel_metrics,
    precision_recall_curve,
    pro,
    roc_curve,
)
from leatherens.core.metrics.decisions import pixel_decisions

SCORES, LABELS = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0]


def four_by_four():
    """Regions A = (0,0),(0,1) and B = (3,3); one good pixel scores between the two pixels of A."""
    scores, mask = np.full((4, 4), 0.1, np.float32), np.zeros((4, 4), bool)
    scores[0, 0], scores[2, 2], scores[0, 1], scores[3, 3] = 0.9, 0.7, 0.5, 0.3
    mask[0, :2] = mask[3, 3] = True
    return scores, mask


# By hand


@pytest.mark.parametrize(
    ("limit", "expected"), [(0.05, 0.25), (0.1, 0.4230769), (0.3, 0.8076923), (1.0, 0.9423077)]
)
def test_au_pro__four_by_four(limit, expected):
    scores, mask = four_by_four()
    assert au_pro([scores], [mask], limit=limit) == pytest.approx(expected, abs=1e-7)


def test_au_pro__limit_on_a_corner_of_the_curve():
    scores, mask = four_by_four()
    assert au_pro([scores], [mask], limit=1 / 13) == pytest.approx(0.25)


def test_pixel_metrics__four_by_four():
    scores, mask = four_by_four()
    found = pixel_metrics([scores], [mask])
    assert found.auroc == 37 / 39
    assert found.ap == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert (found.f1_max, found.f1_threshold) == (6 / 7, np.float32(0.3))
    assert (found.regions, found.defect_pixels, found.good_pixels) == (2, 3, 13)


def test_single_functions_repeat_pixel_metrics():
    scores, mask = four_by_four()
    found = pixel_metrics([scores], [mask])
    assert pixel_auroc([scores], [mask]) == found.auroc
    assert pixel_ap([scores], [mask]) == found.ap
    assert au_pro([scores], [mask]) == found.au_pro
    assert pixel_f1_max([scores], [mask]) == (found.f1_max, found.f1_threshold)


def test_pro__four_by_four():
    scores, mask = four_by_four()
    assert pro([scores], [mask], 0.4) == 0.5
    assert pro([scores], [mask], 0.0) == 1


def test_pro_and_iou__a_score_equal_to_the_threshold_is_good():
    scores, mask = four_by_four()
    assert pro([scores], [mask], 0.5) == 0.25
    assert iou([scores], [mask], 0.5) == 1 / 4
    assert iou([scores], [mask], 0.9) == 0


def test_pro__regions_weigh_the_same_whatever_their_size_and_image():
    small, large = np.zeros((3, 3), bool), np.zeros((5, 7), bool)
    small[1, 1], large[:4, :5] = True, True
    assert pro([small * 1.0, large * 0.0], [small, large], 0.5) == 0.5


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_au_pro__perfect_map(limit):
    _, mask = four_by_four()
    assert au_pro([mask.astype(np.float32)], [mask], limit=limit) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("limit", "expected"), [(0.3, 0.15), (1.0, 0.5)])
def test_constant_map(limit, expected):
    _, mask = four_by_four()
    found = pixel_metrics([np.ones((4, 4), np.float32)], [mask], limit=limit)
    assert found.au_pro == pytest.approx(expected)
    assert found.auroc == 0.5
    assert found.ap == 3 / 16


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_au_pro__inverted_map(limit):
    _, mask = four_by_four()
    assert au_pro([1 - mask.astype(np.float32)], [mask], limit=limit) == 0


def test_diagonal_pixels_are_one_region():
    mask = np.eye(3, dtype=bool)
    assert pixel_metrics([mask.astype(np.float32)], [mask]).regions == 1


def test_pro__with_each_defect_one_region_as_in_the_loco_table():
    """The sheet's 8 x 5 example, saturation = area; there each defect file is a region, here each row is."""
    scores = np.repeat(np.arange(8, dtype=np.float32)[:, None] / 10 + 0.05, 5, axis=1)
    odd, even = np.zeros((8, 5), bool), np.zeros((8, 5), bool)
    odd[[1, 3, 5, 7]], even[[0, 6]] = True, True
    for threshold, expected in [(0.0, 1.0), (0.2, 0.625), (0.4, 0.5), (0.6, 0.375), (0.8, 0), (1.0, 0)]:
        channels = [pro([scores], [channel], threshold) for channel in (odd, even)]
        assert np.mean(channels) == pytest.approx(expected)


def test_image_metrics__by_hand():
    assert image_auroc(SCORES, LABELS) == 4 / 6
    assert image_ap(SCORES, LABELS) == pytest.approx(0.805556, abs=1e-6)
    best, threshold = f1_max(SCORES, LABELS)
    assert best == pytest.approx(0.857143, abs=1e-6)
    assert threshold == 0.6


def test_image_f1__strict_where_f1_max_is_not():
    assert image_f1(SCORES, LABELS, 0.6) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert image_f1(SCORES, LABELS, np.nextafter(0.6, -np.inf)) == f1_max(SCORES, LABELS)[0]
    assert image_f1(SCORES, LABELS, 0.9) == 0


def test_f1_max__lowest_of_equally_good_thresholds():
    scores, labels = [4, 3, 2, 1], [1, 0, 0, 1]  # F1 2/3 at 4 (P 1, R 1/2) and at 1 (P 1/2, R 1)
    assert f1_max(scores, labels) == (2 / 3, 1)


def test_false_alarm_rate__strict():
    assert false_alarm_rate(SCORES, LABELS, 0.5) == 0.5
    assert false_alarm_rate(SCORES, LABELS, 0.8) == 0
    assert false_alarm_rate(SCORES, LABELS, 0.1) == 1


def test_thresholds_are_compared_in_the_dtype_of_the_scores():
    scores = np.array([0.4, 0.4], np.float32)  # 0.4 in float32 exceeds 0.4 in float64
    assert false_alarm_rate(scores, [0, 1], 0.4) == 0
    assert false_alarm_rate(scores, [0, 1], np.float64(0.4)) == 0


def test_iou__prediction_of_three_truth_of_two():
    scores, mask = np.zeros((1, 6), np.float32), np.zeros((1, 6), bool)
    scores[0, :3], mask[0, 2:4] = 1, True
    assert iou([scores], [mask], 0.5) == 1 / 4


def test_iou__one_ratio_for_all_images_together():
    hit, miss = np.ones((1, 1), bool), np.ones((1, 3), bool)
    assert iou([hit * 1.0, miss * 0.0], [hit, miss], 0.5) == 1 / 4


def test_confusion__accuracy_precision_recall_by_hand():
    found = confusion(SCORES, LABELS, 0.6)
    assert (found.found, found.missed, found.false_alarms, found.passed) == (2, 1, 1, 1)
    assert (found.accuracy, found.precision, found.recall) == (3 / 5, 2 / 3, 2 / 3)
    nothing = confusion(SCORES, LABELS, 1)
    assert math.isnan(nothing.precision)
    assert (nothing.recall, nothing.accuracy) == (0, 2 / 5)


def test_iou_per_image__leaves_out_images_without_a_marked_pixel():
    hit, miss, none = np.ones((1, 1), bool), np.ones((1, 3), bool), np.zeros((1, 2), bool)
    maps, masks = [hit * 1.0, miss * 0.0, none * 1.0], [hit, miss, none]
    assert pixel_decisions(maps, masks, 0.5).iou_per_image == 0.5
    alarm = [*maps, np.ones((1, 2))]
    assert pixel_decisions(alarm, [*masks, none], 0.5).iou_per_image == pytest.approx(1 / 3)


# Against scikit-learn


def labelled_scores() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both classes present; from few distinct values (many ties) to many."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(2, 60))
        labels = rng.permutation(np.arange(count) < rng.integers(1, count))
        yield rng.integers(0, int(rng.choice([1, 2, 5, 1000])), count) / 7, labels


def test_image_metrics__agree_with_scikit_learn_with_ties():
    for scores, labels in labelled_scores():
        assert image_auroc(scores, labels) == pytest.approx(reference.roc_auc_score(labels, scores))
        assert image_ap(scores, labels) == pytest.approx(reference.average_precision_score(labels, scores))


def f1_by_definition(labels, called):
    return 2 * np.sum(called & labels) / (np.sum(called) + np.sum(labels))


def test_f1_max__agrees_with_every_threshold_tried():
    for scores, labels in labelled_scores():
        candidates = np.unique(scores)
        tried = np.array([f1_by_definition(labels, scores >= t) for t in candidates])
        assert f1_max(scores, labels) == (tried.max(), candidates[tried.argmax()])


def test_image_f1__agrees_with_scikit_learn():
    for scores, labels in labelled_scores():
        expected = reference.f1_score(labels, scores > scores[0], zero_division=0)
        assert image_f1(scores, labels, scores[0]) == pytest.approx(expected)


def lies_on(x: float, y: float, xs: np.ndarray, ys: np.ndarray) -> bool:
    """Whether the point is on one of the segments between consecutive corners."""
    dx, dy = np.diff(xs), np.diff(ys)
    length = np.maximum(dx**2 + dy**2, 1e-30)
    along = np.clip(((x - xs[:-1]) * dx + (y - ys[:-1]) * dy) / length, 0, 1)
    return bool(np.min(np.hypot(xs[:-1] + along * dx - x, ys[:-1] + along * dy - y)) < 1e-9)


def test_roc_curve__holds_every_point_of_scikit_learn_and_its_area():
    for scores, labels in labelled_scores():
        fpr, tpr = roc_curve(scores, labels)
        assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
        for x, y, _ in zip(*reference.roc_curve(labels, scores, drop_intermediate=False), strict=True):
            assert lies_on(x, y, fpr, tpr)
        assert reference.auc(fpr, tpr) == pytest.approx(image_auroc(scores, labels))


def test_precision_recall_curve__ends_and_steps():
    """At each recall the corner with the highest precision is a threshold; their steps add up to the AP."""
    for scores, labels in labelled_scores():
        precision, recall = precision_recall_curve(scores, labels)
        assert (precision[0], recall[0]) == (1, 0)
        assert (precision[-1], recall[-1]) == (pytest.approx(labels.mean()), 1)
        with_threshold = slice(2, None, 2)
        steps = np.diff(recall[with_threshold], prepend=0)
        assert np.sum(steps * precision[with_threshold]) == pytest.approx(image_ap(scores, labels))


def test_precision_recall_curve__holds_every_point_of_scikit_learn():
    for scores, labels in labelled_scores():
        precision, recall = precision_recall_curve(scores, labels)
        theirs = reference.precision_recall_curve(labels, scores)
        assert all(lies_on(r, p, recall, precision) for p, r in zip(*theirs[:2], strict=True))


# Against brute force


def brute_force(maps, masks, valid, limit):
    """AU-PRO from its definition: every distinct threshold, each region's overlap, trapezoids, the cut."""
    regions, good = [], []
    for scores, mask, inside in zip(maps, masks, valid, strict=True):
        labels, count = ndimage.label(mask & inside, structure=np.ones((3, 3)))
        regions += [scores[labels == k] for k in range(1, count + 1)]
        good.append(scores[~mask & inside])
    good = np.concatenate(good)
    if not regions or not good.size:
        return math.nan
    points = [(0.0, 0.0)]
    for threshold in sorted({float(s) for part in [*regions, good] for s in part}, reverse=True):
        overlap = np.mean([np.mean(region >= threshold) for region in regions])
        points.append((float(np.mean(good >= threshold)), float(overlap)))
    points.append((1.0, 1.0))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 <= limit:
            area += (x1 - x0) * (y0 + y1) / 2
        elif x0 < limit:
            cut = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
            area += (limit - x0) * (y0 + cut) / 2
    return area / limit


def random_cases(count: int):
    """A few small maps of various sizes with ties; some images are good, some pixels not valid."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        maps, masks, valid = [], [], []
        for _ in range(rng.integers(1, 5)):
            shape = tuple(rng.integers(1, 12, 2))
            maps.append((rng.integers(0, rng.choice([1, 3, 20, 10_000]), shape) / 8).astype(np.float32))
            masks.append(rng.random(shape) < rng.choice([0, 0.1, 0.4]))
            valid.append(rng.random(shape) < rng.choice([0.6, 1]))
        yield maps, masks, valid, float(rng.choice([0.01, 0.3, 1, rng.uniform(0.01, 1)]))


def test_au_pro__agrees_with_brute_force():
    for maps, masks, valid, limit in random_cases(200):
        everywhere = [np.ones_like(mask) for mask in masks]
        expected = brute_force(maps, masks, everywhere, limit)
        assert au_pro(maps, masks, limit=limit) == pytest.approx(expected, abs=1e-12, nan_ok=True)
        expected = brute_force(maps, masks, valid, limit)
        assert au_pro(maps, masks, valid=valid, limit=limit) == pytest.approx(
            expected, abs=1e-12, nan_ok=True
        )


def test_pixel_metrics__agree_with_scikit_learn_on_pooled_pixels():
    for maps, masks, valid, _ in random_cases(100):
        scores = np.concatenate([m[v] for m, v in zip(maps, valid, strict=True)])
        truth = np.concatenate([m[v] for m, v in zip(masks, valid, strict=True)])
        found = pixel_metrics(maps, masks, valid=valid)
        assert (found.defect_pixels, found.good_pixels) == (truth.sum(), (~truth).sum())
        if truth.any() and not truth.all():
            assert found.auroc == pytest.approx(reference.roc_auc_score(truth, scores))
            assert found.ap == pytest.approx(reference.average_precision_score(truth, scores))
            assert found.f1_max == f1_by_definition(truth, scores >= found.f1_threshold)
            assert found.f1_max == max(f1_by_definition(truth, scores >= t) for t in np.unique(scores))


def test_pro_and_iou__agree_with_the_definition():
    for maps, masks, valid, _ in random_cases(100):
        threshold = float(maps[0].flat[0])
        overlaps, both, either = [], 0, 0
        for scores, mask, inside in zip(maps, masks, valid, strict=True):
            called, truth = (scores > threshold) & inside, mask & inside
            labels, count = ndimage.label(truth, structure=np.ones((3, 3)))
            overlaps += [np.mean(called[labels == k]) for k in range(1, count + 1)]
            both, either = both + np.sum(called & truth), either + np.sum(called | truth)
        expected = np.mean(overlaps) if overlaps else math.nan
        assert pro(maps, masks, threshold, valid=valid) == pytest.approx(expected, nan_ok=True)
        expected = both / either if either else math.nan
        assert iou(maps, masks, threshold, valid=valid) == pytest.approx(expected, nan_ok=True)


# Invariants


def overlapping_case():
    rng = np.random.default_rng(3)
    masks = [rng.random(shape) < 0.1 for shape in [(20, 30), (17, 9), (8, 8)]]
    masks[1][:] = False
    return [(rng.integers(0, 40, m.shape) + 9 * m).astype(np.float32) for m in masks], masks


def ranking(maps, masks, **options):
    found = pixel_metrics(maps, masks, **options)
    return found.auroc, found.ap, found.au_pro, found.f1_max, found.regions


@pytest.mark.parametrize(
    "transform", [lambda s: 3 * s - 100, np.exp, np.cbrt, lambda s: s.astype(np.float64) ** 3]
)
def test_rankings_survive_strictly_rising_transforms(transform):
    maps, masks = overlapping_case()
    assert ranking([transform(m / 8) for m in maps], masks) == ranking(maps, masks)


def test_rankings_survive_permuted_images():
    maps, masks = overlapping_case()
    assert ranking(maps[::-1], masks[::-1]) == pytest.approx(ranking(maps, masks), abs=1e-12)


def test_good_images_count_in_the_false_positive_rate():
    maps, masks = overlapping_case()
    quiet = np.zeros((50, 50), np.float32)
    more = pixel_metrics([*maps, quiet], [*masks, np.zeros((50, 50), bool)])
    assert more.au_pro > pixel_metrics(maps, masks).au_pro
    assert more.regions == pixel_metrics(maps, masks).regions


def test_invalid_pixels_change_nothing():
    maps, masks = overlapping_case()
    valid = [np.random.default_rng(5).random(m.shape) < 0.7 for m in masks]
    expected = ranking(maps, masks, valid=valid)
    other_maps = [np.where(v, m, np.nan) for m, v in zip(maps, valid, strict=True)]
    other_masks = [m ^ ~v for m, v in zip(masks, valid, strict=True)]
    assert ranking(other_maps, other_masks, valid=valid) == expected


def test_inputs_are_left_alone():
    maps, masks = overlapping_case()
    before = [m.copy() for m in maps]
    pixel_metrics(maps, masks)
    scores = np.array(SCORES)
    image_auroc(scores, LABELS)
    assert all(np.array_equal(m, b) for m, b in zip(maps, before, strict=True))
    assert scores.tolist() == SCORES


def test_counts_beyond_32_bits():
    """Wins are counted in int64: 80,000 defects over 80,000 good pixels make 6.4e9 pairs."""
    scores = np.concatenate([np.ones(80_000), np.zeros(80_000)]).astype(np.float32)
    assert image_auroc(scores, scores.astype(bool)) == 1


# Undefined is NaN


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_image_rankings__one_class_only(labels):
    scores = [1.0, 2.0, 3.0]
    assert math.isnan(image_auroc(scores, labels))
    assert math.isnan(image_ap(scores, labels))
    assert np.isnan(f1_max(scores, labels)).tolist() == [True, True]


def test_image_decisions__one_class_only():
    assert math.isnan(image_f1([1.0, 2.0], [0, 0], 1.5))
    assert image_f1([1.0, 2.0], [1, 1], 1.5) == 2 / 3
    assert math.isnan(false_alarm_rate([1.0, 2.0], [1, 1], 1.5))


def test_curves__the_rate_of_a_missing_class_is_nan():
    fpr, tpr = roc_curve([1.0, 2.0], [1, 1])
    assert np.isnan(fpr).all()
    assert tpr[-1] == 1
    fpr, tpr = roc_curve([1.0, 2.0], [0, 0])
    assert fpr[-1] == 1
    assert np.isnan(tpr).all()
    precision, recall = precision_recall_curve([1.0, 2.0], [0, 0])
    assert precision.tolist() == [1, 0]
    assert np.isnan(recall).all()


@pytest.mark.parametrize("truth", [False, True])
def test_pixel_rankings__one_class_only(truth):
    found = pixel_metrics([np.arange(9, dtype=np.float32).reshape(3, 3)], [np.full((3, 3), truth)])
    assert np.isnan([found.auroc, found.ap, found.au_pro, found.f1_max, found.f1_threshold]).all()
    assert found.regions == int(truth)


def test_pro_and_iou__nothing_to_find():
    scores, mask = np.zeros((3, 3), np.float32), np.zeros((3, 3), bool)
    assert math.isnan(pro([scores], [mask], 0.5))
    assert math.isnan(iou([scores], [mask], 0.5))
    assert iou([scores], [mask], -1) == 0


def test_no_valid_pixel_is_undefined():
    scores, mask = four_by_four()
    assert math.isnan(au_pro([scores], [mask], valid=[np.zeros((4, 4), bool)]))


# Errors, word for word

GREY, MASK = np.zeros((4, 4), np.float32), np.zeros((4, 4), bool)
HOLED = np.where(np.eye(4, dtype=bool), np.float32("nan"), GREY)


@pytest.mark.parametrize(
    ("maps", "masks", "valid", "message"),
    [
        ([], [], None, "expected at least one map, got none"),
        ([GREY, GREY], [MASK], None, "expected one mask per map, got 2 maps and 1 masks"),
        ([GREY], [MASK], [], "expected one valid mask per map, got 1 maps, 0 valid masks"),
        ([GREY[None]], [MASK], None, "map 0: expected shape (H, W), got (1, 4, 4)"),
        (
            [GREY, GREY],
            [MASK, MASK[:, :3]],
            None,
            "map 1 has shape (4, 4), its mask (4, 3): bring the map to the image's original size",
        ),
        (
            [GREY],
            [MASK],
            [MASK[:3]],
            "map 0 has shape (4, 4), its valid mask (3, 4): bring the map to the image's original size",
        ),
        ([GREY], [GREY], None, "map 0: expected its mask as bool, got float32; binarise it, as in mask > 0"),
        (
            [GREY],
            [MASK],
            [MASK.astype(np.uint8)],
            "map 0: expected its valid mask as bool, got uint8; binarise it, as in mask > 0",
        ),
        ([GREY, HOLED], [MASK, MASK], None, "map 1: 4 of 16 valid pixels are NaN"),
    ],
)
def test_bad_maps_are_refused_in_words(maps, masks, valid, message):
    for call in (pixel_metrics, pixel_auroc, au_pro):
        with pytest.raises(InputError) as caught:
            call(maps, masks, valid=valid)
        assert str(caught.value) == message
    for call in (iou, pro):
        with pytest.raises(InputError) as caught:
            call(maps, masks, 0.5, valid=valid)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "expected the score of at least one image, got none"),
        ([1, 2], [1], "expected one label per score, got scores of shape (2,) and labels of (1,)"),
        ([[1, 2]], [[1, 0]], "expected one label per score, got scores of shape (1, 2) and labels of (1, 2)"),
        ([1, 2], [1, 255], "labels are 0 (good) or 1 (defective), got 255"),
        ([1, math.nan, math.nan], [1, 0, 1], "2 of 3 scores are NaN, the first at index 1"),
    ],
)
def test_bad_image_scores_are_refused_in_words(scores, labels, message):
    for call in (image_auroc, image_ap, f1_max, roc_curve, precision_recall_curve):
        with pytest.raises(InputError) as caught:
            call(scores, labels)
        assert str(caught.value) == message
    for call in (image_f1, false_alarm_rate):
        with pytest.raises(InputError) as caught:
            call(scores, labels, 0.5)
        assert str(caught.value) == message


@pytest.mark.parametrize("limit", [0, -0.1, 1.5, math.nan])
def test_limit_outside_its_range_is_refused(limit):
    with pytest.raises(InputError) as caught:
        au_pro([GREY], [MASK], limit=limit)
    assert str(caught.value) == f"limit: expected a false-positive rate above 0 and at most 1, got {limit}"


def test_definitions__one_sentence_per_number():
    for sentence in DEFINITIONS.values():
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert all(
        word in DEFINITIONS["au_pro"] for word in ("8-connected", "0.3", "original resolution", "tied")
    )
