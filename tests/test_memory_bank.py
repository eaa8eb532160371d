"""Banks with their options: caps that are said, samples, recall of an index, stored and opened again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_leather import context, leather, seen
from torch import Tensor

from leatherens.core.artifact import read_state, write_state
from leatherens.core.backbones import BackbonePool
from leatherens.core.core_set import covering_radius
from leatherens.core.detector import FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.heads import GoodMaps
from leatherens.core.memory_bank import BankParams, MemoryBank, positions_held, sample_of, thinned
from leatherens.core.neighbours import nearest_once
from leatherens.core.progress import Advance, Silent
from leatherens.core.search_index import SearchParams
from leatherens.core.types import ImagesInMemory
from leatherens.core.weights import WeightFinder
from leatherens.plugins.memory_bank_head import MemoryBankHead
from leatherens.plugins.patchcore import PatchCore

SIZE = (64, 96)
POSITIONS = 6 * 8 * 12


class Listening:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        yield lambda units: None

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def good(seed: int = 0, batch: int = 6) -> Tensor:
    return torch.randn(batch, 4, 8, 12, generator=torch.Generator().manual_seed(seed))


def fitted(
    maps: list[GoodMaps] | None = None, *, held_out: bool = True, **options: Any
) -> tuple[MemoryBankHead, list[str]]:
    heard = Listening()
    head = MemoryBankHead.from_options(options)
    validation = [(good(1), None)] if held_out else []
    head.fit(
        maps or [(good(), None)],
        validation=validation,
        context=FitContext(BackbonePool(WeightFinder()), progress=heard),
    )
    return head, heard.said


def bank(count: int, rows: Tensor, **options: Any) -> tuple[Tensor, list[str]]:
    heard = Listening()
    params = BankParams(**options)
    return thinned(rows, count, params, seed=0, progress=heard, name="bank"), heard.said


# how large


@pytest.mark.parametrize(
    ("options", "rows", "said"),
    [
        ({}, 1000, []),
        ({"max_rows": 1000}, 1000, []),
        ({"max_rows": 70}, 70, ["max_rows 70"]),
        ({"megabytes": 1}, 64, ["megabytes 1"]),
        ({"megabytes": 1, "max_rows": 65}, 64, ["megabytes 1"]),
        ({"megabytes": 1, "max_rows": 63}, 63, ["max_rows 63"]),
    ],
)
def test_the_smallest_of_the_limits_wins_and_is_said(
    options: dict[str, int], rows: int, said: list[str]
) -> None:
    table = torch.randn(1200, 4096, generator=torch.Generator().manual_seed(0))  # 64 rows are 1 MB
    found, heard = bank(1000, table, **options, core_set_method="random")

    assert len(found) == rows
    assert heard == [
        f"bank: the bank keeps {rows} rows, not the 1000 of core_set, because of {cap}" for cap in said
    ]


def test_one_row_wider_than_the_limit_is_still_a_bank() -> None:
    found, _ = bank(2, torch.randn(3, 300_000), megabytes=1, core_set_method="random")

    assert len(found) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_rows_that_are_not_numbers_are_refused(value: float) -> None:
    rows = torch.zeros(20, 3)
    rows[7, 1] = value
    with pytest.raises(InputError) as caught:
        bank(5, rows)
    assert str(caught.value) == "bank: the good positions hold NaN or infinite values"


@pytest.mark.parametrize("method", ["greedy", "batched", "k-means", "random"])
def test_a_bank_by_any_method_is_of_original_rows(method: str) -> None:
    rows = good().flatten(2).mT.reshape(-1, 4)
    found, _ = bank(50, rows, core_set_method=method, projection=2)

    assert len(found) <= 50
    assert float(nearest_once(found, rows).distances.max()) == 0


def test_constant_positions_need_one_row() -> None:
    head, _ = fitted([(torch.ones(2, 4, 8, 12), None)])

    assert head.bank_.tolist() == [[1.0] * 4]
    assert float(head.score(torch.ones(1, 4, 8, 12), SIZE).image) == 0


def test_fewer_rows_than_neighbours_gives_what_there_is() -> None:
    head, _ = fitted([(torch.arange(12.0).view(1, 4, 1, 3), None)], neighbours=9, core_set=1.0)
    maps = torch.zeros(1, 4, 1, 1)

    assert float(head.score(maps, (1, 1)).image) == pytest.approx(float(head.bank_.norm(dim=1).mean()))


# what it is chosen from


@pytest.mark.parametrize("sampling", ["uniform", "merged"])
@pytest.mark.parametrize("cuts", [[1] * 6, [2, 4], [5, 1]])
def test_a_bank_does_not_depend_on_how_the_stream_is_cut(sampling: str, cuts: list[int]) -> None:
    options = {"sampling": sampling, "max_positions": 200}
    whole, heard = fitted([(good(), None)], **options)
    pieces, _ = fitted([(part, None) for part in good().split(cuts)], **options)

    assert torch.equal(whole.bank_, pieces.bank_)
    assert len(whole.bank_) == 20 or sampling == "merged"
    assert heard[0].endswith(f"of {POSITIONS} good positions (max_positions 200)")


def test_uniform_positions_that_were_left_out_are_said() -> None:
    _, heard = fitted(max_positions=200)

    assert heard == [f"memory-bank: chose from 200 of {POSITIONS} good positions (max_positions 200)"]
    assert fitted()[1] == []


def test_merged_positions_cover_the_stream_better_than_a_uniform_sample() -> None:
    """Rows thin out from a dense middle to a sparse edge."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(20_000, 2, generator=generator) * torch.rand(20_000, 1, generator=generator) ** 8
    radius = {}
    for sampling in ("uniform", "merged"):
        params = BankParams(sampling=sampling, core_set=0.1)
        sample = sample_of(params, 1000, seed=0, name="bank")
        sample.add(rows)
        kept = thinned(sample.rows(), 100, params, seed=0, progress=Silent(), name="bank")
        radius[sampling] = covering_radius(torch.cat([rows, kept]), len(rows) + torch.arange(len(kept)))

    assert radius["merged"] < 0.7 * radius["uniform"]


def test_patchcore__bounds_its_table_by_max_positions_instead_of_refusing() -> None:
    images, heard = leather(4), Listening()
    whole = 4 * 16 * 24
    detector = PatchCore(PatchCore.Params(**TINY, core_set=1.0, max_positions=300))
    found = FitContext(context().pool, progress=heard)
    detector.fit(ImagesInMemory(images), validation=ImagesInMemory(images), context=found)

    assert len(detector.bank0_) == 300
    assert heard.said == [f"patchcore: chose from 300 of {whole} good positions (max_positions 300)"]


@pytest.mark.parametrize("core_set", [1.0, 0.1])
def test_patchcore__holds_no_more_patches_than_memory_mb_allows(core_set: float) -> None:
    images, heard = leather(8, size=(128, 128)), Listening()
    detector = PatchCore(PatchCore.Params(**TINY, core_set=core_set, memory_mb=1, core_set_method="random"))
    found = FitContext(context().pool, progress=heard)
    detector.fit(ImagesInMemory(images), validation=ImagesInMemory(images), context=found)

    room = positions_held(detector.params, detector.channels_[0])
    assert len(detector.bank0_) == int(room * core_set)
    assert heard.said == [f"patchcore: chose from {room} of {8 * 32 * 32} good positions (memory_mb 1)"]


@pytest.mark.parametrize(
    ("options", "channels", "held", "bytes_each"),
    [
        ({}, 100, 0, 4 * 110),
        ({"projection": 64}, 100, 0, 4 * 110),
        ({"projection": 32}, 100, 0, 4 * 142),
        ({}, 100, 300, 4 * 110),
    ],
)
def test_positions_held__take_no_more_than_memory_mb(
    options: dict[str, int], channels: int, held: int, bytes_each: int
) -> None:
    """With an older bank, the new ones and one table of both."""

    def taken(new: int) -> int:
        return (2 * new + held if held else new) * bytes_each

    room = positions_held(BankParams(**options, memory_mb=1), channels, held=held)
    assert taken(room) <= 2**20 < taken(room + 1)


def test_head__holds_no_more_positions_than_memory_mb_allows() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [(torch.randn(8, 90, 16, 16, generator=generator), None) for _ in range(2)]
    head, heard = fitted(maps, memory_mb=1, core_set_method="random")

    room = positions_held(head.params, 90)
    assert len(head.bank_) == math.ceil(room * head.params.core_set)
    assert heard == [f"memory-bank: chose from {room} of {2 * 8 * 256} good positions (memory_mb 1)"]


# how it is searched


TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "layers": (1, 2),
    "weights": "random",
    "pretrain_embed_dimension": None,
    "target_embed_dimension": None,
}


def test_recall__by_hand() -> None:
    """A search that takes the second nearest of every other query."""
    pytest.importorskip("faiss")
    rows, queries, heard = torch.tensor([[0.0], [10.0]]), torch.tensor([[1.0], [2.0]]), Listening()
    made = MemoryBank(rows, SearchParams(index="HNSW4"))
    true = made._search.nearest(queries)

    class Missing:
        def nearest(self, _: Tensor) -> Any:
            true.distances[1] = 8.0
            return true

    made._search = Missing()
    found = made.recall([queries], seed=0, name="bank", progress=heard)

    assert found == {"index": "HNSW4", "queries": 2, "recall": 0.5, "excess": pytest.approx(2.0)}
    assert heard.said == [
        "bank: index HNSW4 finds the nearest row of 50.0% of 2 good positions; their distances are "
        "200.00% too large"
    ]


def test_head__measures_the_recall_of_its_index_on_held_out_positions() -> None:
    pytest.importorskip("faiss")
    head, heard = fitted(index="IVF8,Flat", nprobe=1, core_set=0.5)
    true = nearest_once(good(1).permute(0, 2, 3, 1).reshape(-1, 4), head.bank_).distances
    scored = head._score(good(1)).view(-1, 1)

    assert head.recall_["recall"] == pytest.approx(float((scored <= true * (1 + 1e-6)).float().mean()))
    assert head.recall_["excess"] == pytest.approx(float((scored - true).sum() / true.sum()), rel=1e-4)
    assert head.recall_["queries"] == POSITIONS
    assert 0.2 < head.recall_["recall"] < 1
    assert heard[0] == "memory-bank: index IVF8,Flat is trained on 288 rows, FAISS advises 312"
    assert heard[1].startswith("memory-bank: index IVF8,Flat finds the nearest row of ")


def test_head__without_held_out_positions_measures_on_its_own() -> None:
    pytest.importorskip("faiss")
    head, _ = fitted(index="HNSW8", held_out=False)

    assert head.recall_["queries"] == POSITIONS
    assert head.recall_["recall"] > 0.95


def test_flat__says_nothing_and_measures_nothing() -> None:
    head, heard = fitted()

    assert "recall_" not in head.state()
    assert heard == []


@pytest.mark.parametrize("index", ["Flat", "HNSW8", "IVF8,Flat", "IVF4,PQ2x4"])
def test_an_index_is_not_stored_but_made_from_the_rows_again(index: str, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    head, _ = fitted(index=index, core_set=0.5)
    write_state(tmp_path, head.state())
    state = read_state(tmp_path)
    again = MemoryBankHead.from_state(head.params, state)

    assert {name for name, value in state.items() if isinstance(value, Tensor)} == {"bank_"}
    assert torch.equal(again.score(good(2), SIZE).pixels, head.score(good(2), SIZE).pixels)
    if index != "Flat":
        assert again.recall_ == head.recall_


def test_scores_by_an_inexact_index_are_close_to_the_exact_ones() -> None:
    pytest.importorskip("faiss")
    exact, _ = fitted(core_set=0.5)
    graph, _ = fitted(core_set=0.5, index="HNSW16", reweight=5)
    flat, _ = fitted(core_set=0.5, reweight=5)

    torch.testing.assert_close(graph.score(good(2), SIZE).pixels, exact.score(good(2), SIZE).pixels)
    torch.testing.assert_close(graph.score(good(2), SIZE).image, flat.score(good(2), SIZE).image)


def test_an_unknown_index_is_refused_at_the_first_batch() -> None:
    pytest.importorskip("faiss")
    walked: list[int] = []

    def maps() -> Iterator[GoodMaps]:
        for i in range(3):
            walked.append(i)
            yield good(i), None

    head = MemoryBankHead.from_options({"index": "trees"})
    with pytest.raises(ConfigError, match="memory-bank: index 'trees' is unknown to FAISS"):
        head.fit(maps(), validation=[], context=FitContext(BackbonePool(WeightFinder())))
    assert walked == [0]


def test_patchcore__refuses_an_unknown_index_before_any_work() -> None:
    pytest.importorskip("faiss")
    images = ImagesInMemory(leather(2))
    detector = PatchCore(PatchCore.Params(**TINY, index="trees"))
    with pytest.raises(ConfigError, match="patchcore: index 'trees' is unknown to FAISS"):
        detector.fit(images, validation=images, context=context())


def test_patchcore__takes_the_options_of_a_bank(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    images, heard, batch = ImagesInMemory(leather(3)), Listening(), leather(2, seed=4)
    options = {"index": "HNSW8", "core_set_method": "random", "max_rows": 90}
    detector = PatchCore(PatchCore.Params(**TINY, **options))
    detector.fit(images, validation=images, context=FitContext(context().pool, progress=heard))
    write_state(tmp_path, detector.state())
    again = PatchCore.from_state(detector.params, read_state(tmp_path))

    assert len(detector.bank0_) == 90
    assert heard.said[0] == (
        "patchcore: the bank keeps 90 rows, not the 115 of core_set, because of max_rows 90"
    )
    assert [bank["index"] for bank in detector.recall_] == ["HNSW8"]
    assert detector.recall_[0]["recall"] > 0.95
    np.testing.assert_array_equal(seen(again, batch).scores.pixels, seen(detector, batch).scores.pixels)


@pytest.mark.parametrize(
    ("option", "value"),
    [("core_set_method", "fast"), ("megabytes", 0), ("sampling", "first"), ("nprobe", 0)],
)
def test_options_that_cannot_be(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"memory-bank: option '{option}'"):
        MemoryBankHead.from_options({option: value})
