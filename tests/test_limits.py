"""Where good ends, as functions of good scores: hand cases and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from leatherens.core.limits import area_limit, largest_region


def regions(marked: NDArray[np.bool_]) -> int:
    """The largest 8-connected region by scipy."""
    labels, count = ndimage.label(marked, structure=np.ones((3, 3)))
    return int(np.bincount(labels.ravel())[1:].max()) if count else 0


def by_trying(maps: list[NDArray[np.float64]], valid: list[NDArray[np.bool_] | None], area: int) -> float:
    """The lowest score above which no map has a larger region, trying all of them."""
    counts = [np.ones(m.shape, bool) if v is None else v for m, v in zip(maps, valid, strict=True)]
    scores = sorted({float(s) for m, v in zip(maps, counts, strict=True) for s in m[v]})
    if all(regions(v) <= area for v in counts):
        return scores[0]
    calm = (all(regions((m > t) & v) <= area for m, v in zip(maps, counts, strict=True)) for t in scores)
    return next(t for t, found in zip(scores, calm, strict=True) if found)


def test_area__of_two_adjacent_fives_and_a_nine_alone() -> None:
    scores = np.zeros((4, 5))
    scores[0, 0] = scores[0, 1] = 5
    scores[3, 4] = 9
    assert area_limit([scores], [None], 1) == 5
    assert area_limit([scores], [None], 2) == 0
    assert largest_region(scores > area_limit([scores], [None], 1)) == 1


def test_area__counts_diagonal_neighbours_as_one_region() -> None:
    assert area_limit([np.array([[3.0, 0], [0, 2]])], [None], 1) == 2


def test_area__neither_sees_nor_crosses_what_does_not_count() -> None:
    scores = np.array([[7.0, 9, 7]])
    assert area_limit([scores], [np.array([[True, False, True]])], 1) == 7  # in one piece nowhere: the lowest
    assert area_limit([scores], [None], 1) == 7
    assert area_limit([scores], [None], 2) == 7
    assert area_limit([np.array([[7.0, np.nan, 7, 6]])], [np.array([[True, False, True, True]])], 1) == 6


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.booleans())
def test_area__is_what_trying_every_score_finds(seed: int, area: int, holes: bool) -> None:
    random = np.random.default_rng(seed)
    maps = [random.integers(0, 9, size=(5, 6)).astype(float) for _ in range(3)]
    valid = [random.random((5, 6)) > 0.3 if holes else None for _ in maps]
    assert area_limit(maps, valid, area) == by_trying(maps, valid, area)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
def test_largest_region__is_scipys(share: float) -> None:
    marked = np.random.default_rng(3).random((40, 30)) < share
    assert largest_region(marked) == regions(marked)
