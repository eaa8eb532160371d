"""Each impostor against the procedure of its project, written out straight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from leatherens.core.metrics import au_pro
from leatherens.core.metrics.impostors import IMPOSTORS, Impostors, trapezoid_precision
from leatherens.core.pixel_pool import PixelPool, image_pixels
from leatherens.core.score_counts import ScoreCounts
from leatherens.core.sweep import sweep


def scene(size: int = 48) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Five images: two good, one with a ring, one with two spots, one with a corner."""
    rng = np.random.default_rng(4)
    masks = [np.zeros((size, size), bool) for _ in range(5)]
    masks[1][10:24, 12:30] = True
    masks[1][14:20, 18:24] = False
    masks[2][3:6, 3:6] = masks[2][30:40, 20:24] = True
    masks[4][40:, 40:] = True
    smooth = [ndimage.gaussian_filter(rng.normal(size=m.shape), 1.5) * 4 for m in masks]
    return [(s + 1.2 * m).astype(np.float32) for s, m in zip(smooth, masks, strict=True)], masks


def regions(mask: np.ndarray) -> list[np.ndarray]:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    return [labels == k for k in range(1, count + 1)]


def ader(maps, masks, *, widen: bool = False) -> float:
    """Pooled or of one image, 200 thresholds; `widen`: SimpleNet's dilation before the overlap."""
    scores, good = np.array(maps), ~np.array(masks)
    low, high = float(scores.min()), float(scores.max())
    defects = [regions(mask) for mask in masks]
    points = []
    for step in range(200):
        marked = scores > low + (high - low) / 200 * step
        overlaps = []
        for one, defect in zip(marked, defects, strict=True):
            seen = ndimage.binary_dilation(one, np.ones((5, 5))) if widen else one
            overlaps += [seen[region].mean() for region in defect]
        points.append(((marked & good).sum() / good.sum(), np.mean(overlaps)))
    rate, overlap = np.array(points).T
    kept = rate < 0.3
    return float(reference.auc(rate[kept] / rate[kept].max(), overlap[kept]))


def stretched(maps, masks, *, steps: int, both: bool, fill: bool = False) -> float:
    """DFR's procedure and what was derived from it."""
    scores, good = np.array(maps), ~np.array(masks)
    low, high = float(scores.min()), float(scores.max())
    fills = ndimage.binary_fill_holes if fill else np.asarray
    defects = [[(fills(r), r.sum()) for r in regions(mask)] for mask in masks]
    points = []
    for step in range(steps):
        marked = scores > high - (high - low) / steps * step
        overlaps = []
        for one, defect in zip(marked, defects, strict=True):
            overlaps += [(one & seen).sum() / size for seen, size in defect]
        points.append(((marked & good).sum() / good.sum(), np.mean(overlaps)))
    rate, overlap = np.array(points).T
    kept = rate <= 0.3

    def unit(x):
        return (x - x.min()) / (x.max() - x.min())

    return float(reference.auc(unit(rate[kept]), unit(overlap[kept]) if both else overlap[kept]))


def of(maps, masks, threshold: float | None = None) -> dict[str, float]:
    impostors, pool, defective = Impostors(threshold), PixelPool.empty(), PixelPool.empty()
    for scores, mask in zip(maps, masks, strict=True):
        image = image_pixels(scores, mask)
        pool.add(image)
        impostors.add(scores, mask, image)
        if mask.any():
            defective.add(image)
    labels = np.array([mask.any() for mask in masks])
    tops = np.array([scores.max() for scores in maps])
    return impostors.values(pool, defective, sweep(tops[labels], [ScoreCounts([tops[~labels]])]))


def test_impostors__agree_with_their_procedures():
    maps, masks = scene()
    pairs = [(s, m) for s, m in zip(maps, masks, strict=True) if m.any()]
    found = of(maps, masks, 0.5)
    scores, truth = (np.concatenate([x.ravel() for x in xs]) for xs in zip(*pairs, strict=True))
    ious = [((s > 0.5) & m).sum() / ((s > 0.5) | m).sum() for s, m in pairs]
    expected = {
        "ader_au_pro": ader(maps, masks),
        "rd4ad_au_pro": np.mean([ader([s], [m]) for s, m in pairs]),
        "simplenet_au_pro": ader(maps, masks, widen=True),
        "stfpm_au_pro": stretched(maps, masks, steps=4000, both=True),
        "cfa_au_pro": stretched(maps, masks, steps=200, both=True),
        "cflow_au_pro": stretched(maps, masks, steps=1000, both=False, fill=True),
        "memseg_au_pro": au_pro(maps, masks, limit=1),
        "patchcore_pixel_auroc": reference.roc_auc_score(truth, scores),
        "cflow_iou": np.mean(ious),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert list(found) == list(IMPOSTORS)


def test_impostors__are_not_the_real_one():
    maps, masks = scene()
    found, real = of(maps, masks), au_pro(maps, masks)
    others = [found[name] for name in found if name.endswith("au_pro")]
    assert all(abs(other - real) > 1e-3 for other in others)
    assert found["stfpm_au_pro"] > real
    assert "cflow_iou" not in found


def test_trapezoid_precision__is_the_area_of_scikit_learn_s_points():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scores = rng.integers(0, rng.choice([2, 5, 1000]), 40) / 7
        labels = rng.permutation(np.arange(40) < rng.integers(1, 40))
        precision, recall, _ = reference.precision_recall_curve(labels, scores)
        found = trapezoid_precision(sweep(scores[labels], [ScoreCounts([scores[~labels]])]))
        assert found == pytest.approx(reference.auc(recall, precision))


@pytest.mark.parametrize("marked", [False, True])
def test_impostors__undefined_are_nan(marked):
    """No defect; a map that is the same everywhere."""
    maps = [np.ones((6, 6), np.float32), np.ones((6, 6), np.float32)]
    masks = [np.zeros((6, 6), bool), np.zeros((6, 6), bool)]
    masks[1][2, 2] = marked
    found = of(maps, masks)
    assert all(math.isnan(found[name]) for name in ("ader_au_pro", "rd4ad_au_pro", "stfpm_au_pro"))
