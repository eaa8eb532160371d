"""Inexact indexes: what they find is measured truly, how they are made, what is refused in words."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
import torch
from torch import Tensor

from leatherens.core import neighbours, search_index
from leatherens.core.errors import ConfigError
from leatherens.core.neighbours import NeighbourSearch, nearest_once
from leatherens.core.search_index import SearchParams, advised_rows, faiss_gpus, require_usable

faiss = pytest.importorskip("faiss")

INEXACT = ["HNSW8", "IVF16,Flat", "IVF4,PQ4x4", "SQ8", "PQ4x4", "PCA8,IVF4,Flat", "IVF4,PQ4x4,RFlat"]


def rows_of(count: int, channels: int = 16, seed: int = 0) -> Tensor:
    """Around eight centres, as patches of a few kinds lie."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(8, channels, generator=torch.Generator().manual_seed(9)) * 3
    kind = torch.randint(8, (count,), generator=generator)
    return centres[kind] + torch.randn(count, channels, generator=generator)


def found(bank: Tensor, queries: Tensor, index: str, count: int = 1, **options: Any) -> Tensor:
    how = SearchParams(index=index, **options)
    return NeighbourSearch(bank, how).nearest(queries, count).distances


@pytest.mark.parametrize("index", INEXACT)
def test_an_inexact_index_only_misses_neighbours(index: str) -> None:
    """Distances are those of rows of the bank, never below the nearest's, sorted, and often right."""
    bank, queries = rows_of(600), rows_of(80, seed=1)
    how = NeighbourSearch(bank, SearchParams(index=index))
    near, true = how.nearest(queries, 3), nearest_once(queries, bank).distances

    measured = (queries[:, None] - bank[near.indices]).norm(dim=2)
    torch.testing.assert_close(near.distances, measured)
    assert bool((near.distances[:, 1:] >= near.distances[:, :-1]).all())
    assert bool((near.distances[:, :1] >= true - 1e-5).all())
    assert all(len(set(row)) == 3 for row in near.indices.tolist())
    assert float((near.distances[:, :1] <= true + 1e-5).float().mean()) > 0.4


@pytest.mark.parametrize("index", ["HNSW8", "IVF16,Flat", "IVF4,PQ4x4"])
def test_an_index_is_the_same_whenever_it_is_made(index: str) -> None:
    bank, queries = rows_of(600), rows_of(50, seed=1)

    assert torch.equal(found(bank, queries, index, 3), found(bank, queries, index, 3))


def test_looking_into_all_cells_is_exact_and_into_one_is_not() -> None:
    bank, queries = rows_of(600), rows_of(200, seed=1)
    true = nearest_once(queries, bank).distances

    assert torch.equal(found(bank, queries, "IVF16,Flat", nprobe=99), true)
    assert bool((found(bank, queries, "IVF16,Flat", nprobe=1) > true).any())


def test_a_wider_walk_through_a_graph_finds_more() -> None:
    bank, queries = torch.randn(2000, 24, generator=torch.Generator().manual_seed(0)), rows_of(200, 24)
    narrow, wide = (found(bank, queries, "HNSW4", ef_search=ef) for ef in (1, 256))

    assert float(wide.sum()) < float(narrow.sum())


def test_a_cell_with_too_few_rows_is_made_up_for_by_an_exact_search() -> None:
    bank = torch.cat([torch.zeros(2, 4), torch.full((40, 4), 9.0)]) + rows_of(42, 4) * 0.01
    near = NeighbourSearch(bank, SearchParams(index="IVF2,Flat", nprobe=1)).nearest(bank[:1], 5)

    torch.testing.assert_close(near.distances[0], (bank - bank[0]).norm(dim=1).sort().values[:5])
    assert len(set(near.indices[0].tolist())) == 5


def test_making_an_index_leaves_the_thread_count_and_generators_alone() -> None:
    threads, state = faiss.omp_get_max_threads(), torch.get_rng_state()
    found(rows_of(300), rows_of(5), "IVF4,Flat")

    assert faiss.omp_get_max_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("index", "rows"),
    [("Flat", 0), ("HNSW32", 0), ("IVF64,Flat", 2496), ("IVF16,PQ16", 9984), ("PQ8x4", 624)],
)
def test_rows_that_are_advised(index: str, rows: int) -> None:
    assert advised_rows(SearchParams(index=index)) == rows


@pytest.mark.parametrize("rows", [torch.zeros(40, 4), torch.ones(1, 4)])
def test_rows_that_coincide_are_found(rows: Tensor) -> None:
    for index in ("HNSW4", "IVF1,Flat"):
        assert float(found(rows, rows[:1], index)) == 0


# refusals, word for word


KNOWN = "FAISS knows Flat, HNSW32, IVF256,Flat, IVF256,PQ16, IVF256,SQ8, SQ8, PQ16 and more"


@pytest.mark.parametrize(
    ("index", "channels", "sentence"),
    [
        ("HSNW32", 8, f"index 'HSNW32' is unknown to FAISS; did you mean 'HNSW32'? ({KNOWN})"),
        ("trees", 8, f"index 'trees' is unknown to FAISS ({KNOWN})"),
        ("", 8, f"index '' is unknown to FAISS ({KNOWN})"),
        ("HNSW0", 8, f"index 'HNSW0' has a 0 in it; {KNOWN}"),
        (
            "IVF4,PQ3",
            8,
            "FAISS cannot make index 'IVF4,PQ3' for rows of 8 numbers: The dimension of the vector (d) "
            "should be a multiple of the number of subquantizers (M)",
        ),
    ],
)
def test_an_index_that_faiss_cannot_make(index: str, channels: int, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        require_usable(SearchParams(index=index), channels, owner="memory-bank")
    assert str(caught.value) == f"memory-bank: {sentence}"


def test_too_few_rows_to_train() -> None:
    with pytest.raises(ConfigError) as caught:
        NeighbourSearch(rows_of(58), SearchParams(index="IVF256,Flat"), owner="memory-bank")
    assert str(caught.value) == (
        "memory-bank: index 'IVF256,Flat' needs at least 256 rows to be trained, the bank has 58; "
        "try a larger core_set, more images, or index Flat"
    )


def test_rows_that_faiss_cannot_take_for_another_reason() -> None:
    with pytest.raises(ConfigError) as caught:
        NeighbourSearch(rows_of(58), SearchParams(index="IDMap,Flat"), owner="memory-bank")
    assert str(caught.value) == (
        "memory-bank: FAISS cannot fill index 'IDMap,Flat' with 58 rows: add does not make sense with "
        "IndexIDMap, use add_with_ids; try a larger core_set, more images, or index Flat"
    )


def test_without_faiss_only_flat_is_had(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (search_index, neighbours):
        monkeypatch.setattr(module, "faiss_installed", lambda: False)
    require_usable(SearchParams(), 8, owner="memory-bank")
    assert faiss_gpus() == 0

    with pytest.raises(ConfigError) as caught:
        NeighbourSearch(rows_of(58), SearchParams(index="HNSW32"), owner="memory-bank")
    assert str(caught.value) == (
        "memory-bank: index 'HNSW32' needs FAISS: pip install 'leatherens[cpu]', or take index Flat"
    )


# a GPU, as far as it can be tried without one


def test_banks_on_a_gpu_are_searched_by_faiss_where_it_has_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    inexact = SearchParams(index="HNSW32")
    for gpus, by_faiss in ((0, False), (1, True)):
        monkeypatch.setattr(neighbours, "faiss_gpus", lambda gpus=gpus: gpus)
        assert neighbours._by_faiss(inexact, on_cpu=False) is by_faiss
        assert not neighbours._by_faiss(SearchParams(), on_cpu=False), "torch is exact there, and quick"


def test_an_index_goes_to_the_gpu_unless_its_kind_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(resources: str, device: int, index: str) -> str:
        if index == "graph":
            raise RuntimeError("no GPU version")
        return f"{index} at {device} by {resources}"

    stand_in = types.SimpleNamespace(index_cpu_to_gpu=moved, StandardGpuResources=lambda: "resources")
    monkeypatch.setitem(sys.modules, "faiss", stand_in)

    assert search_index._placed("cells", torch.device("cuda", 1)) == "cells at 1 by resources"
    assert search_index._placed("graph", torch.device("cuda")) == "graph"
    assert search_index._placed("cells", torch.device("cpu")) == "cells"
