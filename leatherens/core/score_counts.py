"""How many scores lie above any value: exact for any number of scores, in memory that does not grow with it.

Scores wait as they came until there are many, which is the quickest for most data sets: one sort answers all
questions. Then they are counted by key. The bits of a float32, read as a whole number and with the negative
ones turned round, rise as the float32 do; keys that share their upper 16 bits with many others are counted in
a page of 2^16 counters, one for each number there is, and forgotten. What is rare goes on waiting, and so do
float64 scores.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
    """A bag of scores without NaN; arrays that are added must not be changed afterwards.

    >>> counts = ScoreCounts([np.array([0.5, 0.25, 0.5], np.float32)])
    >>> counts.above(np.array([0.25, 0.5])).tolist(), counts.reached(np.array([0.25, 0.5])).tolist()
    ([2, 0], [3, 2])
    """

    def __init__(self, scores: Iterable[FloatArray] = (), *, room: int = ROOM) -> None:
        self.size = 0
        self._room = room
        self._runs: list[FloatArray] = []
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
        self._runs.append(flat.astype(np.float32, copy=False))
        self._waiting += flat.size
        if self._waiting > self._room:
            self._count()

    def above(self, values: FloatArray) -> IntArray:
        """(T,) rising values to (T,): how many scores are greater."""
        return self.around(values)[0]

    def reached(self, values: FloatArray) -> IntArray:
        """(T,) rising values to (T,): how many scores are at least as great."""
        return self.around(values)[1]

    def around(self, values: FloatArray) -> tuple[IntArray, IntArray]:
        """`above` and `reached`, in hardly more time than one of them."""
        self._sort()
        above, reached = self._pages.around(values)
        for run_above, run_reached in _mapped(lambda run: _around(run, values), [*self._runs, *self._wide]):
            above, reached = above + run_above, reached + run_reached
        return above, reached

    def _sort(self) -> None:
        """Leave a few rising runs, each sorted by a thread of its own."""
        if not self._sorted:
            threads = _THREADS if self._waiting >= _WORTH_A_THREAD else 1
            groups = [self._runs[i::threads] for i in range(threads)]
            self._runs = _mapped(_joined, [group for group in groups if group])
            self._wide = [_joined(self._wide)] if self._wide else []
            self._sorted = True

    def _count(self) -> None:
        """Count what is dense; where most is rare, give it more room, so that it is not sifted in vain."""
        self._pages.make(self._runs)
        self._runs = [rest for run in self._runs for rest in [self._pages.take(run)] if rest.size]
        self._waiting = sum(run.size for run in self._runs)
        self._room = max(self._room, 2 * self._waiting)


class _Pages:
    """Counters for every key in some pages; a page is the keys that share their upper 16 bits."""

    def __init__(self) -> None:
        self.counters: dict[int, npt.NDArray[np.int64]] = {}  # by page, -2^15 to 2^15 - 1: (2^16,)

    def make(self, runs: Sequence[FloatArray]) -> None:
        """Pages for what these scores have many of."""
        population = np.zeros(_PAGE, np.int64)
        for run in runs:
            population += np.bincount((_keys(run) >> 16) + _PAGE // 2, minlength=_PAGE)
        for place in np.flatnonzero(population >= DENSE).tolist():
            self.counters.setdefault(place - _PAGE // 2, np.zeros(_PAGE, np.int64))

    def take(self, run: FloatArray) -> FloatArray:
        """Count the scores that have a page; returns the others."""
        rising = np.sort(run)
        keys = _keys(rising)
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        distinct, times = keys[starts], np.diff(starts, append=keys.size)
        first = np.array(list(self.counters), np.int32) << 16
        edges = np.searchsorted(distinct, first), np.searchsorted(distinct, first | 0xFFFF, "right")
        kept = np.ones(distinct.size, bool)
        for counter, start, stop in zip(self.counters.values(), *edges, strict=True):
            counter[distinct[start:stop] & 0xFFFF] += times[start:stop]
            kept[start:stop] = False
        rest: FloatArray = rising[np.repeat(kept, times)]
        return rest

    def around(self, values: FloatArray) -> tuple[IntArray, IntArray]:
        """(T,) rising values to how many counted scores are greater, and how many at least as great."""
        if not self.counters:
            return np.zeros(values.size, np.int64), np.zeros(values.size, np.int64)
        lower, upper = (_keys(_rounded(values, down=down)).astype(np.int64) for down in (True, False))
        return self._from(lower + 1), self._from(upper)

    def _from(self, keys: npt.NDArray[np.int64]) -> IntArray:
        """(T,) rising keys to (T,): how many counted scores have such a key or a greater one."""
        found = np.zeros(keys.size, np.int64)
        for page, counter in self.counters.items():
            first, last = np.searchsorted(keys, [page << 16, (page + 1) << 16])
            within = np.cumsum(counter[::-1])[::-1]  # (2^16,)
            found[:first] += within[0]
            found[first:last] += within[keys[first:last] & 0xFFFF]
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


def _around(run: FloatArray, values: FloatArray) -> tuple[IntArray, IntArray]:
    """How many of a rising run are greater than each of (T,) rising values, and how many no less."""
    passed = np.searchsorted(run, values, "right")
    tied = run[np.maximum(passed, 1) - 1] == values  # only there the two differ
    before = passed.copy()
    before[tied] = np.searchsorted(run, values[tied], "left")
    return run.size - passed, run.size - before


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
