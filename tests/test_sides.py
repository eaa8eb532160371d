"""Sharing photographs out: against trying every way there is."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leatherens.core.cropping.sides import Sides, dealt, mixed_order

counts = st.lists(st.integers(0, 6), min_size=1, max_size=7)
wanted = st.integers(1, 15)


def every_way(counts) -> list[tuple[int, int]]:
    """Tiles to learn from and to test on, for all ways to share the groups out."""
    return [
        (
            sum(c for c, left in zip(counts, way, strict=True) if left),
            sum(c for c, left in zip(counts, way, strict=True) if not left),
        )
        for way in product([True, False], repeat=len(counts))
    ]


@settings(deadline=None)
@given(counts, wanted, wanted)
def test_enough__exactly_when_some_way_gives_both(counts, train, test):
    expected = any(learned >= train and tested >= test for learned, tested in every_way(counts))

    assert Sides(counts).enough(train, test) == expected


@settings(deadline=None)
@given(counts, wanted)
def test_to_learn__gives_enough_and_as_few_more_as_can_be(counts, train):
    sides = Sides(counts)
    least = min((learned for learned, _ in every_way(counts) if learned >= train), default=None)

    assert sides.least(train) == least
    if least is not None:
        chosen = sides.to_learn(train, sides.tiles, 1.0)  # nothing can be spared for variety
        assert chosen == sorted(set(chosen))
        assert sum(counts[index] for index in chosen) == least


@settings(deadline=None)
@given(counts, wanted, wanted)
def test_most__is_the_largest_share_that_can_be_had(counts, train, test):
    sides = Sides(counts)
    found = sides.most(train, test)
    totals = [
        total
        for total in range(1, train + test + 1)
        if sides.enough(round(total * train / (train + test)), total - round(total * train / (train + test)))
    ]

    assert sum(found) == max(totals, default=0)
    if sides.enough(train, test):
        assert found == (train, test)


def test_to_learn__early_groups_first():
    assert Sides([2, 2, 2, 2, 2]).to_learn(6, 1, 0) == [0, 1, 2]
    assert Sides([3, 3, 4, 2]).to_learn(5, 1, 0) == [0, 3]  # exactly five, though 3 and 3 come first


@settings(deadline=None)
@given(counts, wanted, wanted, st.floats(0, 1))
def test_to_learn__more_groups_for_variety(counts, train, test, share):
    sides = Sides(counts)
    if not sides.enough(train, test):
        return
    few, more = sides.to_learn(train, test, 0), sides.to_learn(train, test, share)

    assert set(few) <= set(more)
    assert all(counts[index] for index in set(more) - set(few))
    assert sides.tiles - sum(counts[index] for index in more) >= test
    wanted_groups = share * sum(count > 0 for count in counts)
    assert len(more) < max(wanted_groups, len(few)) + 1
    spare = sides.tiles - sum(counts[index] for index in more) - test
    if len(more) < wanted_groups:
        assert all(
            counts[index] > spare for index in range(len(counts)) if index not in more and counts[index]
        )


def test_mixed_order__spreads_every_kind():
    kinds = ["cut"] * 30 + ["hole"] * 10

    order = mixed_order(kinds, np.random.default_rng(0))

    assert sorted(order) == list(range(40))
    holes = [sum(kinds[index] == "hole" for index in order[start : start + 8]) for start in range(0, 40, 8)]
    assert holes == [2] * 5
    assert order != mixed_order(kinds, np.random.default_rng(1))


def test_dealt__one_of_each_in_turn():
    piles = [[(0, 0), (0, 8), (0, 16)], [], [(4, 4)], [(9, 9), (1, 1)]]

    assert dealt(piles, 5) == [(0, (0, 0)), (0, (0, 8)), (2, (4, 4)), (3, (1, 1)), (3, (9, 9))]
    assert dealt(piles, 2) == [(0, (0, 0)), (2, (4, 4))]
    assert len(dealt(piles, 99)) == 6
