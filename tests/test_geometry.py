"""Resizing, smoothing and pooling against scipy and torch, and what an image score counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter, gaussian_filter1d, uniform_filter
from torch import Tensor

from leatherens.core.geometry import (
    bicubic_scores,
    block_mean,
    enlarged,
    image_maximum,
    largest_grid,
    mean_filter,
    mean_of,
    positions_of,
    resize,
    resize_scores,
    silence,
    smooth,
    smooth_rows,
    thinned,
    valid_positions,
)


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5, 4.0, 9.0])
@pytest.mark.parametrize("size", [(32, 48), (5, 9), (1, 7), (3, 2)], ids=str)
def test_smooth__agrees_with_scipy_even_where_the_kernel_is_wider_than_the_image(
    size: tuple[int, int], sigma: float
) -> None:
    pixels = maps(2, *size)
    expected = np.stack([gaussian_filter(image.double().numpy(), sigma) for image in pixels])
    np.testing.assert_allclose(smooth(pixels, sigma), expected, atol=2e-6)


@pytest.mark.parametrize("sigma", [0.3, 4.0])
@pytest.mark.parametrize("size", [(32, 48), (9, 5)], ids=str)
def test_smooth_rows__agrees_with_scipy_along_one_axis(size: tuple[int, int], sigma: float) -> None:
    pixels = maps(2, *size)
    expected = gaussian_filter1d(pixels.double().numpy(), sigma, axis=2)
    np.testing.assert_allclose(smooth_rows(pixels, sigma), expected, atol=2e-6)
    assert smooth_rows(pixels, 0.0) is pixels


@pytest.mark.parametrize("sigma", [0.0, 1.0, 9.0])
@pytest.mark.parametrize("size", [(64, 40), (5, 30), (8, 12)], ids=str)
def test_enlarged__is_resizing_and_then_smoothing(size: tuple[int, int], sigma: float) -> None:
    given = maps(3, 8, 12)
    expected = smooth(resize_scores(given, size), sigma)
    torch.testing.assert_close(enlarged(given, size, sigma), expected, rtol=1e-5, atol=2e-6)


def test_smoothing__that_was_first_asked_for_while_scoring_may_stand_in_a_loss() -> None:
    with torch.inference_mode():
        smooth(maps(1, 13, 17), 1.5)
    learning = maps(1, 13, 17).requires_grad_()
    smooth(learning, 1.5).square().sum().backward()
    assert learning.grad is not None


def test_smooth__leaves_constant_maps_and_sigma_zero_alone() -> None:
    constant = torch.full((1, 6, 40), 0.37)
    torch.testing.assert_close(smooth(constant, 4.0), constant)
    pixels = maps(1, 6, 40)
    assert smooth(pixels, 0.0) is pixels


def test_smooth__treats_each_image_alone() -> None:
    pixels = maps(3, 16, 20)
    torch.testing.assert_close(smooth(pixels, 2.0)[1:2], smooth(pixels[1:2], 2.0))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(9, 30), (4, 5), (8, 12)], ids=str)
def test_resize__is_bilinear(size: tuple[int, int], align_corners: bool) -> None:
    given = maps(2, 3, 8, 12)
    expected = F.interpolate(given, size, mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(resize(given, size, align_corners=align_corners), expected)
    torch.testing.assert_close(
        resize_scores(given[:, 0], size), F.interpolate(given[:, :1], size, mode="bilinear")[:, 0]
    )
    aligned = F.interpolate(given[:, :1], size, mode="bilinear", align_corners=True)[:, 0]
    torch.testing.assert_close(resize_scores(given[:, 0], size, align_corners=True), aligned)


def test_resize__keeps_constant_maps_and_returns_what_already_fits() -> None:
    assert torch.equal(resize_scores(torch.full((1, 3, 5), 0.125), (64, 96)), torch.full((1, 64, 96), 0.125))
    given = maps(1, 2, 8, 12)
    assert resize(given, (8, 12)) is given


def test_resize__with_antialias_counts_every_pixel() -> None:
    checkers = torch.zeros(1, 1, 16, 16)
    checkers[..., ::4, ::4] = 1.0  # what plain bilinear at a quarter of the size steps over
    assert float(resize(checkers, (4, 4)).sum()) == 0.0
    assert float(resize(checkers, (4, 4), antialias=True).mean()) == pytest.approx(1 / 16, abs=0.02)


@pytest.mark.parametrize("width", [1, 3, 21])
def test_mean_filter__agrees_with_scipy(width: int) -> None:
    pixels = maps(2, 30, 40)
    expected = [uniform_filter(image.double().numpy(), width, mode="constant") for image in pixels]
    np.testing.assert_allclose(mean_filter(pixels, width), expected, atol=1e-6)


def test_block_mean__averages_blocks() -> None:
    given = torch.arange(24.0).view(1, 1, 4, 6)
    expected = given.view(2, 2, 3, 2).mean(dim=(1, 3))
    torch.testing.assert_close(block_mean(given, 2)[0, 0], expected)


def test_image_maximum__counts_valid_pixels_only() -> None:
    pixels = torch.tensor([[[1.0, 9.0], [3.0, 2.0]], [[-5.0, -4.0], [-9.0, -6.0]]])
    assert image_maximum(pixels).tolist() == [9.0, -4.0]
    valid = torch.tensor([[[True, False], [True, True]], [[False, False], [True, True]]])
    assert image_maximum(pixels, valid).tolist() == [3.0, -6.0]


def test_silence__gives_invalid_pixels_the_lowest_valid_score_of_their_own_image() -> None:
    pixels = torch.tensor([[[1.0, 9.0], [3.0, 2.0]], [[-5.0, -4.0], [-9.0, -6.0]]])
    valid = torch.tensor([[[True, False], [True, True]], [[True, True], [False, True]]])
    expected = torch.tensor([[[1.0, 1.0], [3.0, 2.0]], [[-5.0, -4.0], [-6.0, -6.0]]])
    assert torch.equal(silence(pixels, valid), expected)
    assert silence(pixels, None) is pixels


def test_positions_of__are_the_valid_ones_of_a_map_s_grid() -> None:
    levels = [maps(2, 3, 8, 12), maps(2, 5, 4, 6)]
    assert [positions_of(level, None) for level in levels] == [None, None]
    valid = torch.rand(2, 32, 48, generator=torch.Generator().manual_seed(0)) < 0.5
    found = [positions_of(level, valid) for level in levels]
    for positions, size in zip(found, ((8, 12), (4, 6)), strict=True):
        assert positions is not None
        assert torch.equal(positions, valid_positions(valid, size))


def test_valid_positions__are_those_of_which_half_is_valid() -> None:
    valid = torch.zeros(2, 4, 8, dtype=torch.bool)
    valid[0, :, :6] = True  # columns of two: whole, whole, whole, none
    valid[0, 0, 6] = True  # a quarter of one position
    valid[1, 0, 7] = True  # one pixel in all: its position stands in
    positions = valid_positions(valid, (2, 4))
    assert positions[0].tolist() == [[True, True, True, False], [True, True, True, False]]
    assert positions[1].tolist() == [[False, False, False, True], [False, False, False, False]]


def test_largest_grid__is_the_finest() -> None:
    assert largest_grid([maps(1, 2, 4, 6), maps(1, 9, 8, 12), maps(1, 1, 2, 3)]) == (8, 12)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_thinned__is_nearest_neighbour_interpolation(factor: int) -> None:
    image = maps(2, 3, 16, 24)
    assert torch.equal(thinned(image, factor), F.interpolate(image, scale_factor=1 / factor))


def test_bicubic_scores__keep_constants_and_overshoot_beside_an_edge() -> None:
    assert bicubic_scores(torch.full((1, 8, 8), 4.0), (64, 64)).unique().tolist() == pytest.approx([4.0])
    edge = torch.zeros(1, 8, 8)
    edge[:, :, 4:] = 1
    found = bicubic_scores(edge, (64, 64))
    assert float(found.min()) < -0.01
    assert float(found.max()) > 1.01
    assert bicubic_scores(maps(2, 3, 5), (31, 17)).shape == (2, 31, 17)


def test_mean_of__leaves_out_positions_mostly_on_invalid_pixels() -> None:
    given = torch.arange(12.0).view(1, 2, 6).repeat(2, 1, 1)
    valid = torch.ones(2, 4, 12, dtype=torch.bool)
    valid[1, :, 5:] = False  # more than half of the third column of positions, and all behind it
    assert mean_of(given, positions_of(given, None)).tolist() == [5.5, 5.5]
    assert mean_of(given, positions_of(given, valid)).tolist() == [5.5, (0 + 1 + 2 + 6 + 7 + 8) / 6]


def test_mean_of__nothing_is_zero() -> None:
    counted = torch.tensor([[True, False], [False, False]])
    assert mean_of(torch.tensor([[3.0, 9.0], [5.0, 7.0]]), counted).tolist() == [3.0, 0.0]
