"""Rectangles and what is pasted in them: one colour, or a piece of the image in slightly other colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import functional as reference

from leatherens.core.synthesis import cutpaste as cutpaste_module
from leatherens.core.synthesis import jitter
from leatherens.core.synthesis.cutout import CutOut
from leatherens.core.synthesis.cutpaste import CutPaste, CutPasteScar, tilted
from leatherens.core.synthesis.jitter import CHANGES, jittered
from leatherens.core.synthesis.overlay import within
from leatherens.core.synthesis.rectangles import feasible_sides, placed


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(height=64, width=96, seed=0):
    return rng(seed).random((height, width, 3), dtype=np.float32)


def box(mask):
    """Sides of the smallest rectangle about a mask, and whether it fills it."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    return int(tall), int(wide), bool(mask.sum() == tall * wide)


# Rectangles


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(24, 300), st.integers(24, 300))
def test_feasible_sides__have_the_area_asked_for_and_fit(seed, height, width):
    tall, wide = feasible_sides((height, width), (0.02, 0.15), (0.3, 1 / 0.3), rng(seed))
    assert 1 <= tall <= height
    assert 1 <= wide <= width
    low, high = 0.02 * height * width, 0.15 * height * width
    rounding = 0.5 * (tall + wide) + 0.25
    assert low - rounding <= tall * wide <= high + rounding
    if max(height, width) < 6 * min(height, width):  # the aspect asked for fits
        assert 0.3 - rounding / tall**2 <= wide / tall <= 1 / 0.3 + rounding / tall**2


def test_feasible_sides__are_as_often_flat_as_upright():
    drawn = [feasible_sides((256, 256), (0.02, 0.15), (0.3, 1 / 0.3), rng(seed)) for seed in range(2000)]
    ratios = np.log([wide / tall for tall, wide in drawn])
    assert abs((ratios > 0).mean() - 0.5) < 0.04
    assert ratios.min() == pytest.approx(np.log(0.3), abs=0.08)
    assert ratios.std() == pytest.approx(2 * np.log(1 / 0.3) / np.sqrt(12), rel=0.05)  # even in the logarithm


def test_placed__reaches_every_place_and_no_other():
    windows = [placed((2, 3), (4, 5), None, rng(seed)) for seed in range(300)]
    corners = {(rows.start, columns.start) for rows, columns in windows}
    assert corners == {(top, left) for top in range(3) for left in range(3)}
    assert all((rows.stop - rows.start, columns.stop - columns.start) == (2, 3) for rows, columns in windows)


def test_placed__lies_where_something_or_all_of_it_may_be_inspected():
    valid = np.zeros((80, 80), np.bool_)
    valid[20:60, 30:] = True
    some, all_of_it = (
        np.array([valid[placed((9, 9), (80, 80), valid, rng(s), whole=whole)].mean() for s in range(200)])
        for whole in (False, True)
    )
    assert some.min() > 0
    assert (some < 1).mean() > 0.2
    assert all_of_it.min() == 1  # seldom missed twenty times, as a quarter of all places is whole


def test_placed__finds_a_single_pixel_and_ends_where_there_is_none():
    valid = np.zeros((200, 200), np.bool_)
    assert placed((3, 3), (200, 200), valid, rng())[0].stop <= 200
    valid[199, 0] = True
    assert all(valid[placed((3, 3), (200, 200), valid, rng(seed))].any() for seed in range(20))


# A patch in its window


def test_within__shows_the_patch_where_it_is_covered_and_valid():
    image, patch = picture(6, 8), np.ones((2, 3, 3), np.float32)
    valid, covered = np.ones((6, 8), np.bool_), np.ones((2, 3), np.bool_)
    valid[1, 4], covered[1, 2] = False, False
    seen, mask = within(image, patch, (slice(1, 3), slice(4, 7)), valid, covered=covered)
    assert np.argwhere(mask).tolist() == [[1, 5], [1, 6], [2, 4], [2, 5]]
    assert (seen[mask] == 1).all()
    assert np.array_equal(seen[~mask], image[~mask])


# Cut-out


@pytest.mark.parametrize("colour", [(1.0, 1.0, 1.0), (0.2, 0.5, 0.0)])
def test_cutout__is_a_rectangle_of_one_colour_and_a_feasible_size(colour):
    image = picture(120, 200)
    for seed in range(40):
        seen, mask = CutOut(colour).draw(image, None, rng(seed))
        tall, wide, full = box(mask)
        assert full
        assert 0.004 < mask.mean() < 0.11
        assert 0.25 < wide / tall < 4
        assert np.array_equal(seen[mask], np.broadcast_to(np.float32(colour), (mask.sum(), 3)))
        assert np.array_equal(seen[~mask], image[~mask])


# Colours


def as_torch(image):
    return torch.from_numpy(image).permute(2, 0, 1)


ADJUSTED = {
    "brightened": reference.adjust_brightness,
    "contrasted": reference.adjust_contrast,
    "saturated": reference.adjust_saturation,
    "hue_turned": lambda image, factor: reference.adjust_hue(image, factor - 1),
}


@pytest.mark.parametrize("factor", [0.6, 0.93, 1.0, 1.08, 1.4])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_change__agrees_with_torchvision(change, factor):
    image = picture(9, 13)
    expected = ADJUSTED[change.__name__](as_torch(image), factor).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(change(image, factor), expected, atol=2e-3)


def test_jittered__makes_each_change_once_in_any_order(monkeypatch):
    made = []
    fakes = tuple(lambda image, factor, k=k: (made.append((k, factor)), image)[1] for k in range(4))
    monkeypatch.setattr(jitter, "CHANGES", fakes)
    orders = set()
    for seed in range(200):
        made.clear()
        jittered(picture(2, 2), rng(seed), strength=0.1)
        assert sorted(k for k, _ in made) == [0, 1, 2, 3]
        assert all(0.9 <= factor <= 1.1 for _, factor in made)
        orders.add(tuple(k for k, _ in made))
    assert len(orders) == 24


# CutPaste


@pytest.fixture
def plain(monkeypatch):
    """Patches keep their colours."""
    monkeypatch.setattr(cutpaste_module, "jittered", lambda patch, rng, strength: patch)


def test_cutpaste__pastes_a_piece_of_the_image_itself(plain):
    places = np.indices((60, 90)).transpose(1, 2, 0).astype(np.float32) / 90
    image = np.concatenate([places, np.zeros_like(places[..., :1])], axis=2)
    for seed in range(20):
        seen, mask = CutPaste().draw(image, None, rng(seed))
        tall, wide, full = box(mask)
        assert full
        assert 0.018 < mask.mean() < 0.16
        piece = seen[mask].reshape(tall, wide, 3)
        assert np.array_equal(piece, image[_source(piece[0, 0], 90)][:tall, :wide])
        assert np.array_equal(seen[~mask], image[~mask])


def _source(pixel, scale):
    row, column = (round(float(value) * scale) for value in pixel[:2])
    return slice(row, None), slice(column, None)


def test_cutpaste__changes_colours_a_little():
    image = np.full((64, 64, 3), (0.6, 0.4, 0.3), np.float32)
    steps = []
    for seed in range(30):
        seen, mask = CutPaste().draw(image, None, rng(seed))
        steps.append(np.abs(seen[mask] - image[mask]).max())
    assert 0.005 < np.median(steps) < 0.12


def test_cutpaste__cuts_from_within_the_valid_mask(plain):
    image, valid = np.zeros((64, 64, 3), np.float32), np.zeros((64, 64), np.bool_)
    valid[:, 16:] = True
    image[valid] = 0.5  # what is outside must not be pasted
    assert all((CutPaste().draw(image, valid, rng(seed))[0][valid] == 0.5).all() for seed in range(30))


def test_tilted__by_nothing_is_the_patch_itself():
    patch = picture(10, 4)
    turned, covered = tilted(patch, 0.0)
    assert covered.all()
    np.testing.assert_allclose(turned, patch, atol=1e-6)


@pytest.mark.parametrize("degrees", [-45, -20, 7, 30, 45])
def test_tilted__keeps_the_area_and_leans_as_far(degrees):
    turned, covered = tilted(np.ones((60, 12, 3), np.float32), degrees)
    assert covered.sum() == pytest.approx(60 * 12, rel=0.03)
    assert (turned[covered] == 1).all()
    assert covered.any(axis=1)[1:-1].all()  # the canvas is no larger than it must be, but for rounding
    assert covered.any(axis=0)[1:-1].all()
    angle = cv2.minAreaRect(np.argwhere(covered)[:, ::-1].astype(np.float32))
    assert min(angle[1]) == pytest.approx(12, abs=2)
    rows, columns = np.nonzero(covered)
    slope = np.polyfit(rows, columns, 1)[0]  # columns to the right for each row down
    assert np.degrees(np.arctan(slope)) == pytest.approx(degrees, abs=6)


def test_scar__is_a_thin_strip_of_the_published_size():
    image, areas, tilts = picture(128, 128), [], 0
    for seed in range(100):
        seen, mask = CutPasteScar().draw(image, None, rng(seed))
        tall, wide, full = box(mask)
        areas.append(int(mask.sum()))
        tilts += not full
        assert max(tall, wide) <= np.hypot(25, 16) + 1
        assert tall >= 10 * np.cos(np.pi / 4) - 1
        assert np.array_equal(seen[~mask], image[~mask])
    assert 2 * 10 * 0.8 <= min(areas) < 80
    assert 250 < max(areas) <= 16 * 25 * 1.1
    assert tilts > 80
