"""Mutual nearest neighbours with a ratio test, against distances counted bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from leatherens.core.registration.key_points import BYTES, KeyPoints
from leatherens.core.registration.matches import matches


def points(descriptors: np.ndarray) -> KeyPoints:
    return KeyPoints(np.zeros((len(descriptors), 2)), descriptors.astype(np.uint8))


def random_points(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, BYTES), dtype=np.uint8)


def flipped(descriptors: np.ndarray, bits: int, seed: int) -> np.ndarray:
    """Each with so many bits changed."""
    rng = np.random.default_rng(seed)
    levels = np.unpackbits(descriptors, axis=1)
    for row in levels:
        row[rng.choice(256, bits, replace=False)] ^= 1
    return np.packbits(levels, axis=1)


def by_hand(first: np.ndarray, second: np.ndarray, ratio: float) -> list[list[int]]:
    """The definition, one pair after the other."""
    distances = np.array([[int(np.unpackbits(a ^ b).sum()) for b in second] for a in first])
    found = []
    for i in range(len(first)):
        j = int(distances[i].argmin())
        there, back = np.sort(distances[i]), np.sort(distances[:, j])
        nearest = int(distances[:, j].argmin()) == i
        if nearest and there[0] < ratio * there[1] and back[0] < ratio * back[1]:
            found.append([i, j])
    return found


@pytest.mark.parametrize("ratio", [0.7, 0.9, 1.0])
def test_matches__the_definition_pair_by_pair(ratio: float) -> None:
    first = random_points(60, 0)
    second = np.concatenate([flipped(first[20:], 70, 1), random_points(30, 2)])

    found = matches(points(first), points(second), ratio=ratio).tolist()

    assert found == by_hand(first, second, ratio)
    assert len(found) > 10


def test_matches__finds_who_is_who_among_strangers() -> None:
    known = random_points(40, 0)
    order = np.random.default_rng(3).permutation(40)
    others = np.concatenate([flipped(known, 20, 1)[order], random_points(100, 2)])

    found = matches(points(known), points(others), ratio=0.8)

    assert {tuple(pair) for pair in found.tolist()} == {(int(order[j]), j) for j in range(40)}


def test_matches__exchanging_the_pictures_exchanges_the_columns() -> None:
    first, second = random_points(50, 0), random_points(70, 1)
    there = matches(points(first), points(second), ratio=0.98)
    back = matches(points(second), points(first), ratio=0.98)

    assert len(there)
    assert sorted(there.tolist()) == sorted(back[:, ::-1].tolist())


def test_matches__a_point_that_comes_twice_is_nobodys() -> None:
    known = random_points(10, 0)
    twice = np.concatenate([known, known[:1]])

    assert 0 not in matches(points(known), points(twice), ratio=0.9)[:, 0]
    assert 0 not in matches(points(twice), points(known), ratio=0.9)[:, 1]


@pytest.mark.parametrize(("first", "second"), [(0, 5), (5, 0), (1, 5), (5, 1), (0, 0)])
def test_matches__without_a_second_nearest_none_is_clear(first: int, second: int) -> None:
    found = matches(points(random_points(first, 0)), points(random_points(second, 1)), ratio=0.9)

    assert found.shape == (0, 2)
