"""Which photographs give the tiles to learn from and which those to test on: never one for both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np


class Sides:
    """The ways to share out groups of photographs that give so many tiles each, in an order of preference.

    All sums of tiles that some of the groups give are known, as bits of one number for every prefix.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = tuple(counts)
        self._sums = [1]
        for count in counts:
            self._sums.append(self._sums[-1] | self._sums[-1] << count)

    @property
    def tiles(self) -> int:
        """The tiles of all groups."""
        return sum(self.counts)

    def least(self, wanted: int) -> int | None:
        """The smallest number of tiles, at least `wanted`, that some of the groups give together."""
        enough = self._sums[-1] >> wanted
        return wanted + (enough & -enough).bit_length() - 1 if enough else None

    def enough(self, train: int, test: int) -> bool:
        """Whether some groups give `train` tiles and the others `test`."""
        least = self.least(train)
        return least is not None and self.tiles - least >= test

    def to_learn(self, train: int, test: int, share: float) -> list[int]:
        """The groups to learn from, where there is `enough`; the others are to test on.

        Those that give `train` tiles and as few more as can be, and after them the earliest others, up to a
        share of all groups that give any, as long as `test` tiles are left.
        """
        chosen = self._fewest(train)
        left = self.tiles - sum(self.counts[index] for index in chosen)
        giving = [index for index, count in enumerate(self.counts) if count]
        for index in giving:
            if (
                index not in chosen
                and len(chosen) < share * len(giving)
                and left - self.counts[index] >= test
            ):
                chosen.append(index)
                left -= self.counts[index]
        return sorted(chosen)

    def _fewest(self, train: int) -> list[int]:
        left = self.least(train)
        assert left is not None, "asked whether there is enough"
        chosen = []
        for index in reversed(range(len(self.counts))):
            if not self._sums[index] >> left & 1:
                chosen.append(index)
                left -= self.counts[index]
        return chosen

    def most(self, train: int, test: int) -> tuple[int, int]:
        """The largest numbers in the proportion of `train` to `test` that the groups give."""
        for total in range(min(self.tiles, train + test), 0, -1):
            share = round(total * train / (train + test))
            if self.enough(share, total - share):
                return share, total - share
        return 0, 0


def mixed_order(kinds: Sequence[str], rng: np.random.Generator) -> list[int]:
    """The positions of `kinds` in random order, with every kind spread evenly over it."""
    order = rng.permutation(len(kinds))
    places: dict[int, float] = {}
    for kind in sorted(set(kinds)):
        own = [int(index) for index in order if kinds[index] == kind]
        shift = rng.random()
        places |= {index: (rank + shift) / len(own) for rank, index in enumerate(own)}
    return sorted(places, key=lambda index: (places[index], index))


def dealt(piles: Sequence[Sequence[tuple[int, int]]], count: int) -> list[tuple[int, tuple[int, int]]]:
    """The first `count` tiles, one of each pile in turn, each with its pile's position; sorted."""
    rounds = zip_longest(*piles)
    turns = [(pile, tile) for turn in rounds for pile, tile in enumerate(turn) if tile is not None]
    return sorted(turns[:count])
