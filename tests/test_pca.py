"""Streaming principal components against numpy, hand cases and invariants."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.pca import Moments, kept_components, principal_components, signed


def _rows(count=500, channels=7, seed=0, offset=0.0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    return torch.randn(count, channels, generator=generator, dtype=torch.float64) @ mixing + offset


def _moments(rows, cuts=()):
    moments = Moments(rows.shape[1])
    for part in np.split(rows.numpy(), cuts):
        moments.add(torch.from_numpy(part))
    return moments


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 500), max_size=6))
def test_moments__do_not_depend_on_how_the_stream_is_cut(cuts):
    rows = _rows()
    moments = _moments(rows, sorted(cuts))

    torch.testing.assert_close(moments.covariance(), torch.from_numpy(np.cov(rows.numpy().T)))
    torch.testing.assert_close(moments.mean, rows.mean(dim=0))


def test_moments__keep_their_digits_far_from_zero():
    """Sums of squares of float32 values around 1e4 would lose a variance of 1 altogether."""
    rows = _rows(offset=1e6)

    torch.testing.assert_close(
        _moments(rows, [100, 300]).covariance(),
        torch.from_numpy(np.cov(rows.numpy().T)),
        rtol=1e-8,
        atol=1e-8,
    )


def test_moments__more_rows_than_a_chunk():
    rows = _rows(count=20_000, channels=3)

    torch.testing.assert_close(_moments(rows).covariance(), torch.from_numpy(np.cov(rows.numpy().T)))


@pytest.mark.parametrize("count", [0, 1])
def test_moments__too_few_rows(count):
    with pytest.raises(InputError) as caught:
        _moments(_rows(count=count)).covariance()

    expected = f"a covariance needs at least two positions to learn from, got {count}"
    assert str(caught.value) == expected


def test_components__diagonalise_the_covariance():
    covariance = _moments(_rows()).covariance()
    found = principal_components(covariance)

    eye = torch.eye(7, dtype=torch.float64)
    torch.testing.assert_close(found.loadings.T @ found.loadings, eye)
    torch.testing.assert_close(found.loadings.T @ covariance @ found.loadings, found.variances.diag())
    torch.testing.assert_close(found.variances.sum(), covariance.diagonal().sum())
    assert found.variances.tolist() == sorted(found.variances.tolist(), reverse=True)


def test_components__largest_loading_is_positive():
    loadings = principal_components(_moments(_rows()).covariance()).loadings

    largest = loadings.gather(0, loadings.abs().argmax(dim=0, keepdim=True))
    assert bool((largest > 0).all())


def test_signed__equal_loadings_are_decided_by_the_first_whatever_the_rounding():
    up, down = torch.tensor([[-0.7071068], [0.7071067]]), torch.tensor([[-0.7071067], [0.7071068]])

    torch.testing.assert_close(signed(up), signed(down))
    assert float(signed(up)[0]) > 0


@pytest.mark.parametrize(
    ("variances", "wanted", "limit", "expected"),
    [
        ((90, 6, 4), 0.95, None, 2),  # 0.90 < 0.95 <= 0.96
        ((90, 6, 4), 0.90, None, 1),  # met exactly
        ((90, 6, 4), 0.97, None, 3),
        ((90, 6, 4), 0.97, 2, 2),
        ((90, 6, 4), 3, 2, 3),  # a count is taken at its word
        ((5, 0, 0), 0.9999, None, 1),
        ((0, 0, 0), 0.95, None, 1),
    ],
)
def test_kept_components(variances, wanted, limit, expected):
    assert kept_components(torch.tensor(variances).double(), wanted, limit=limit) == expected


def test_kept_components__more_than_channels():
    with pytest.raises(ConfigError) as caught:
        kept_components(torch.ones(3), 4, owner="global")

    assert str(caught.value) == "global: components: 4 asked of 3 channels; at most 3 exist"
