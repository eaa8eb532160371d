"""The Sinkhorn divergence against iterations without end, assignments, and what can be said by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp
from torch import Tensor

from leatherens.core.transport import sinkhorn_divergence

Points = npt.NDArray[np.float64]


def clouds(first: int, second: int, channels: int = 3) -> tuple[Points, Points]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(first, channels)), rng.normal(size=(second, channels)) + 0.5


def costs(x: Points, y: Points) -> Points:
    return np.square(x[:, None] - y[None]).sum(axis=2) / 2


def transported(x: Points, y: Points, blur: float, rounds: int) -> float:
    """One potential after the other, at the final blur from the start, until nothing moves."""
    cost, f, g = costs(x, y), np.zeros(len(x)), np.zeros(len(y))
    for _ in range(rounds):
        f = -(blur**2) * (logsumexp((g - cost) / blur**2, axis=1) - np.log(len(y)))
        g = -(blur**2) * (logsumexp((f[:, None] - cost) / blur**2, axis=0) - np.log(len(x)))
    return float(f.mean() + g.mean())


def reference(x: Points, y: Points, blur: float, rounds: int = 1000) -> float:
    own = transported(x, x, blur, rounds) + transported(y, y, blur, rounds)
    return transported(x, y, blur, rounds) - own / 2


def divergence(x: Points, y: Points, blur: float = 0.05, scaling: float = 0.95) -> float:
    return float(
        sinkhorn_divergence(torch.tensor(x).float(), torch.tensor(y).float(), blur=blur, scaling=scaling)
    )


@pytest.mark.parametrize(("first", "second", "blur"), [(5, 7, 0.3), (8, 8, 1.0), (1, 4, 0.2)])
def test_divergence__is_that_of_iterations_until_nothing_moves(first: int, second: int, blur: float) -> None:
    x, y = clouds(first, second)
    expected = reference(x, y, blur)
    assert divergence(x, y, blur, scaling=0.999) == pytest.approx(expected, rel=2e-3)
    assert divergence(x, y, blur) == pytest.approx(expected, rel=0.03)


def test_divergence__with_little_blur_is_the_cheapest_assignment() -> None:
    x, y = clouds(6, 6)
    cost = costs(x, y)
    assert divergence(x, y) == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=1e-3)


@pytest.mark.parametrize("blur", [0.05, 0.5, 5.0])
def test_divergence__of_a_cloud_moved_as_a_whole_is_half_its_way_squared(blur: float) -> None:
    x, _ = clouds(9, 1)
    assert divergence(x, x + np.array([3.0, 0.0, 4.0]), blur) == pytest.approx(12.5, rel=1e-4)


@pytest.mark.parametrize("offset", [0.0, 100.0], ids=["at the origin", "far away"])
def test_divergence__of_a_cloud_and_itself_in_another_order_is_zero(offset: float) -> None:
    x, _ = clouds(9, 1)
    assert divergence(x + offset, x[::-1] + offset) == pytest.approx(0, abs=1e-4)


def test_divergence__is_the_same_both_ways() -> None:
    x, y = clouds(5, 7)
    assert divergence(x, y) == pytest.approx(divergence(y, x), rel=1e-5)


def test_slope__is_that_of_the_value() -> None:
    """Found by nudging one coordinate after the other in the endless iteration."""
    x, y = clouds(4, 5, channels=2)
    points = torch.tensor(x).float().requires_grad_()
    sinkhorn_divergence(points, torch.tensor(y).float(), blur=1.0, scaling=0.99).backward()
    expected = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        nudge = np.zeros_like(x)
        nudge[at] = 1e-4
        expected[at] = (reference(x + nudge, y, 1.0, 40) - reference(x - nudge, y, 1.0, 40)) / 2e-4
    slope: Tensor = points.grad
    np.testing.assert_allclose(slope, expected, atol=5e-3 * np.abs(expected).max())
