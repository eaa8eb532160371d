"""Steps of flows: what goes in comes back, and the log-determinant is that of autograd's Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from leatherens.core.flows import (
    ChannelAffine,
    Coupling,
    DoubleCoupling,
    Flow,
    Permutation,
    Rotation,
    Step,
    atan_clamp,
    full_precision,
    log_likelihood,
    tanh_clamp,
)
from leatherens.core.positions import position_code
from leatherens.core.randomness import seeded_construction

Make = Callable[[], Step]


def vectors_network(channels: int, condition: int = 0) -> nn.Module:
    return nn.Sequential(
        nn.Linear(channels - channels // 2 + condition, 16), nn.Tanh(), nn.Linear(16, 2 * (channels // 2))
    )


def maps_network(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels - channels // 2, 8, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(8, 2 * (channels // 2), 3, padding=1),
    )


def moved_affine(channels: int) -> ChannelAffine:
    step = ChannelAffine(channels)
    nn.init.normal_(step.raw_scale, mean=8)
    nn.init.normal_(step.offset)
    return step


STEPS: dict[str, Callable[[Callable[[], nn.Module]], Step]] = {
    "permutation": lambda network: Permutation(5),
    "rotation": lambda network: Rotation(5),
    "affine": lambda network: moved_affine(5),
    "coupling": lambda network: Coupling(network(), tanh_clamp(1.9), gain=1.0),
    "flow": lambda network: Flow(
        step
        for _ in range(3)
        for step in (Coupling(network(), tanh_clamp(2.0)), moved_affine(5), Rotation(5), Permutation(5))
    ),
}


def made(name: str, network: Callable[[], nn.Module]) -> Step:
    with seeded_construction(0, name):
        return STEPS[name](network).double()


def jacobian_stretch(forward: Callable[[Tensor], Tensor], maps: Tensor) -> float:
    """log |det J| of the whole map, from autograd."""
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: forward(flat.view_as(maps)).flatten(), maps.flatten()
    )
    return float(torch.linalg.slogdet(jacobian).logabsdet)


@pytest.mark.parametrize("name", STEPS)
def test_step__on_vectors_comes_back_and_stretches_as_its_jacobian_says(name: str) -> None:
    step = made(name, lambda: vectors_network(5))
    rows = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved, stretch = step(rows)
    assert stretch.shape == (4,)
    torch.testing.assert_close(step.inverse(moved), rows, atol=1e-5, rtol=0)
    assert float(stretch.detach().sum()) == pytest.approx(
        jacobian_stretch(lambda r: step(r)[0], rows), abs=1e-5
    )


@pytest.mark.parametrize("name", STEPS)
def test_step__on_maps_stretches_as_the_jacobian_of_the_whole_map_says(name: str) -> None:
    step = made(name, lambda: maps_network(5))
    maps = torch.randn(1, 5, 2, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    moved, stretch = step(maps)
    assert stretch.shape == (1, 2, 3)
    torch.testing.assert_close(step.inverse(moved), maps, atol=1e-5, rtol=0)
    assert float(stretch.detach().sum()) == pytest.approx(
        jacobian_stretch(lambda m: step(m)[0], maps), abs=1e-5
    )


@pytest.mark.parametrize("name", STEPS)
def test_step__comes_back_in_float32(name: str) -> None:
    step = made(name, lambda: vectors_network(5)).float()
    rows = torch.randn(64, 5, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(step.inverse(step(rows)[0]), rows, atol=1e-5, rtol=1e-5)


def test_coupling__heeds_its_condition() -> None:
    with seeded_construction(0, "condition"):
        step = Coupling(vectors_network(6, condition=4), tanh_clamp(1.9))
    rows, one, other = torch.randn(3, 6), torch.zeros(3, 4), torch.ones(3, 4)
    assert not torch.equal(step(rows, one)[0], step(rows, other)[0])
    torch.testing.assert_close(step.inverse(step(rows, other)[0], other), rows, atol=1e-5, rtol=0)


def test_coupling__of_a_silent_network_is_the_identity() -> None:
    network = vectors_network(6)
    for parameter in network[2].parameters():  # type: ignore[index]
        nn.init.zeros_(parameter)
    rows = torch.randn(3, 6)
    moved, stretch = Coupling(network, tanh_clamp(2.0))(rows)
    assert torch.equal(moved, rows)
    assert stretch.tolist() == [0, 0, 0]


def test_permutation__keeps_the_values_and_the_volume() -> None:
    maps = torch.randn(2, 8, 3, 3)
    moved, stretch = Permutation(8)(maps)
    assert torch.equal(moved.sort(dim=1).values, maps.sort(dim=1).values)
    assert not bool(stretch.any())


@pytest.mark.parametrize("channels", [2, 7, 40])
def test_rotation__is_a_rotation(channels: int) -> None:
    matrix = Rotation(channels).matrix.double()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(channels, dtype=torch.float64), atol=1e-6, rtol=0)
    assert float(torch.linalg.det(matrix)) == pytest.approx(1, abs=1e-5)


def test_affine__begins_as_the_identity() -> None:
    step = ChannelAffine(4)
    assert float(step.raw_scale.detach()[0]) == pytest.approx(9.98648, abs=1e-5)
    torch.testing.assert_close(step.scale(), torch.ones(4))
    rows = torch.randn(3, 4)
    torch.testing.assert_close(step(rows)[0], rows)
    torch.testing.assert_close(step(rows)[1], torch.zeros(3), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("limit", "extreme", "factor"), [(1.9, 1.89815, 6.6735), (3.0, 2.9971, 20.027)])
def test_atan_clamp__has_the_published_range(limit: float, extreme: float, factor: float) -> None:
    ends = atan_clamp(limit)(torch.tensor([-1e9, 1e9], dtype=torch.float64))
    assert ends.tolist() == pytest.approx([-extreme, extreme], abs=1e-4)
    assert float(ends[1].exp()) == pytest.approx(factor, abs=1e-3)


def test_tanh_clamp__has_slope_one_and_a_limit() -> None:
    clamp = tanh_clamp(1.9)
    assert float(clamp(torch.tensor(1e-3))) == pytest.approx(1e-3, rel=1e-5)
    assert float(clamp(torch.tensor(50.0))) == pytest.approx(1.9)


@pytest.mark.parametrize("limit", [1.9, 2.0])
def test_tanh_clamp__of_the_older_library_is_as_steep_as_its_limit(limit: float) -> None:
    values = torch.linspace(-3, 3, 13, dtype=torch.float64)
    torch.testing.assert_close(tanh_clamp(limit, slope=limit)(values), limit * values.tanh())


def test_full_precision__undoes_autocast() -> None:
    rows = torch.randn(4, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (rows @ rows.T).dtype == torch.bfloat16
        with full_precision(rows):
            assert (rows @ rows.T).dtype == torch.float32


# two-sided


class Across(nn.Module):
    """Every scale hears every other one."""

    def __init__(self, channels: int, scales: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(channels // 2, channels, 3, padding=1) for _ in range(scales))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        heard = torch.stack([level.mean() for level in levels]).sum()
        return [torch.tanh(layer(level)) + heard for layer, level in zip(self.layers, levels, strict=True)]


def double() -> DoubleCoupling:
    with seeded_construction(0, "double"):
        return DoubleCoupling(Across(4, 2), Across(4, 2), atan_clamp(1.9)).double()


LEVELS = [torch.randn(1, 4, 2, 2, dtype=torch.float64), torch.randn(1, 4, 1, 1, dtype=torch.float64)]


def test_double_coupling__comes_back() -> None:
    step = double()
    moved, stretch = step(LEVELS)
    assert [s.shape for s in stretch] == [(1, 2, 2), (1, 1, 1)]
    for back, level in zip(step.inverse(moved), LEVELS, strict=True):
        torch.testing.assert_close(back, level, atol=1e-5, rtol=0)


def test_double_coupling__stretches_as_the_jacobian_over_all_scales_says() -> None:
    step = double()
    sizes = [level.numel() for level in LEVELS]

    def forward(flat: Tensor) -> Tensor:
        parts = [p.view_as(level) for p, level in zip(flat.split(sizes), LEVELS, strict=True)]
        return torch.cat([m.flatten() for m in step(parts)[0]])

    jacobian = torch.autograd.functional.jacobian(forward, torch.cat([level.flatten() for level in LEVELS]))
    expected = float(torch.linalg.slogdet(jacobian).logabsdet)
    assert float(sum(s.detach().sum() for s in step(LEVELS)[1])) == pytest.approx(expected, abs=1e-5)


# likelihood and positions


def test_log_likelihood__of_zero_is_that_of_the_normal_at_its_peak() -> None:
    assert float(log_likelihood(torch.zeros(1, 6), torch.zeros(1))) == pytest.approx(-0.9189385 * 6)


def test_log_likelihood__is_torch_s_own() -> None:
    latent, stretch = torch.randn(2, 5, 3, 4), torch.randn(2, 3, 4)
    expected = torch.distributions.Normal(0, 1).log_prob(latent).sum(dim=1) + stretch
    torch.testing.assert_close(log_likelihood(latent, stretch), expected)


def test_position_code__depends_on_column_in_its_first_half_and_row_in_its_second() -> None:
    code = position_code((5, 7), 128)
    assert code.shape == (128, 5, 7)
    assert torch.equal(code[:64], code[:64, :1].expand(-1, 5, -1))
    assert torch.equal(code[64:], code[64:, :, :1].expand(-1, -1, 7))
    assert code[0::2, 0, 0].unique().tolist() == [0]
    assert code[1::2, 0, 0].unique().tolist() == [1]


def test_position_code__is_the_published_formula() -> None:
    code = position_code((4, 6), 128)
    for i in (0, 3, 31):
        frequency = math.exp(-2 * i * math.log(1e4) / 64)
        assert float(code[2 * i, 2, 5]) == pytest.approx(math.sin(5 * frequency), abs=1e-6)
        assert float(code[2 * i + 1, 2, 5]) == pytest.approx(math.cos(5 * frequency), abs=1e-6)
        assert float(code[64 + 2 * i, 2, 5]) == pytest.approx(math.sin(2 * frequency), abs=1e-6)


def test_position_code__of_an_odd_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="a position code has a multiple of 4 channels, got 6"):
        position_code((2, 2), 6)
