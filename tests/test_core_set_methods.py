"""Every way to choose a core set keeps one contract, and covers as well as it says."""

from __future__ import annotations

import random
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from leatherens.core import core_set
from leatherens.core.core_set import covering_radius, greedy_core_set
from leatherens.core.core_set_methods import METHODS, SLACK, CoreSetMethod, chosen_rows
from leatherens.core.randomness import numpy_generator


def rows_of(count: int, channels: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(seed))


def chosen(rows: Tensor, count: int, method: CoreSetMethod, seed: int = 0) -> Tensor:
    return chosen_rows(rows, count, numpy_generator(seed, "test"), method=method)


def test_the_methods_are_those_that_can_be_named() -> None:
    assert set(METHODS) == set(get_args(CoreSetMethod))


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_gives_different_rows_and_no_more_than_asked(self, method: CoreSetMethod) -> None:
        found = chosen(rows_of(400), 40, method).tolist()

        assert len(set(found)) == len(found) <= 40
        assert len(found) >= 35
        assert min(found) >= 0
        assert max(found) < 400

    def test_takes_all_rows_when_asked_for_more(self, method: CoreSetMethod) -> None:
        assert len(chosen(rows_of(12), 50, method)) <= 12

    def test_same_seed_same_rows_and_global_generators_unmoved(self, method: CoreSetMethod) -> None:
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        one, same, other = (chosen(rows_of(300), 20, method, seed) for seed in (3, 3, 4))

        assert torch.equal(one, same)
        assert not torch.equal(one, other)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.array_equal(np.random.get_state()[1], before[1])
        assert random.getstate() == before[2]

    def test_one_row_and_rows_that_coincide(self, method: CoreSetMethod) -> None:
        assert chosen(torch.ones(1, 3), 1, method).tolist() == [0]
        assert 1 <= len(chosen(torch.ones(30, 3), 5, method)) <= 5

    def test_tells_how_many_it_took(self, method: CoreSetMethod) -> None:
        told: list[int] = []
        chosen_rows(rows_of(200), 20, numpy_generator(0, "test"), method=method, advance=told.append)

        assert sum(told) == 20


def test_k_means__finds_one_row_near_each_of_far_clusters() -> None:
    centres = torch.arange(6.0)[:, None] * 100
    rows = (centres[:, None] + rows_of(6 * 50, 1).view(6, 50, 1)).view(-1, 1)
    found = chosen(rows, 60, "k-means")

    assert set((rows[found] / 100).round().flatten().tolist()) == set(range(6))


def test_greedy__covers_better_than_chance() -> None:
    rows = rows_of(2000)
    radii = {method: covering_radius(rows, chosen(rows, 100, method)) for method in METHODS}

    assert radii["greedy"] <= radii["batched"] <= 1.3 * radii["greedy"] < radii["random"]


def test_slack__each_row_is_at_least_that_share_as_far_as_the_farthest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With few candidates the exact order would need more passes; the promise holds for every pick."""
    monkeypatch.setattr(core_set, "CANDIDATES", 40)
    rows = rows_of(500, 3)
    taken = greedy_core_set(rows, 120, start=5, slack=SLACK).tolist()
    distances = cdist(rows.double().numpy(), rows.double().numpy())

    for i in range(1, len(taken)):
        nearest = distances[:, taken[:i]].min(axis=1)
        assert nearest[taken[i]] >= SLACK * nearest.max() - 1e-5
    assert taken != greedy_core_set(rows, 120, start=5).tolist()


def test_slack__needs_fewer_passes_over_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    update = core_set._bring_up_to_date
    monkeypatch.setattr(core_set, "CANDIDATES", 40)
    monkeypatch.setattr(
        core_set, "_bring_up_to_date", lambda *args: (passes.append(len(args[4])), update(*args))
    )
    counts = []
    for slack in (1.0, SLACK):
        passes.clear()
        greedy_core_set(rows_of(500, 3), 120, slack=slack)
        counts.append(len(passes))

    assert counts[1] < counts[0]


@pytest.mark.parametrize("count", [1, 7, 200])
def test_covering_radius__is_the_largest_distance_to_the_nearest_chosen(count: int) -> None:
    rows = rows_of(200, 5)
    taken = torch.randperm(200, generator=torch.Generator().manual_seed(1))[:count]
    expected = cdist(rows.double().numpy(), rows[taken].double().numpy()).min(axis=1).max()

    assert covering_radius(rows, taken) == pytest.approx(expected, abs=1e-5)
