"""Counts of scores against plain comparison, whether they wait or lie in pages."""

from __future__ import annotations

import numpy as np
import pytest

from leatherens.core import score_counts
from leatherens.core.score_counts import ScoreCounts

TINY = np.finfo(np.float32).tiny


def awkward(rng: np.random.Generator, size: int) -> np.ndarray:
    """float32 of both signs with ties, both zeros, infinities, denormals and numbers next to each other."""
    plain = rng.normal(size=size).astype(np.float32)
    steps = (rng.integers(-3, 4, size) / 4).astype(np.float32)
    special = np.array([0.0, -0.0, np.inf, -np.inf, TINY, -TINY, TINY / 8, -TINY / 8], np.float32)
    close = np.nextafter(steps, np.float32(9))
    return np.concatenate([plain, steps, close, rng.choice(special, size)])


def by_comparison(scores: np.ndarray, values: np.ndarray) -> tuple[list[int], list[int]]:
    return [int((scores > v).sum()) for v in values], [int((scores >= v).sum()) for v in values]


@pytest.mark.parametrize(("room", "dense"), [(1 << 30, 1), (100, 1), (100, 30), (100, 10**9)])
def test_counts__agree_with_comparison(monkeypatch, room, dense):
    """All wait; all lie in pages; some of each; all are too rare for pages."""
    monkeypatch.setattr(score_counts, "DENSE", dense)
    rng = np.random.default_rng(0)
    parts = [awkward(rng, 40) for _ in range(9)]
    counts = ScoreCounts(parts, room=room)
    values = np.unique(np.concatenate([awkward(rng, 30), parts[3][:20], np.float32([-9, 9])]))

    above, reached = by_comparison(np.concatenate(parts), values)
    assert counts.size == sum(part.size for part in parts)
    assert counts.above(values).tolist() == above
    assert counts.reached(values).tolist() == reached


def test_counts__go_on_after_they_were_asked():
    rng = np.random.default_rng(1)
    first, second, values = (np.unique(rng.normal(size=50).astype(np.float32)) for _ in range(3))
    counts = ScoreCounts([first])
    counts.above(values)
    counts.add(second)
    assert counts.above(values).tolist() == by_comparison(np.concatenate([first, second]), values)[0]


@pytest.mark.parametrize("room", [1 << 30, 10])
def test_counts__of_all_types_together(monkeypatch, room):
    """A float64 between two float32 stays between them, in the scores and in what is asked."""
    monkeypatch.setattr(score_counts, "DENSE", 1)
    low = np.float32(0.1)
    between = np.array([(np.float64(low) + np.float64(np.nextafter(low, np.float32(1)))) / 2])
    narrow = np.repeat(np.array([low, np.nextafter(low, np.float32(1))], np.float32), 8)
    counts = ScoreCounts([narrow, between, np.arange(3, dtype=np.uint8), np.float16([0.1])], room=room)
    whole = np.concatenate(
        [narrow.astype(np.float64), between, np.arange(3.0), np.float64(np.float16([0.1]))]
    )
    values = np.sort(np.concatenate([between, [0.1, 1.0], narrow[[0, -1]].astype(np.float64)]))
    above, reached = by_comparison(whole, values)
    assert counts.above(values).tolist() == above
    assert counts.reached(values).tolist() == reached


def test_counts__of_nothing():
    assert ScoreCounts().above(np.array([0.5])).tolist() == [0]
    assert ScoreCounts([np.empty((0, 3), np.float32)]).size == 0


def test_pages__take_no_more_memory_for_more_scores(monkeypatch):
    """A hundred times the room of whole numbers leaves nothing waiting."""
    monkeypatch.setattr(score_counts, "DENSE", 100)
    rng = np.random.default_rng(2)
    counts = ScoreCounts((rng.integers(1, 9, 1000).astype(np.float32) for _ in range(100)), room=1000)
    assert counts._waiting <= 1000
    assert sum(counter.sum() for counter in counts._pages.counters.values()) >= 99_000
