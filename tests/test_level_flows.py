"""Flows over several scales: the way back, autograd's Jacobian, and what of them counts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from leatherens.core.errors import ConfigError
from leatherens.core.flows import DoubleCoupling, atan_clamp
from leatherens.core.level_flows import LevelsFlow, counted_mean, refuse_odd, surprise
from leatherens.core.randomness import seeded_construction


class Across(nn.Module):
    """Every scale hears the mean of every other one."""

    def __init__(self, channels: int, scales: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(channels // 2, channels, 3, padding=1) for _ in range(scales))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        heard = torch.stack([level.mean() for level in levels]).sum()
        return [torch.tanh(layer(level)) + heard for layer, level in zip(self.layers, levels, strict=True)]


def flow(channels: int = 4, scales: int = 2, blocks: int = 3) -> LevelsFlow:
    with seeded_construction(0, "flow"):
        couplings = [
            DoubleCoupling(Across(channels, scales), Across(channels, scales), atan_clamp(1.9))
            for _ in range(blocks)
        ]
        return LevelsFlow(channels, scales, couplings)


def levels(*sizes: tuple[int, int], channels: int = 4, count: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(count, channels, *size, generator=generator, dtype=torch.float64) for size in sizes]


def test_flow__comes_back() -> None:
    made, seen = flow().double(), levels((2, 3), (1, 2), count=3)
    moved, stretches = made(seen)
    assert [s.shape for s in stretches] == [(3, 2, 3), (3, 1, 2)]
    for back, level in zip(made.inverse(moved), seen, strict=True):
        torch.testing.assert_close(back, level, atol=1e-8, rtol=0)


def test_flow__comes_back_in_float32() -> None:
    made, seen = flow(), [level.float() for level in levels((8, 8), (4, 4), count=4)]
    for back, level in zip(made.inverse(made(seen)[0]), seen, strict=True):
        torch.testing.assert_close(back, level, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sizes", [[(2, 2), (1, 1)], [(2, 3)], [(1, 1)]], ids=str)
def test_flow__stretches_as_the_jacobian_over_all_scales_says(sizes: list[tuple[int, int]]) -> None:
    made, seen = flow(scales=len(sizes)).double(), levels(*sizes)
    counts = [level.numel() for level in seen]

    def forward(flat: Tensor) -> Tensor:
        parts = [p.view_as(level) for p, level in zip(flat.split(counts), seen, strict=True)]
        return torch.cat([m.flatten() for m in made(parts)[0]])

    jacobian = torch.autograd.functional.jacobian(forward, torch.cat([level.flatten() for level in seen]))
    expected = float(torch.linalg.slogdet(jacobian).logabsdet)
    assert abs(expected) > 0.1
    assert sum(float(s.detach().sum()) for s in made(seen)[1]) == pytest.approx(expected, abs=1e-8)


def test_flow__shuffles_every_scale_of_every_block_in_its_own_way() -> None:
    orders = [
        tuple(shuffle.order.tolist())  # type: ignore[union-attr,operator]
        for shuffles in flow(channels=24, scales=3).shuffles
        for shuffle in shuffles  # type: ignore[union-attr]
    ]
    assert len(set(orders)) == 9
    assert all(sorted(order) == list(range(24)) for order in orders)


def test_surprise__is_torch_s_negative_log_likelihood_but_for_the_constant() -> None:
    latents, stretches = levels((2, 3), (1, 2)), levels((2, 3), (1, 2), channels=1)
    for found, z, (s,) in zip(
        surprise(latents, [s[:, 0] for s in stretches]), latents, stretches, strict=True
    ):
        whole = -torch.distributions.Normal(0, 1).log_prob(z).sum(dim=1) - s
        torch.testing.assert_close(found, whole - 2 * math.log(2 * math.pi))


def test_counted_mean__counts_each_position_of_all_scales_once() -> None:
    fine, coarse = torch.full((2, 4, 4), 1.0), torch.full((2, 2, 2), 6.0)
    fine[1] = 2.0
    assert counted_mean([fine, coarse]).tolist() == [2.0, pytest.approx(56 / 20)]


def test_counted_mean__leaves_positions_on_invalid_pixels_out() -> None:
    valid = torch.zeros(1, 8, 8, dtype=torch.bool)
    valid[:, :4] = True  # the upper half: 8 of 16 fine and 2 of 4 coarse positions
    fine, coarse = torch.full((1, 4, 4), 100.0), torch.full((1, 2, 2), 100.0)
    fine[:, :2], coarse[:, :1] = 1.0, 6.0
    assert counted_mean([fine, coarse], valid).tolist() == [2.0]


def test_refuse_odd__says_what_came_and_what_to_do() -> None:
    refuse_odd(24, owner="x", source="model", layer=2)
    with pytest.raises(ConfigError) as caught:
        refuse_odd(25, owner="cs-flow", source="model", layer=2)
    assert str(caught.value) == (
        "cs-flow: expected a map of two equal halves of channels, model gives 25 at layer 2; choose another "
        "layer or backbone"
    )
