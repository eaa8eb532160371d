"""Patch descriptors and patch scores against loops, numpy slices and scipy: nothing of ours inside."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

from leatherens.core.patches import (
    described_channels,
    locally_aware,
    neighbourhoods,
    patch_scores,
    pooled_channels,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pooled_by_loop(values: np.ndarray, bins: int) -> np.ndarray:
    """(..., n) to (..., bins)."""
    n = values.shape[-1]
    windows = [(i * n // bins, math.ceil((i + 1) * n / bins)) for i in range(bins)]
    return np.stack([values[..., start:stop].mean(axis=-1) for start, stop in windows], axis=-1)


# channels averaged


@pytest.mark.parametrize(
    ("channels", "bins", "first", "second"),
    [
        (4608, 1536, (0, 3), (3, 6)),  # WideResNet-50's layer 2: 9 x 512 values
        (9216, 1536, (0, 6), (6, 12)),  # its layer 3: 9 x 1024
        (3072, 1536, (0, 2), (2, 4)),  # both together
        (4608, 1024, (0, 5), (4, 9)),  # 4.5 a window: neighbours share a channel
        (4, 6, (0, 1), (0, 2)),  # fewer channels than windows
    ],
)
def test_pooled_channels__windows(
    channels: int, bins: int, first: tuple[int, int], second: tuple[int, int]
) -> None:
    rows = random(2, channels)
    pooled = pooled_channels(rows, bins)
    assert pooled.shape == (2, bins)
    for at, (start, stop) in enumerate((first, second)):
        torch.testing.assert_close(pooled[:, at], rows[:, start:stop].mean(dim=1))
    expected = pooled_by_loop(rows.double().numpy(), bins)
    np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=1e-6)


def test_pooled_channels__every_place_on_its_own() -> None:
    maps = random(2, 10, 3, 5)
    pooled = pooled_channels(maps, 4)
    for b, row, column in product(range(2), range(3), range(5)):
        expected = pooled_by_loop(maps[b, :, row, column].double().numpy(), 4)
        np.testing.assert_allclose(pooled[b, :, row, column], expected, atol=1e-6)


def test_pooled_channels__as_many_as_there_are_leaves_them() -> None:
    maps = random(2, 10, 3, 5)
    assert pooled_channels(maps, 10) is maps


# windows


@pytest.mark.parametrize("side", [1, 3, 5])
def test_neighbourhoods__are_channel_major_rows_of_zero_padded_windows(side: int) -> None:
    maps, margin = random(2, 3, 4, 6), side // 2
    found = neighbourhoods(maps, side)
    assert found.shape == (2, 3 * side**2, 4, 6)
    padded = np.pad(maps.numpy(), ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    for row, column in product(range(4), range(6)):
        window = padded[:, :, row : row + side, column : column + side]
        np.testing.assert_array_equal(found[:, :, row, column], window.reshape(2, -1))


# descriptors


def authors_order(levels: list[Tensor], side: int, level_bins: int, bins: int) -> np.ndarray:
    """(B, h, w, bins): every value of every window to the finest grid, and only then averaged, in float64."""
    batch, _, height, width = levels[0].shape
    means = []
    for level in levels:
        channels, *grid = level.shape[1:]
        windows = F.unfold(level.double(), side, padding=side // 2).view(batch, channels * side**2, *grid)
        fine = F.interpolate(windows, (height, width), mode="bilinear", align_corners=False)
        means.append(pooled_by_loop(fine.permute(0, 2, 3, 1).numpy(), level_bins))
    stacked = np.stack(means, axis=-2)  # (B, h, w, levels, level_bins)
    return pooled_by_loop(stacked.reshape(batch, height, width, -1), bins)


@pytest.mark.parametrize(
    ("side", "level_bins", "bins"),
    [(3, 12, 12), (3, 12, 8), (3, 7, 5), (1, 3, 4), (5, 20, 13), (3, 80, 160)],
    ids=["even windows", "published order", "overlapping", "no window", "wide window", "more than channels"],
)
def test_locally_aware__averages_first_and_equals_the_authors_order(
    side: int, level_bins: int, bins: int
) -> None:
    levels = [random(2, 8, 8, 12), random(2, 12, 4, 6, seed=1)]
    found = locally_aware(levels, side=side, level_bins=level_bins, bins=bins)
    expected = authors_order(levels, side, level_bins, bins)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1), expected, atol=1e-5)


def test_locally_aware__of_odd_grids_and_three_levels() -> None:
    levels = [random(1, 4, 7, 11), random(1, 6, 4, 6, seed=1), random(1, 8, 2, 3, seed=2)]
    found = locally_aware(levels, level_bins=6, bins=9)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1), authors_order(levels, 3, 6, 9), atol=1e-5)


def test_locally_aware__keeping_channels_is_one_bin_a_channel() -> None:
    levels = [random(2, 8, 8, 12), random(2, 8, 4, 6, seed=1)]
    kept, pooled = (locally_aware(levels, level_bins=bins, bins=None) for bins in (None, 8))
    assert kept.shape == (2, 16, 8, 12)
    torch.testing.assert_close(kept, pooled)


def test_locally_aware__keeps_the_levels_order_and_takes_the_finest_grid() -> None:
    fine, deep = random(1, 4, 6, 10), random(1, 8, 3, 5, seed=1)
    one, other = (
        locally_aware(levels, level_bins=None, bins=None) for levels in ([fine, deep], [deep, fine])
    )
    assert one.shape == other.shape == (1, 12, 6, 10)
    assert torch.equal(one[:, :4], other[:, 8:])
    assert torch.equal(one[:, 4:], other[:, :8])


def test_locally_aware__of_constant_maps_is_constant_inside_and_counts_zeros_beyond_the_border() -> None:
    levels = [torch.full((1, 4, 8, 12), 9.0), torch.full((1, 4, 8, 12), 18.0)]
    for level_bins in (None, 4):
        maps = locally_aware(levels, level_bins=level_bins, bins=None)[0]
        for constant, channels in ((9, maps[:4]), (18, maps[4:])):
            torch.testing.assert_close(channels[:, 1:-1, 1:-1], torch.full((4, 6, 10), float(constant)))
            torch.testing.assert_close(channels[:, 0, 1:-1], torch.full((4, 10), constant * 6 / 9))
            torch.testing.assert_close(channels[:, 0, 0], torch.full((4,), constant * 4 / 9))


@pytest.mark.parametrize(
    ("level_bins", "bins", "wide"), [(None, None, 20), (16, None, 32), (None, 7, 7), (16, 7, 7)]
)
def test_described_channels__are_those_delivered(level_bins: int | None, bins: int | None, wide: int) -> None:
    maps = locally_aware([random(1, 8, 4, 6), random(1, 12, 2, 3)], level_bins=level_bins, bins=bins)
    assert maps.shape[1] == described_channels((8, 12), level_bins, bins) == wide


# scores


def enlarged(patches: Tensor, size: tuple[int, int]) -> np.ndarray:
    return F.interpolate(patches[:, None].double(), size, mode="bilinear", align_corners=False)[:, 0].numpy()


@pytest.mark.parametrize(("size", "sigma"), [((64, 96), 4.0), ((57, 83), 2.5), ((64, 96), 0.0)])
def test_patch_scores__are_enlarged_and_then_smoothed(size: tuple[int, int], sigma: float) -> None:
    patches = random(3, 8, 12)
    scores = patch_scores(patches, size, smoothing=sigma)
    expected = np.stack([gaussian_filter(m, sigma) if sigma else m for m in enlarged(patches, size)])
    np.testing.assert_allclose(scores.pixels, expected, atol=1e-5)
    assert torch.equal(scores.image, patches.flatten(1).amax(dim=1)), "before smoothing"


def test_patch_scores__of_a_constant_map_are_constant_to_the_border() -> None:
    scores = patch_scores(torch.full((2, 8, 12), -3.0), (64, 96), smoothing=4.0)
    torch.testing.assert_close(scores.pixels, torch.full((2, 64, 96), -3.0))
    assert scores.image.tolist() == [-3, -3]


def test_patch_scores__a_given_image_score_stands() -> None:
    scores = patch_scores(random(2, 8, 12), (64, 96), smoothing=4.0, image=torch.tensor([5.0, 7.0]))
    assert scores.image.tolist() == [5, 7]


def test_patch_scores__of_positions_mostly_hidden_are_the_lowest_visible_one_before_smoothing() -> None:
    patches = random(2, 8, 12)
    patches[:, 6, 9], patches[0, 2, 3] = 50.0, 20.0
    valid = torch.ones(2, 64, 96, dtype=torch.bool)
    valid[:, 48:] = False  # rows 6 and 7 of the grid
    valid[0, 16:24, 24:29] = False  # five columns of eight of position (2, 3)
    valid[1, 16:24, 24:28] = False  # four: half is enough to count
    scores = patch_scores(patches, (64, 96), smoothing=2.0, valid=valid)

    visible = np.ones((2, 8, 12), dtype=bool)
    visible[:, 6:] = False
    visible[0, 2, 3] = False
    for i in range(2):
        raw = patches[i].double().numpy()
        lowest = raw[visible[i]].min()
        quiet = torch.from_numpy(np.where(visible[i], raw, lowest))[None]
        expected = gaussian_filter(enlarged(quiet, (64, 96))[0], 2.0)
        inside = valid[i].numpy()
        np.testing.assert_allclose(scores.pixels[i].numpy()[inside], expected[inside], atol=1e-5)
        np.testing.assert_allclose(scores.pixels[i].numpy()[~inside], expected[inside].min(), atol=1e-5)
        assert float(scores.image[i]) == pytest.approx(raw[visible[i]].max())
