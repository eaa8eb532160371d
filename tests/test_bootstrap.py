"""Resampled metrics: those of core/metrics on the images drawn, within the grain of the thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from leatherens.core.bootstrap import (
    ap_of,
    auroc_of,
    interval,
    pixel_counts,
    share_of,
    stratified_draws,
)
from leatherens.core.metrics import image_ap, image_auroc, pixel_metrics

Maps = list[NDArray[np.float32]]
Masks = list[NDArray[np.bool_]]


def scene(images: int = 12, *, ties: bool = False, seed: int = 0) -> tuple[Maps, Masks]:
    """Noise of 48 x 40 with defects of several sizes on two images of three, the last on a larger one."""
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for i in range(images):
        size = (80, 60) if i == images - 1 else (48, 40)
        mask = np.zeros(size, dtype=np.bool_)
        for _ in range(i % 3):
            y, x = rng.integers(0, 30, 2)
            mask[y : y + rng.integers(2, 9), x : x + rng.integers(2, 9)] = True
        scores = rng.normal(size=size) + rng.uniform(0.5, 3) * mask
        maps.append((np.round(scores) if ties else scores).astype(np.float32))
        masks.append(mask)
    return maps, masks


def drawn(images: list[NDArray], draw: NDArray) -> list[NDArray]:
    """Every image as often as it was drawn."""
    return [image for image, times in zip(images, draw, strict=True) for _ in range(times)]


# which images


def test_draws__keep_every_stratum_as_large_as_it_is() -> None:
    labels = [True, False, None, True, False, False]
    draws = stratified_draws(labels, 200, np.random.default_rng(1))

    assert draws.shape == (200, 6)
    assert (draws[:, [0, 3]].sum(axis=1) == 2).all()
    assert (draws[:, [1, 4, 5]].sum(axis=1) == 3).all()
    assert (draws[:, 2] == 1).all()
    assert draws[:, 1].mean() == pytest.approx(1, abs=0.2)


def test_draws__are_the_seed_s() -> None:
    first, second, other = (
        stratified_draws([0, 0, 1, 1, 1], 20, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )

    assert (first == second).all()
    assert (first != other).any()


# images


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_of__is_that_of_the_images_drawn(ties: bool) -> None:
    rng = np.random.default_rng(2)
    labels = np.arange(15) % 3 == 0
    scores = rng.normal(size=15) + labels
    scores = np.round(scores) if ties else scores
    draws = stratified_draws(labels.tolist(), 25, rng)
    expected = [image_auroc(np.repeat(scores, draw), np.repeat(labels, draw)) for draw in draws]

    assert auroc_of(draws, scores, labels) == pytest.approx(expected)


@pytest.mark.parametrize("ties", [False, True])
def test_ap_of__is_that_of_the_images_drawn(ties: bool) -> None:
    rng = np.random.default_rng(2)
    labels = np.arange(15) % 3 == 0
    scores = rng.normal(size=15) + labels
    scores = np.round(scores) if ties else scores
    draws = stratified_draws(labels.tolist(), 25, rng)
    expected = [image_ap(np.repeat(scores, draw), np.repeat(labels, draw)) for draw in draws]

    assert ap_of(draws, scores, labels) == pytest.approx(expected)
    assert np.isnan(ap_of(draws[:, :1], scores[:1], labels[:1])).all()


def test_auroc_of__one_class_is_undefined() -> None:
    labels = np.zeros(4, dtype=np.bool_)
    draws = stratified_draws(labels.tolist(), 3, np.random.default_rng(0))

    assert np.isnan(auroc_of(draws, np.arange(4.0), labels)).all()


def test_share_of__counts_an_image_as_often_as_it_is_drawn() -> None:
    draws = np.array([[2, 0, 1], [0, 0, 3], [1, 1, 1]])

    assert share_of(draws, np.array([True, False, False])) == pytest.approx([2 / 3, 0, 1 / 3])
    assert np.isnan(share_of(draws[:, :0], np.zeros(0, dtype=np.bool_))).all()


# pixels


@pytest.mark.parametrize("ties", [False, True])
def test_pixel_counts__with_every_image_once_give_the_exact_metrics(ties: bool) -> None:
    maps, masks = scene(ties=ties)
    exact, counts, once = pixel_metrics(maps, masks), pixel_counts(maps, masks), np.ones((1, 12), np.int64)

    assert counts.ap(once)[0] == pytest.approx(exact.ap, abs=1e-3)
    assert counts.au_pro(once)[0] == pytest.approx(exact.au_pro, abs=1e-3)
    assert counts.auroc(once)[0] == pytest.approx(exact.auroc, abs=1e-3)
    assert counts.regions.sum() == exact.regions


@pytest.mark.parametrize("ties", [False, True])
def test_pixel_counts__resampled_are_the_metrics_of_the_images_drawn(ties: bool) -> None:
    maps, masks = scene(ties=ties, seed=5)
    strata = [bool(mask.any()) for mask in masks]
    draws = stratified_draws(strata, 12, np.random.default_rng(0))
    counts = pixel_counts(maps, masks)
    exact = [pixel_metrics(drawn(maps, draw), drawn(masks, draw)) for draw in draws]

    assert counts.ap(draws) == pytest.approx([found.ap for found in exact], abs=3e-3)
    assert counts.au_pro(draws) == pytest.approx([found.au_pro for found in exact], abs=3e-3)


def test_pixel_counts__of_a_constant_map_know_nothing() -> None:
    _, masks = scene(6)
    counts = pixel_counts([np.ones(mask.shape, np.float32) for mask in masks], masks)
    once = np.ones((1, 6), np.int64)
    share = sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)

    assert counts.ap(once)[0] == pytest.approx(share)
    assert counts.au_pro(once)[0] == pytest.approx(0.15)


def test_pixel_counts__without_a_defect_among_those_drawn_are_undefined() -> None:
    maps, masks = scene(6)
    draws = np.zeros((1, 6), np.int64)
    draws[0, 0] = 6  # a good image
    counts = pixel_counts(maps, masks)

    assert np.isnan(counts.ap(draws)).all()
    assert np.isnan(counts.au_pro(draws)).all()


def test_pixel_counts__thin_large_maps_to_place_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leatherens.core.bootstrap.MOST_PIXELS", 500)
    maps, masks = scene()
    once = np.ones((1, 12), np.int64)

    assert pixel_counts(maps, masks).au_pro(once)[0] == pytest.approx(
        pixel_metrics(maps, masks).au_pro, abs=5e-3
    )


# intervals


def test_interval__holds_95_percent_of_the_resampled_values() -> None:
    values = np.arange(1001.0)

    assert interval(values) == pytest.approx((25, 975))
    assert interval(values, level=0.5) == pytest.approx((250, 750))


def test_interval__leaves_undefined_values_out() -> None:
    assert interval(np.array([np.nan, 2.0, np.nan, 2.0])) == (2.0, 2.0)
    assert np.isnan(interval(np.array([np.nan, np.nan]))).all()


def test_intervals__of_an_auroc_hold_its_true_value_about_as_often_as_they_say() -> None:
    truth, held = 0.7602, 0  # of unit normals one apart: Phi(1 / sqrt 2)
    labels = np.arange(120) < 50
    for seed in range(150):
        rng = np.random.default_rng(seed)
        scores = rng.normal(size=120) + labels
        low, high = interval(auroc_of(stratified_draws(labels.tolist(), 200, rng), scores, labels))
        held += low <= truth <= high

    assert 0.88 <= held / 150 <= 0.99
