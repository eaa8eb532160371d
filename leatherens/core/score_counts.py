"""How many scores lie above any value: exact for any number of scores, in memory that does not grow with it.

The bits of a float32, read as a whole number and with the negative ones turned round, rise as the float32 do.
These keys are what is sorted, searched and counted: whole numbers take a quarter less time. They wait until
there are many, which is the quickest for most data sets: one sort answers all questions. Then keys that share
their upper 16 bits with many others are counted in a page of 2^16 counters, one for each number there is, and
forgotten; what is rare goes on waiting. float64 scores always wait, as they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
Keys = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.signedinteger[Any]]

ROOM = 1 << 27
"""Scores that wait at most before they are counted: 512 MiB, and as much again while they are sorted."""

DENSE = 1 << 15
"""Scores that a page must have to be worth its 512 KiB, four times what they take themselves."""

_PAGE = 1 << 16
_THREADS = min(8, os.cpu_count() or 1)
_WORTH_A_THREAD = 1 << 20
_NARROW = (np.float32, np.float16, np.uint8, np.int8, np.uint16, np.int16, np.bool_)
"""Types of which every value is a float32."""


class ScoreCounts:
    """A bag of scores without NaN; arrays of float64 that are added must not be changed afterwards.

    >>> counts = ScoreCounts([np.array([0.5, 0.25, 0.5], np.float32)])
    >>> counts.above(np.array([0.25, 0.5])).tolist(), counts.reached(np.array([0.25, 0.5])).tolist()
    ([2, 0], [3, 2])
    """

    def __init__(self, scores: Iterable[FloatArray] = (), *, room: int = ROOM) -> None:
        self.size = 0
        self._room = room
        self._keys: list[Keys] = []
        self._waiting = 0
        self._wide: list[FloatArray] = []
        self._sorted = True
        self._pages = _Pages()
        for some in scores:
            self.add(some)

    def add(self, scores: FloatArray) -> None:
        """More scores, of any shape."""
        flat = scores.ravel()
        if not flat.size:
            return
        self.size += flat.size
        self._sorted = False
        if flat.dtype not in _NARROW:
            self._wide.append(flat)
            return
        self._keys.append(_keys(flat))
        self._waiting += flat.size
        if self._waiting > self._room:
            self._count()

    def above(self, values: FloatArray) -> IntArray:
        """(T,) rising values to (T,): how many scores are greater."""
        return self._beyond(values, "right")

    def reached(self, values: FloatArray) -> IntArray:
        """(T,) rising values to (T,): how many scores are at least as great."""
        return self._beyond(values, "left")

    def _beyond(self, values: FloatArray, side: Literal["left", "right"]) -> IntArray:
        self._sort()
        keys = _keys(_rounded(values, down=side == "right"))
        found: IntArray = self._pages.beyond(keys, side)
        for passed in _mapped(lambda run: run.size - np.searchsorted(run, keys, side), self._keys):
            found = found + passed
        for run in self._wide:
            found = found + (run.size - np.searchsorted(run, values, side))
        return found

    def _sort(self) -> None:
        """Leave a few rising runs, each sorted by a thread of its own."""
        if not self._sorted:
            threads = _THREADS if self._waiting >= _WORTH_A_THREAD else 1
            groups = [self._keys[i::threads] for i in range(threads)]
            self._keys = _mapped(_joined, [group for group in groups if group])
            self._wide = [_joined(self._wide)] if self._wide else []
            self._sorted = True

    def _count(self) -> None:
        """Count what is dense; where most is rare, give it more room, so that it is not sifted in vain."""
        self._pages.make(self._keys)
        self._keys = [rest for run in self._keys for rest in [self._pages.take(run)] if rest.size]
        self._waiting = sum(run.size for run in self._keys)
        self._room = max(self._room, 2 * self._waiting)


class _Pages:
    """Counters for every key in some pages; a page is the keys that share their upper 16 bits."""

    def __init__(self) -> None:
        self.counters: dict[int, npt.NDArray[np.int64]] = {}  # by page, -2^15 to 2^15 - 1: (2^16,)

    def make(self, runs: Sequence[Keys]) -> None:
        """Pages for what these keys have many of."""
        population = np.zeros(_PAGE, np.int64)
        for run in runs:
            population += np.bincount((run >> 16) + _PAGE // 2, minlength=_PAGE)
        for place in np.flatnonzero(population >= DENSE).tolist():
            self.counters.setdefault(place - _PAGE // 2, np.zeros(_PAGE, np.int64))

    def take(self, run: Keys) -> Keys:
        """Count the keys that have a page; returns the others."""
        rising = np.sort(run)
        starts = np.flatnonzero(np.concatenate([[True], rising[1:] != rising[:-1]]))
        distinct, times = rising[starts], np.diff(starts, append=rising.size)
        first = np.array(list(self.counters), np.int32) << 16
        edges = np.searchsorted(distinct, first), np.searchsorted(distinct, first | 0xFFFF, "right")
        kept = np.ones(distinct.size, bool)
        for counter, start, stop in zip(self.counters.values(), *edges, strict=True):
            counter[distinct[start:stop] & 0xFFFF] += times[start:stop]
            kept[start:stop] = False
        rest: Keys = rising[np.repeat(kept, times)]
        return rest

    def beyond(self, keys: Keys, side: Literal["left", "right"]) -> IntArray:
        """(T,) rising keys to (T,): how many counted ones are greater, or for "left" at least as great."""
        wanted = keys.astype(np.int64) + (side == "right")
        found = np.zeros(keys.size, np.int64)
        for page, counter in self.counters.items():
            first, last = np.searchsorted(wanted, [page << 16, (page + 1) << 16])
            within = np.cumsum(counter[::-1])[::-1]  # (2^16,)
            found[:first] += within[0]
            found[first:last] += within[wanted[first:last] & 0xFFFF]
        return found


def _keys(values: FloatArray) -> Keys:
    """Whole numbers that rise as the float32 do; both zeros have one."""
    keys: Keys = (values.astype(np.float32, copy=False) + np.float32(0)).view(np.int32)
    turned = keys >> 31
    turned &= 0x7FFFFFFF
    keys ^= turned
    return keys


def _rounded(values: FloatArray, *, down: bool) -> npt.NDArray[np.float32]:
    """The nearest float32 that is not greater, or not less."""
    near = values.astype(np.float32)
    beyond = near > values if down else near < values
    return np.where(beyond, np.nextafter(near, np.float32(-np.inf if down else np.inf)), near)


def _joined(runs: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    whole = np.concatenate(runs)
    whole.sort()
    return whole


def _mapped(function: Any, items: Sequence[Any]) -> list[Any]:
    """`map`, with a thread for each of several items; numpy sorts and searches without the lock."""
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(len(items)) as threads:
        return list(threads.map(function, items))
