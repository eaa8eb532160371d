"""Samples of a stream of rows: bounded, independent of its cuts, fair or covering."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from leatherens.core import rows as rows_module
from leatherens.core.core_set import covering_radius, greedy_core_set
from leatherens.core.randomness import numpy_generator
from leatherens.core.rows import MergedRows, RowReservoir, RowSample, RowTable

CUTS = [[1000], [1, 999], [10, 500, 490], [100] * 10, [0, 7, 0, 993]]


def stream(count: int = 1000, channels: int = 3) -> Tensor:
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(0))


def gathered(sample: RowSample, rows: Tensor, cuts: list[int]) -> Tensor:
    for part in rows.split(cuts):
        sample.add(part)
    return sample.rows()


def merged(limit: int = 120, kept: int = 30) -> MergedRows:
    return MergedRows(limit, kept, greedy_core_set)


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("limit", [1, 50, 999, 1000, 5000])
def test_reservoir__keeps_the_largest_keys_in_the_order_they_came(cuts: list[int], limit: int) -> None:
    rows = stream()
    found = gathered(RowReservoir(limit, numpy_generator(0, "test")), rows, cuts)
    keys = torch.from_numpy(numpy_generator(0, "test").random(1000))

    assert torch.equal(found, rows[keys.topk(min(limit, 1000)).indices.sort().values])


def test_reservoir__goes_on_after_it_was_looked_at() -> None:
    rows, looked, not_looked = stream(), *(RowReservoir(40, numpy_generator(0, "test")) for _ in range(2))
    for part in rows.split(90):
        looked.add(part)
        not_looked.add(part)
        looked.rows()

    assert torch.equal(looked.rows(), not_looked.rows())


def test_reservoir__its_table_is_never_larger_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    heights: list[int] = []
    monkeypatch.setattr(
        rows_module.torch,
        "empty",
        lambda *shape, empty=torch.empty, **o: (heights.append(shape[0]), empty(*shape, **o))[1],
    )
    gathered(RowReservoir(300, numpy_generator(0, "test")), stream(), [30] * 33 + [10])

    assert max(heights) == 300


def test_rows_of_a_frozen_backbone_may_teach_a_network() -> None:
    """Made in inference mode, they could not be saved for a backward pass."""
    sample = RowReservoir(5, numpy_generator(0, "test"))
    with torch.inference_mode():
        sample.add(torch.ones(3, 2))
    sample.add(torch.ones(1, 2))
    weight = torch.ones(2, requires_grad=True)
    (sample.rows() * weight).sum().backward()

    assert weight.grad.tolist() == [4, 4]


def test_table__in_another_order_column_by_column() -> None:
    rows, table = stream(60, 40), RowTable(60)
    table.append(rows)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))[:25]
    table.keep(order)

    assert torch.equal(table.rows, rows[order])


def test_table__in_main_memory_is_made_once() -> None:
    """Growing would hold what there is twice."""
    rows, table = stream(60, 4), RowTable(60)
    table.append(rows[:1])
    place = table.rows.data_ptr()
    for row in rows[1:].split(7):
        table.append(row)

    assert table.rows.data_ptr() == place
    assert torch.equal(table.rows, rows)


@pytest.mark.parametrize("cuts", CUTS)
def test_merged__does_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    rows = stream()

    assert torch.equal(gathered(merged(), rows, cuts), gathered(merged(), rows, [1000]))


def test_merged__keeps_what_fits_and_no_more_than_the_limit() -> None:
    rows, sample = stream(), merged()
    sample.add(rows[:120])
    assert torch.equal(sample.rows(), rows[:120])

    for row in rows[120:].split(1):
        sample.add(row)
        assert 30 <= len(sample.rows()) <= 120
    assert sample.seen == 1000


def test_merged__does_not_lose_what_is_rare() -> None:
    """Five odd rows in 20,000: a uniform sample of 120 has one of them in 3 of 100 streams."""
    rows = stream(20_000)
    rows[[30, 5_000, 9_999, 10_001, 15_000]] += 50 * torch.tensor([[1.0, 0, 0]])
    kept = gathered(merged(), rows, [500] * 40)

    assert bool((kept[:, 0] > 40).any())
    sampled = gathered(RowReservoir(120, numpy_generator(0, "test")), rows, [500] * 40)
    radii = [
        covering_radius(torch.cat([rows, few]), len(rows) + torch.arange(len(few))) for few in (kept, sampled)
    ]
    assert radii[0] < 0.2 * radii[1]
