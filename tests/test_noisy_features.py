"""Noise for a discriminator's negatives: its size, how it goes together, for which positions it is drawn."""

from functools import cache

import pytest
import torch

from leatherens.core.noisy_features import (
    FIELDS,
    SIDE,
    WINDOW,
    FieldPairs,
    WhitePairs,
    noise_fields,
    window_sample,
)
from leatherens.core.randomness import numpy_generator

KINDS = ["simplex", "perlin"]


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@cache
def _fields(kind):
    return noise_fields(kind, numpy_generator(0, "fields"))


def _pairs(kind, windows=None, taught=None, spread=(1.0, 10.0), scales=(1.0,)):
    windows = torch.zeros(3, len(spread), WINDOW, WINDOW) if windows is None else windows
    taught = torch.ones_like(windows[:, 0], dtype=torch.bool) if taught is None else taught
    return FieldPairs(windows, taught, _fields(kind), torch.tensor(spread), torch.tensor(scales))


@pytest.mark.parametrize("kind", KINDS)
def test_fields__have_mean_zero_and_variance_one(kind):
    fields = _fields(kind)

    assert (fields.shape, fields.dtype) == ((FIELDS, SIDE, SIDE), torch.float32)
    assert abs(float(fields.mean())) < 1e-5
    assert float(fields.var()) == pytest.approx(1, abs=1e-3)
    assert torch.equal(fields, noise_fields(kind, numpy_generator(0, "fields")))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scales", [(1.0,), (0.25, 0.5, 1.0)])
def test_field_noise__has_each_channels_own_spread_times_the_scales(kind, scales):
    noise = _pairs(kind, scales=scales).noise(20_000, _generator())

    size = torch.tensor(scales).square().mean().sqrt()
    torch.testing.assert_close(noise.std(dim=(0, 2, 3)), size * torch.tensor([1.0, 10.0]), rtol=0.04, atol=0)
    assert float(noise.mean(dim=(0, 2, 3)).abs().max()) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_field_noise__is_alike_at_neighbouring_positions_and_white_noise_is_not(kind):
    smooth = _pairs(kind, spread=(1.0,)).noise(5000, _generator())
    white = WhitePairs(torch.zeros(10_000, 1), torch.ones(1), torch.ones(1)).all(_generator())[1]

    assert _correlation(smooth[..., :-1], smooth[..., 1:]) > 0.7
    assert _correlation(smooth[..., :-1, :], smooth[..., 1:, :]) > 0.7
    assert abs(_correlation(white[:-1], white[1:])) < 0.05


def _correlation(one, other):
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_field_noise__goes_along_one_direction_in_each_window():
    noise = _pairs("perlin", spread=(1.0, 2.0, 3.0)).noise(20, _generator()).flatten(2)  # (n, C, s * t)

    values = torch.linalg.svdvals(noise)
    assert bool((values[:, 1] < 1e-4 * values[:, 0]).all())


@pytest.mark.parametrize("kind", KINDS)
def test_field_pairs__are_of_the_windows_positions_that_may_teach(kind):
    windows = torch.arange(2 * 2 * 4 * 3.0).view(2, 2, 4, 3)
    taught = torch.zeros(2, 4, 3, dtype=torch.bool)
    taught[0, 1:3, 2] = True
    taught[1, 0, 0] = True
    true, fake = _pairs(kind, windows, taught).all(_generator())

    expected = [windows[0, :, 1, 2], windows[0, :, 2, 2], windows[1, :, 0, 0]]
    assert true.tolist() == [row.tolist() for row in expected]
    assert fake.shape == true.shape
    assert not torch.equal(fake, true)


def test_field_pairs__a_draw_holds_about_as_many_rows_as_asked():
    pairs = _pairs("perlin", torch.zeros(50, 2, WINDOW, WINDOW))

    assert len(pairs.draw(1024, _generator())[0]) == 1024
    assert len(pairs.draw(3, _generator())[0]) == WINDOW**2


def test_window_sample__every_position_is_in_a_window():
    maps = torch.arange(20 * 11.0).view(1, 1, 20, 11)
    windows, taught = window_sample([(maps, None)], 10_000, numpy_generator(0, "w"))

    assert windows.shape[1:] == (1, WINDOW, WINDOW)
    assert bool(taught.all())
    assert set(windows.flatten().tolist()) == set(maps.flatten().tolist())
    assert window_sample([(maps[..., :5, :], None)], 10_000, numpy_generator(0, "w"))[0].shape[2:] == (
        5,
        WINDOW,
    )


def test_window_sample__keeps_to_the_limit_and_knows_what_may_teach():
    maps = torch.randn(6, 2, 16, 16, generator=_generator())
    valid = torch.ones(6, 32, 32, dtype=torch.bool)
    valid[:, :, 20:] = False  # the left window wholly valid, the right one for two columns
    windows, taught = window_sample([(maps, valid)], 5 * WINDOW**2, numpy_generator(0, "w"))

    assert len(windows) == len(taught) == 5
    assert {int(t.sum()) for t in taught} <= {WINDOW**2, 2 * WINDOW}
    valid[:, :, 16:] = False
    assert len(window_sample([(maps, valid)], 10_000, numpy_generator(0, "w"))[0]) == 6 * 2


def test_window_sample__does_not_depend_on_how_the_stream_is_cut():
    maps = torch.randn(6, 2, 16, 16, generator=_generator())
    whole = window_sample([(maps, None)], 400, numpy_generator(0, "w"))[0]
    cut = window_sample([(m, None) for m in maps.split(1)], 400, numpy_generator(0, "w"))[0]

    assert torch.equal(whole, cut)
