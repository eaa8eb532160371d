"""How many scores lie above any value: exact for any number of scores, in memory that does not grow with it.

A float32 is its own key in an exact histogram, as there are 2^32 of them and a data set uses a few octaves.
Scores wait as they came until there are many, which is the quickest for most data sets: one sort answers all
questions. Then those that share their upper 16 bits with many others are counted in a page of 2^16 counters,
one for each number there is, and forgotten. What is rare goes on waiting. float64 scores always wait.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
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
        self._waiting: list[FloatArray] = []
        self._wide: list[FloatArray] = []
        self._unsorted = 0
        self._sorted: list[FloatArray] = []
        self._pages = _Pages()
        for some in scores:
            self.add(some)

    def add(self, scores: FloatArray) -> None:
        """More scores, of any shape."""
        flat = scores.ravel()
        if not flat.size:
            return
        self.size += flat.size
        self._sorted = []
        if flat.dtype not in _NARROW:
            self._wide.append(flat)
            return
        self._waiting.append(flat.astype(np.float32, copy=False))
        self._unsorted += flat.size
        if self._unsorted > self._room:
            self._count()

    def above(self, values: FloatArray) -> IntArray:
        """(T,) rising values to (T,): how many scores are greater."""
        runs = self._sorted_runs()
        passed = _mapped(lambda run: run.size - np.searchsorted(run, values, side="right"), runs)
        return sum(passed, start=self._pages.above(_rounded(values, down=True)))

    def reached(self, values: FloatArray) -> IntArray:
        """(T,) rising values to (T,): how many scores are at least as great."""
        runs = self._sorted_runs()
        passed = _mapped(lambda run: run.size - np.searchsorted(run, values, side="left"), runs)
        return sum(passed, start=self._pages.reached(_rounded(values, down=False)))

    def _sorted_runs(self) -> list[FloatArray]:
        """What waits, as a few rising runs, each sorted by a thread of its own."""
        if not self._sorted:
            threads = _THREADS if self._unsorted >= _WORTH_A_THREAD else 1
            groups = [self._waiting[i::threads] for i in range(threads)]
            self._waiting = _mapped(_joined, [group for group in groups if group])
            self._wide = _mapped(_joined, [self._wide] if self._wide else [])
            self._sorted = self._waiting + self._wide
        return self._sorted

    def _count(self) -> None:
        """Count what is dense; where most is rare, give it more room, so that it is not sifted in vain."""
        self._pages.make(self._waiting)
        self._waiting = [rest for run in self._waiting for rest in [self._pages.take(run)] if rest.size]
        self._unsorted = sum(run.size for run in self._waiting)
        self._room = max(self._room, 2 * self._unsorted)


class _Pages:
    """Counters for every float32 in some pages; a page is the float32 that share their upper 16 bits."""

    def __init__(self) -> None:
        self.counters: dict[int, npt.NDArray[np.int64]] = {}  # by page (2^16,); pages rise with the numbers

    def make(self, runs: Sequence[FloatArray]) -> None:
        """Pages for what these scores have many of."""
        population = np.zeros(_PAGE, np.int64)
        for run in runs:
            population += np.bincount(_keys(run) >> 16, minlength=_PAGE)
        for page in np.flatnonzero(population >= DENSE).tolist():
            self.counters.setdefault(page, np.zeros(_PAGE, np.int64))

    def take(self, run: FloatArray) -> FloatArray:
        """Count the scores that have a page; returns the others."""
        rising = np.sort(run)
        keys = _keys(rising)  # rising, too
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        distinct, times = keys[starts], np.diff(starts, append=keys.size)
        edges = np.searchsorted(distinct, np.arange(_PAGE + 1, dtype=np.uint64) << 16)
        kept = np.ones(distinct.size, bool)
        for page, counter in self.counters.items():
            here = slice(edges[page], edges[page + 1])
            counter[distinct[here] & 0xFFFF] += times[here]
            kept[here] = False
        rest: FloatArray = rising[np.repeat(kept, times)]
        return rest

    def above(self, values: npt.NDArray[np.float32]) -> IntArray:
        """(T,) rising to (T,): how many of the counted scores are greater."""
        return self._beyond(_keys(values).astype(np.int64) + 1)

    def reached(self, values: npt.NDArray[np.float32]) -> IntArray:
        """(T,) rising to (T,): how many of the counted scores are at least as great."""
        return self._beyond(_keys(values).astype(np.int64))

    def _beyond(self, keys: npt.NDArray[np.int64]) -> IntArray:
        """(T,) rising keys to (T,): how many counted scores have such a key or a greater one."""
        found = np.zeros(keys.size, np.int64)
        for page, counter in self.counters.items():
            first, last = np.searchsorted(keys, [page << 16, (page + 1) << 16])
            within = np.cumsum(counter[::-1])[::-1]  # (2^16,)
            found[:first] += within[0]
            found[first:last] += within[keys[first:last] & 0xFFFF]
        return found


def _keys(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Whole numbers that rise as the float32 do; both zeros have one."""
    bits = (np.ascontiguousarray(values) + np.float32(0)).view(np.uint32)
    negative = bits >> 31 == 1
    keys: npt.NDArray[np.uint32] = np.where(negative, ~bits, bits | np.uint32(1 << 31))
    return keys


def _rounded(values: FloatArray, *, down: bool) -> npt.NDArray[np.float32]:
    """The nearest float32 that is not greater, or not less."""
    near = values.astype(np.float32)
    beyond = near > values if down else near < values
    return np.where(beyond, np.nextafter(near, np.float32(-np.inf if down else np.inf)), near)


def _joined(runs: Sequence[FloatArray]) -> FloatArray:
    whole = np.concatenate(runs)
    whole.sort()
    return whole


def _mapped(function: Any, items: Sequence[Any]) -> list[Any]:
    """`map`, with a thread for each of several items; numpy sorts and searches without the lock."""
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(len(items)) as threads:
        return list(threads.map(function, items))
