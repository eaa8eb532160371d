"""A photograph's own level: taken off in part, blind to silence, no matter for rankings within."""

from __future__ import annotations

import pytest
import torch

from leatherens.core.own_level import CALM, GRID, SHARE, less_own_level


def maps(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_it_is_the_quantile_of_numpy_where_the_grid_holds_all_pixels() -> None:
    seen = maps(3, 20, 30)
    level = torch.quantile(seen.flatten(1), CALM, dim=1)
    expected = seen - SHARE * level[:, None, None]
    torch.testing.assert_close(
        less_own_level(seen), expected, atol=5e-3, rtol=0
    )  # a pixel nearby, not between


def test_a_photograph_that_is_higher_everywhere_comes_nearer_by_the_share() -> None:
    seen = maps(1, 16, 16)
    apart = less_own_level(seen + 3) - less_own_level(seen)
    torch.testing.assert_close(apart, torch.full_like(seen, 3 * (1 - SHARE)))


def test_a_defect_on_three_quarters_less_one_pixel_does_not_move_it() -> None:
    seen = maps(1, 16, 16)
    order = seen.flatten().argsort(descending=True)[: 3 * 256 // 4 - 1]
    spoilt = seen.flatten().index_add(0, order, torch.full((len(order),), 9.0)).view_as(seen)
    untouched = seen.flatten().argsort()[0]
    assert less_own_level(spoilt).flatten()[untouched] == less_own_level(seen).flatten()[untouched]


def test_silenced_pixels_do_not_count() -> None:
    seen = maps(1, 8, 8) + 1
    masked = seen.clone()
    masked[:, :, 4:] = seen.min()
    left = less_own_level(seen[:, :, :4].clone())
    torch.testing.assert_close(less_own_level(masked)[:, :, :4], left, atol=0.1, rtol=0)
    assert float(less_own_level(masked)[0, 0, 0]) < float(masked[0, 0, 0]) - 0.5, (
        "the level is not the silence"
    )


@pytest.mark.parametrize("value", [0.0, -2.0, 5.0])
def test_a_constant_map_stays_constant(value: float) -> None:
    fused = less_own_level(torch.full((2, 4, 4), value))
    torch.testing.assert_close(fused, torch.full((2, 4, 4), value * (1 - SHARE)))


def test_each_image_alone_keeps_its_ranking_whatever_its_batch() -> None:
    seen = maps(4, 2 * GRID + 7, GRID)  # larger than the grid
    together = less_own_level(seen)
    for row in range(4):
        torch.testing.assert_close(less_own_level(seen[row : row + 1])[0], together[row], rtol=0, atol=0)
        assert bool((together[row].flatten().argsort() == seen[row].flatten().argsort()).all())
