"""Where tiles fit, against a look at every pixel of every place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leatherens.core.cropping.tiles import SMALLEST_SHARE, Cut, clean_places, defect_places, packed

sizes = st.tuples(st.integers(2, 6), st.integers(2, 6))
cuts = st.builds(Cut, size=sizes, margin=st.integers(0, 4), overlap=st.sampled_from([0.0, 0.2, 0.5, 0.9]))
masks = arrays(
    np.bool_,
    st.tuples(st.integers(1, 16), st.integers(1, 16)),
    elements=st.sampled_from([False] * 19 + [True]),
)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def nearest(mask: np.ndarray, y: int, x: int, size: tuple[int, int]) -> float:
    """The distance from a tile to the nearest marked pixel: the larger of across and down."""
    distances = [
        max(y - row, row - (y + size[0] - 1), 0, x - column, column - (x + size[1] - 1), 0)
        for row, column in np.argwhere(mask)
    ]
    return min(distances, default=np.inf)


def shared(one: tuple[int, int], other: tuple[int, int], size: tuple[int, int]) -> float:
    """The share of a tile that lies in another."""
    down, across = (max(side - abs(a - b), 0) for side, a, b in zip(size, one, other, strict=True))
    return down * across / (size[0] * size[1])


def most_shared(places, size) -> float:
    return max((shared(a, b, size) for i, a in enumerate(places) for b in places[:i]), default=0.0)


@settings(deadline=None)
@given(masks, cuts)
def test_clean_places__are_those_that_keep_the_margin(mask, cut):
    free = clean_places(mask, cut)

    height, width = (max(side - own + 1, 0) for side, own in zip(mask.shape, cut.size, strict=True))
    assert free.shape == (height, width)
    for y, x in np.ndindex(height, width):
        distance = nearest(mask, y, x, cut.size)
        assert free[y, x] == (distance > cut.margin)


@settings(deadline=None)
@given(masks, cuts, st.integers(0, 3))
def test_packed__keeps_margin_and_overlap_and_leaves_no_room(mask, cut, seed):
    free = clean_places(mask, cut)

    places = packed(free, cut, generator(seed))

    assert len(set(places)) == len(places)
    assert all(nearest(mask, y, x, cut.size) > cut.margin for y, x in places)
    assert most_shared(places, cut.size) <= cut.overlap
    left = [
        (y, x)
        for y, x in np.argwhere(free)
        if all(shared((y, x), p, cut.size) <= cut.overlap for p in places)
    ]
    assert left == []


def test_packed__is_dense():
    cut = Cut((8, 8))

    assert len(packed(np.ones((57, 25), dtype=bool), cut, generator())) == 8 * 4


def test_packed__finds_the_way_that_gives_most():
    """A corner cut off at the top left: from there every line begins late, from below none does."""
    blocked = np.zeros((20, 20), dtype=bool)
    blocked[0, 0] = True
    cut = Cut((10, 10))

    ways = {len(packed(clean_places(blocked, cut), cut, generator(seed))) for seed in range(5)}

    assert ways == {3}


def test_packed__chooses_among_equals_by_the_generator():
    free = np.ones((15, 15), dtype=bool)  # tiles of 8 in 22 x 22: room for 4, in many ways
    found = [packed(free, Cut((8, 8)), generator(seed)) for seed in (1, 1, 2, 3, 4)]

    assert found[0] == found[1]
    assert len({tuple(sorted(places)) for places in found}) > 1


@settings(deadline=None)
@given(masks, cuts, st.integers(0, 3))
def test_defect_places__show_defects_and_nothing_forbidden(mask, cut, seed):
    forbidden = np.zeros_like(mask)
    forbidden[: mask.shape[0] // 3] = mask[: mask.shape[0] // 3]

    places = defect_places(mask, forbidden, cut, generator(seed))

    height, width = cut.size
    windows = [(slice(y, y + height), slice(x, x + width)) for y, x in places]
    assert not any(forbidden[window].any() for window in windows)
    assert most_shared(places, cut.size) <= cut.overlap
    unseen, new = mask.copy(), []
    for window in windows:
        new.append(int(unseen[window].sum()))
        unseen[window] = False
    assert new == sorted(new, reverse=True)
    possible = [
        int(mask[y : y + height, x : x + width].sum())
        for y, x in np.argwhere(clean_places(forbidden, Cut(cut.size)))
    ]
    assert new[:1] == ([max(possible)] if max(possible, default=0) else [])
    assert all(count >= SMALLEST_SHARE * new[0] for count in new)


def test_defect_places__a_long_scratch_takes_several_tiles():
    mask = np.zeros((40, 40), dtype=bool)
    mask[20] = True

    places = defect_places(mask, np.zeros_like(mask), Cut((12, 12)), generator())

    assert len(places) >= 2
    assert all(y <= 20 < y + 12 for y, _ in places)


def test_defect_places__a_small_defect_lies_anywhere_in_its_tile():
    mask = np.zeros((40, 40), dtype=bool)
    mask[20, 20] = True

    places = {defect_places(mask, np.zeros_like(mask), Cut((9, 9)), generator(seed))[0] for seed in range(30)}

    assert len(places) > 15
    assert all(y <= 20 < y + 9 and x <= 20 < x + 9 for y, x in places)


@pytest.mark.parametrize("size", [(9, 3), (3, 9)])
def test_tile_larger_than_the_photograph(size):
    mask = np.zeros((8, 8), dtype=bool)
    cut = Cut(size)

    assert clean_places(mask, cut).size == 0
    assert packed(clean_places(mask, cut), cut, generator()) == []
    assert defect_places(~mask, mask, cut, generator()) == []
