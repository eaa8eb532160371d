"""Neighbour search against brute force, the greedy core set against its definition, the paper's weight."""

import importlib.util
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leatherens.core import core_set, neighbours
from leatherens.core.core_set import greedy_core_set, projected
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.neighbours import NeighbourSearch, reweighted

needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="faiss is not installed")
SEARCHES = [False, pytest.param(True, marks=needs_faiss)]


def _rows(count, channels=8, seed=0, offset=0.0):
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(seed)) + offset


@pytest.mark.parametrize("faiss", SEARCHES)
@pytest.mark.parametrize("count", [1, 4])
def test_search__agrees_with_brute_force_up_to_ties(faiss, count):
    queries, bank = _rows(300), _rows(700, seed=1)
    found = NeighbourSearch(bank, faiss=faiss).nearest(queries, count)

    every = (queries[:, None].double() - bank.double()).norm(dim=2)  # (300, 700)
    expected = every.sort(dim=1).values[:, :count]
    torch.testing.assert_close(found.distances.double(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(every.gather(1, found.indices), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("faiss", SEARCHES)
def test_search__a_row_of_the_bank_is_at_distance_zero(faiss):
    """The expansion a² + b² - 2ab would put rows this far from the origin at about 0.3 of themselves."""
    bank = _rows(500, offset=100.0)

    assert float(NeighbourSearch(bank, faiss=faiss).nearest(bank).distances.max()) == 0


@pytest.mark.parametrize("faiss", SEARCHES)
def test_search__hand_case_is_not_squared(faiss):
    found = NeighbourSearch(torch.tensor([[0.0], [10.0]]), faiss=faiss).nearest(torch.tensor([[4.0]]))

    assert found.distances.tolist() == [[4.0]]
    assert found.indices.tolist() == [[0]]


@pytest.mark.parametrize("faiss", SEARCHES)
def test_search__order_of_the_bank_does_not_matter(faiss):
    queries, bank = _rows(50), _rows(200, seed=1)

    turned = NeighbourSearch(bank.flip(0), faiss=faiss).nearest(queries, 3).distances
    torch.testing.assert_close(NeighbourSearch(bank, faiss=faiss).nearest(queries, 3).distances, turned)


def test_search__in_blocks_is_the_same(monkeypatch):
    queries, bank = _rows(50), _rows(40, seed=1)
    whole = NeighbourSearch(bank, faiss=False).nearest(queries, 2)
    monkeypatch.setattr(neighbours, "BLOCK", 90)  # two queries at a time

    assert torch.equal(NeighbourSearch(bank, faiss=False).nearest(queries, 2).indices, whole.indices)


def test_search__no_queries():
    assert NeighbourSearch(_rows(5), faiss=False).nearest(_rows(0), 2).distances.shape == (0, 2)


def test_search__more_neighbours_than_rows():
    with pytest.raises(InputError) as caught:
        NeighbourSearch(_rows(3), faiss=False).nearest(_rows(1), 4)

    assert str(caught.value) == "4 nearest neighbours asked of a bank of 3 rows"


def test_search__large_bank_without_faiss(monkeypatch):
    monkeypatch.setattr(neighbours, "faiss_installed", lambda: False)
    assert NeighbourSearch(_rows(50_000, channels=1)).nearest(_rows(1, channels=1)).indices.shape == (1, 1)

    with pytest.raises(ConfigError) as caught:
        NeighbourSearch(torch.zeros(50_001, 1))
    assert str(caught.value) == (
        "a bank of 50001 rows needs FAISS (at most 50000 do without): "
        "pip install 'leatherens[cpu]' or set a smaller max_rows"
    )


@needs_faiss
def test_faiss__leaves_the_thread_counts_alone():
    code = (
        "import torch; torch.set_num_threads(1); from leatherens.core.neighbours import NeighbourSearch;"
        "search = NeighbourSearch(torch.eye(64), faiss=True); search.nearest(torch.ones(64, 64));"
        "print(torch.get_num_threads(), torch.ones(64, 64).matmul(torch.eye(64)).sum().item())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1", "4096.0"]


def test_core_set__hand_case():
    points = torch.tensor([[0.0], [1.0], [2.0], [10.0]])

    assert greedy_core_set(points, 3, start=0).tolist() == [0, 3, 2]


def _greedy_by_definition(points, count, start):
    """The textbook loop: all distances, one pick at a time."""
    every = torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist")
    taken = [start]
    while len(taken) < count:
        taken.append(int(every[:, taken].amin(dim=1).argmax()))
    return taken


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), candidates=st.integers(1, 200), count=st.integers(1, 150))
def test_core_set__is_the_exact_greedy_order_however_few_candidates_are_followed(seed, candidates, count):
    points = _rows(150, channels=3, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_set, "CANDIDATES", candidates)
        patch.setattr(core_set, "BLOCK", 64)
        found = greedy_core_set(points, count, start=7).tolist()

    assert found == _greedy_by_definition(points, count, 7)


def test_core_set__covering_radius_never_grows_and_is_at_most_twice_the_best():
    points = _rows(60, channels=1)
    taken = greedy_core_set(points, 20)
    radii = [_radius(points, taken[:m]) for m in range(1, 21)]

    assert radii == sorted(radii, reverse=True)
    ordered = points[:, 0].sort().values
    for count in (2, 5, 10):
        assert radii[count - 1] <= 2 * _best_radius(ordered, count) + 1e-6


def _radius(points, taken):
    return float(torch.cdist(points, points[taken]).amin(dim=1).max())


def _best_radius(ordered, count):
    """On a line, the least radius with which `count` intervals cover all points, by bisection."""
    low, high = 0.0, float(ordered[-1] - ordered[0])
    for _ in range(40):
        middle = (low + high) / 2
        used, end = 0, -float("inf")
        for x in ordered.tolist():
            if x > end:
                used, end = used + 1, x + 2 * middle
        low, high = (middle, high) if used > count else (low, middle)
    return high


def test_core_set__duplicates_are_taken_once():
    points = torch.tensor([[1.0, 2.0]] * 50 + [[3.0, 4.0]] * 50)

    assert sorted(points[greedy_core_set(points, 30)].tolist()) == [[1.0, 2.0], [3.0, 4.0]]


def test_projection__nearly_keeps_distances_and_leaves_narrow_rows_alone():
    rows = _rows(100, channels=400)
    reduced = projected(rows, 128, torch.Generator().manual_seed(0))
    ratio = torch.pdist(reduced) / torch.pdist(rows)

    assert reduced.shape == (100, 128)
    assert 0.7 < float(ratio.min()) < float(ratio.max()) < 1.3
    assert projected(rows, 200, torch.Generator()) is rows
    assert projected(rows, 199, torch.Generator()).shape == (100, 199)


@pytest.mark.parametrize(("count", "weight"), [(9, 8 / 9), (3, 2 / 3), (1, 1.0)])
@pytest.mark.parametrize("distance", [0.0, 2.0, 500.0])
def test_reweighted__neighbours_all_as_far(count, weight, distance):
    """w = 1 - 1/b; one neighbour leaves the score alone; large distances do not overflow."""
    nearest = torch.tensor([distance])
    found = reweighted(torch.tensor([5.0]), nearest, nearest.expand(1, count))

    torch.testing.assert_close(found, torch.tensor([5 * weight]), atol=0, rtol=1e-4)


def test_reweighted__by_the_formula():
    support = torch.tensor([[1.0, 2.0, 1.5]])
    weight = 1 - torch.tensor(1.0).exp() / support.exp().sum()

    torch.testing.assert_close(reweighted(torch.tensor([3.0]), support[:, 0], support), 3 * weight.view(1))
