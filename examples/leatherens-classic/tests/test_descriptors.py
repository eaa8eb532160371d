"""The descriptors' mathematics, against hand cases and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from leatherens_classic.gabor import BANDWIDTH, responses
from leatherens_classic.glcm import DIRECTIONS, pair_codes, statistics
from leatherens_classic.histogram import moments
from leatherens_classic.lbp import patterns
from leatherens_classic.wavelet import Wavelet, energies
from leatherens_classic.windows import cell_histograms, cell_means, grey, on_pixels, over_windows, padded
from scipy import stats
from skimage.feature import graycomatrix, graycoprops
from skimage.filters import gabor

from leatherens.core.errors import ConfigError

HARALICK = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]])
"""The picture of figure 3 of Haralick's paper."""


def test_co_occurrence__of_haralicks_picture():
    pairs = pair_codes(HARALICK, (0, 1), 4)[:, :-1]  # the last column's partners are mirrored ones
    counts = np.bincount(pairs.ravel(), minlength=16).reshape(4, 4)

    assert (counts + counts.T).tolist() == [[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]]


def test_statistics__of_haralicks_picture_by_hand():
    table = np.float32([[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]]) / 24
    contrast, dissimilarity, homogeneity, energy, _, _ = statistics(table.reshape(16), 4).tolist()

    assert contrast == pytest.approx((2 * 2 * 1 + 2 * 1 * 4 + 2 * 1) / 24)
    assert dissimilarity == pytest.approx((2 * 2 + 2 * 2 + 2) / 24)
    assert homogeneity == pytest.approx((16 + 2 * 2 / 2 + 2 / 5 + 2 / 2) / 24)
    assert energy == pytest.approx(np.sqrt(16 + 8 + 2 + 16 + 36 + 2 + 4) / 24)


def test_statistics__agree_with_scikit_image():
    levels = np.random.default_rng(0).integers(0, 8, (40, 50))
    table = graycomatrix(levels.astype(np.uint8), [1], [0], levels=8, symmetric=True, normed=True)
    found = statistics(table[..., 0, 0].reshape(64).astype(np.float32), 8)

    names = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "entropy")
    expected = [graycoprops(table, name)[0, 0] for name in names[:5]]
    assert found[:5].tolist() == pytest.approx(expected, rel=1e-4)
    assert float(found[5]) == pytest.approx(stats.entropy(table.ravel(), base=2), rel=1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_pairs__stand_in_the_direction_asked_for(direction):
    levels = np.arange(35).reshape(5, 7)
    down, across = direction
    found = pair_codes(levels, direction, 100)

    assert found[2, 3] == levels[2, 3] * 100 + levels[2 + down, 3 + across]


def test_patterns__of_a_bright_point_an_edge_and_nothing():
    point, edge = np.full((5, 5), 0.2, np.float32), np.full((5, 5), 0.2, np.float32)
    point[2, 2], edge[:, 3:] = 0.8, 0.8

    assert patterns(point, 8, 1.0)[2, 2] == 0  # none around it is as bright
    assert patterns(edge, 8, 1.0)[2, 2] == 8  # all are at least as bright
    assert patterns(edge, 8, 1.0)[2, 3] == 5  # of the bright side, three are right and two along the edge


def test_gabor__agrees_with_scikit_image():
    plane = np.random.default_rng(1).random((96, 96)).astype(np.float32)
    found = responses(plane, 0.2, 4)

    for i in range(4):
        real, imaginary = gabor(plane, 0.2, theta=i * np.pi / 4, bandwidth=1, n_stds=5)
        expected = np.hypot(real, imaginary)
        inside = np.s_[30:-30, 30:-30]
        assert np.abs(found[..., i] - expected)[inside].max() < 0.03 * expected[inside].max()


def test_gabor__answers_to_its_own_wave():
    rows, columns = np.mgrid[:64, :64]
    strongest = [
        responses(np.sin(2 * np.pi * 0.125 * wave).astype(np.float32), 0.125, 2).mean(axis=(0, 1)).argmax()
        for wave in (columns, rows)
    ]

    assert strongest == [0, 1]
    assert pytest.approx(0.5622, abs=1e-4) == BANDWIDTH


def test_wavelet__of_stripes_by_hand():
    stripes = np.tile(np.float32([1, 0]), (8, 4))  # pairs across: each Haar coefficient is (1 - 0) / 2 * 2
    found = energies(stripes, "haar", levels=1, cell=8)

    # pywt's bands: horizontal, vertical, diagonal detail; columns that alternate are vertical detail
    assert found.tolist() == [[[0.0, pytest.approx(1.0), 0.0]]]


def test_wavelet__keeps_energy():
    noise = np.random.default_rng(2).normal(size=(64, 64)).astype(np.float32)
    found = energies(noise, "db2", levels=3, cell=8)

    assert found.mean() == pytest.approx(1, abs=0.1)


def test_wavelet__options_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="cannot be halved 4 times"):
        Wavelet.from_options({"levels": 4})
    with pytest.raises(ConfigError, match="'db99' is none of PyWavelets' discrete ones"):
        Wavelet.from_options({"wavelet": "db99"})


def test_moments__agree_with_scipy():
    values = np.random.default_rng(3).gamma(2, 0.1, 4000)
    found = moments(np.array([(values**k).mean() for k in (1, 2, 3, 4)]))
    expected = [values.mean(), values.std(), stats.skew(values), stats.kurtosis(values, fisher=False)]

    assert found.tolist() == pytest.approx(expected, rel=2e-3)


def test_windows__are_the_mean_of_their_pixels():
    plane = np.random.default_rng(4).random((40, 40, 1)).astype(np.float32)
    found = over_windows(cell_means(plane, 8), 1)

    assert found[2, 2, 0] == pytest.approx(plane[8:32, 8:32].mean(), rel=1e-5)


def test_histograms__count_every_pixel_once():
    codes = np.random.default_rng(5).integers(0, 5, (16, 24))
    found = cell_histograms(codes, 5, 8)

    assert found.shape == (2, 3, 5)
    assert found[1, 2].tolist() == pytest.approx([(codes[8:, 16:] == k).mean() for k in range(5)])


def test_pixels__of_a_cell_lie_where_the_cell_lies():
    scores = np.zeros((3, 4), np.float32)
    scores[1, 2] = 1
    pixels = on_pixels(scores, 8, (20, 30), sigma=0)

    assert pixels.shape == (20, 30)
    rows, columns = np.nonzero(pixels == pixels.max())
    assert (rows.mean(), columns.mean()) == (11.5, 19.5)


def test_grey__and_padding():
    photograph = np.ones((5, 6, 3), np.float32)

    assert grey(photograph) == pytest.approx(np.ones((5, 6)))
    assert padded(photograph, 4, margin=1).shape == (16, 16, 3)
