"""One Gaussian for all rows, against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis as by_scipy
from sklearn.covariance import ledoit_wolf

from leatherens.core.one_gaussian import best_shrinkage, mahalanobis, whitening


def rows(count, channels, seed=0):
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(count, channels)) @ generator.normal(size=(channels, channels))
    return torch.from_numpy(mixed + 3)


def test_whitening__shrunk_to_the_end_measures_plain_distance_in_mean_deviations():
    covariance = torch.diag(torch.tensor([4.0, 9.0, 11.0], dtype=torch.float64))

    torch.testing.assert_close(whitening(covariance, 1.0), torch.eye(3, dtype=torch.float64) / 8**0.5)
    half = torch.tensor([6.0, 8.5, 9.5], dtype=torch.float64).rsqrt().diag()
    torch.testing.assert_close(whitening(covariance, 0.5), half)


def test_whitening__of_nothing_that_varies_is_plain_distance():
    nothing = torch.zeros(3, 3, dtype=torch.float64)
    assert torch.equal(whitening(nothing, 0.0), torch.eye(3, dtype=torch.float64))


def test_whitening__of_a_flat_cloud_needs_shrinkage():
    flat = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))
    with pytest.raises(torch.linalg.LinAlgError):
        whitening(flat, 0.0)
    assert bool(whitening(flat, 0.01).isfinite().all())


@pytest.mark.parametrize(("count", "channels"), [(40, 5), (10, 30), (200, 30), (2, 4), (1000, 2)])
def test_best_shrinkage__is_ledoits_and_wolfs(count, channels):
    found = rows(count, channels)
    _, expected = ledoit_wolf(found.numpy())
    assert best_shrinkage(found) == pytest.approx(expected, abs=1e-9)


def test_best_shrinkage__of_equal_rows_is_all():
    assert best_shrinkage(torch.ones(4, 3)) == 1.0


def test_mahalanobis__agrees_with_scipy():
    some = rows(50, 4)
    mean, covariance = some.mean(dim=0), some.T.cov()
    found = mahalanobis(some, mean, whitening(covariance, 0.0))
    inverse = np.linalg.inv(covariance.numpy())
    expected = [by_scipy(row, mean.numpy(), inverse) for row in some.numpy()]
    np.testing.assert_allclose(found, expected)
