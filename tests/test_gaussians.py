"""Gaussians of positions: moments of a stream, whitening and distances, against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import Tensor

from leatherens.core.gaussians import PositionMoments, at_positions, on_grid, whitened, whitening

POSITIONS, IMAGES, CHANNELS = 5, 40, 4


def vectors(images: int = IMAGES, *, offset: float = 0.0, seed: int = 0) -> Tensor:
    """(P, B, C) correlated ones, of another law at each position."""
    generator = torch.Generator().manual_seed(seed)
    turned, _ = torch.linalg.qr(torch.randn(POSITIONS, CHANNELS, CHANNELS, generator=generator))
    mixing = torch.linspace(0.3, 3, CHANNELS)[:, None] * turned
    plain = torch.randn(POSITIONS, images, CHANNELS, generator=generator)
    return plain @ mixing + torch.arange(POSITIONS)[:, None, None] + offset


def moments(seen: Tensor, *, cut: int = 7, counted: Tensor | None = None) -> PositionMoments:
    found = PositionMoments(len(seen), seen.shape[2])
    for start in range(0, seen.shape[1], cut):
        some = slice(start, start + cut)
        found.add(seen[:, some], None if counted is None else counted[:, some])
    return found


def distances(learned: Tensor, queries: Tensor, *, ridge: float = 0.01) -> Tensor:
    found = moments(learned)
    return whitened(queries, found.mean.clone(), whitening(found, ridge)).norm(dim=2)


def row(*values: float) -> Tensor:
    """One position, one channel."""
    return torch.tensor(values).view(1, -1, 1)


# by hand


def test_three_images_by_hand() -> None:
    assert float(distances(row(1, 2, 3), row(4))) == pytest.approx(2 / 1.01**0.5, rel=1e-6)  # 1.99007


def test_covariance_is_divided_by_one_less_than_the_images() -> None:
    assert float(distances(row(0, 2), row(2), ridge=0)) == pytest.approx(1 / 2**0.5, rel=1e-6)


def test_the_mean_is_at_distance_zero() -> None:
    learned = vectors()
    assert float(distances(learned, moments(learned).mean[:, None]).max()) == 0


def test_identical_images_leave_the_ridge_ten_times_the_euclidean_distance() -> None:
    same = torch.tensor([3.0, -1.0, 2.0]).expand(2, 6, 3)
    query = same[:, :1] + torch.tensor([0.3, 0.4, 0.0])
    torch.testing.assert_close(distances(same, query), torch.full((2, 1), 5.0))


def test_mean_square_on_what_was_learned_is_known_exactly() -> None:
    learned = vectors()
    found = distances(learned, learned, ridge=0).square().mean(dim=1)
    expected = CHANNELS * (IMAGES - 1) / IMAGES
    torch.testing.assert_close(found, torch.full((POSITIONS,), expected), rtol=1e-5, atol=0)


# against independent computations


def test_moments_are_numpy_s() -> None:
    learned = vectors(offset=1000.0)
    found = moments(learned)
    exact = learned.double().numpy()
    np.testing.assert_allclose(found.mean.numpy(), exact.mean(axis=1), rtol=1e-6)
    covariances = np.stack([np.cov(position.T) for position in exact])
    np.testing.assert_allclose(found.scatter.numpy() / (IMAGES - 1), covariances, rtol=1e-3, atol=1e-3)


def test_moments_do_not_depend_on_how_the_stream_is_cut() -> None:
    learned = vectors()
    whole, cut = moments(learned, cut=IMAGES), moments(learned, cut=1)
    torch.testing.assert_close(whole.mean, cut.mean)
    torch.testing.assert_close(whole.scatter, cut.scatter, rtol=1e-4, atol=1e-4)


def test_distances_are_scipy_s() -> None:
    learned, queries = vectors(), vectors(3, seed=1)
    found = distances(learned, queries)
    for position in range(POSITIONS):
        exact = learned[position].double().numpy()
        inverse = np.linalg.inv(np.cov(exact.T) + 0.01 * np.eye(CHANNELS))
        for image in range(3):
            expected = mahalanobis(queries[position, image].double().numpy(), exact.mean(axis=0), inverse)
            assert float(found[position, image]) == pytest.approx(expected, rel=1e-5)


def test_whitened_components_are_independent_and_of_variance_one() -> None:
    learned = vectors(400)
    found = moments(learned)
    components = whitened(learned, found.mean.clone(), whitening(found, 0.0))
    for position in components.double().numpy():
        np.testing.assert_allclose(np.cov(position.T), np.eye(CHANNELS), atol=1e-5)


def test_channels_in_another_order_are_as_far() -> None:
    learned, queries, order = vectors(), vectors(3, seed=1), [2, 0, 3, 1]
    torch.testing.assert_close(
        distances(learned[..., order], queries[..., order]), distances(learned, queries), rtol=1e-4, atol=1e-5
    )


def test_blocks_of_factors_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = whitening(moments(vectors()), 0.01).clone()
    done: list[int] = []
    monkeypatch.setattr("leatherens.core.gaussians.BLOCK", 2 * CHANNELS**2)
    torch.testing.assert_close(whitening(moments(vectors()), 0.01, done.append), whole)
    assert done == [2, 2, 1]


# what is left out


def test_vectors_left_out_teach_nothing() -> None:
    learned = vectors()
    counted = torch.rand(POSITIONS, IMAGES, generator=torch.Generator().manual_seed(2)) < 0.6
    spoilt = torch.where(counted[..., None], learned, 1e3)
    found = moments(spoilt, counted=counted)
    for position, kept in enumerate(counted):
        alone = moments(learned[position : position + 1, kept])
        torch.testing.assert_close(found.mean[position], alone.mean[0])
        torch.testing.assert_close(found.scatter[position], alone.scatter[0], rtol=1e-4, atol=1e-4)
        assert int(found.count[position]) == int(kept.sum())


def test_positions_seen_once_or_never_take_the_average_of_the_others() -> None:
    counted = torch.ones(POSITIONS, IMAGES, dtype=torch.bool)
    counted[0] = False
    counted[1, 1:] = False
    counted[2, 10:] = False
    found = moments(vectors(), counted=counted)
    others = found.scatter[2:].sum(dim=0) / (9 + 2 * (IMAGES - 1))
    assert found.pool_rarely_seen() == 2
    for position in (0, 1):
        torch.testing.assert_close(found.scatter[position] / (found.count[position] - 1), others)
        torch.testing.assert_close(found.mean[position], found.mean[2:].mean(dim=0))


def test_nothing_is_pooled_where_nothing_was_seen_twice() -> None:
    found = moments(vectors(1))
    assert found.pool_rarely_seen() == POSITIONS
    assert not bool(found.scatter.any())


def test_maps_come_back_from_their_positions() -> None:
    maps = torch.arange(24.0).view(2, 2, 2, 3)
    assert at_positions(maps)[4].tolist() == maps[:, :, 1, 1].tolist()
    assert torch.equal(on_grid(at_positions(maps), (2, 3)), maps)
