"""A stand-in for an ensemble that scores pixels by their colour: the map of a photograph is then known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from pictures import grain, save

from leatherens.core.own_level import less_own_level
from leatherens.core.photographs import read_photograph
from leatherens.core.preparation import Prepared
from leatherens.core.reading import Sample
from leatherens.core.thresholds import Normals
from leatherens.core.types import ImageBatch, ScoreMap
from leatherens.ensembles import tiled_photographs
from leatherens.ensembles.ensemble import ENSEMBLE, Stopwatch
from leatherens.ensembles.scoring import TiledScores, score_images
from leatherens.ensembles.tiled_photographs import TiledPhotographs, Tiling
from leatherens.ensembles.tiled_scoring import score_photograph
from leatherens.plugins.mask import MaskPreparation

TILING = Tiling(tile=(32, 40), size=(32, 40), overlap=0.25)
SIZES = ((70, 90), (100, 50), (20, 200))


def redness(batch: ImageBatch) -> torch.Tensor:
    return batch.pixels[:, 0]


@dataclass
class ByColour:
    """Its members score the red and the green; the ensemble is the red one's."""

    alone: bool = True
    device: str = "cpu"
    largest: int = 0

    def score(self, batch: ImageBatch, watch: Stopwatch) -> dict[str, ScoreMap]:
        self.largest = max(self.largest, len(batch))
        with watch.measure("member/red"):
            maps = {"red": batch.pixels[:, 0], "green": batch.pixels[:, 1]}
        scored = {name: ScoreMap(m, m.flatten(1).amax(dim=1), batch.valid) for name, m in maps.items()}
        return {ENSEMBLE: scored["red"], **scored}

    def milliseconds(self, watch: Stopwatch, images: int) -> dict[str, float]:
        return dict.fromkeys((ENSEMBLE, "red", "green"), 1.0 * images)


@pytest.fixture
def source(tmp_path):
    samples = [
        Sample(save(tmp_path / f"{n}.png", grain(*size, seed=n)), f"{n}.png", False)
        for n, size in enumerate(SIZES)
    ]
    return TiledPhotographs(samples, TILING)


def colour(source: TiledPhotographs, index: int, channel: int) -> np.ndarray:
    return read_photograph(source.samples[index].path)[:, :, channel] / np.float32(255)


def whole(full) -> np.ndarray:
    return np.concatenate([scores for scores, _ in full.bands()])


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_map_of_a_photograph__is_that_of_its_tiles_at_its_own_size(source, batch_size, index):
    ensemble = ByColour()
    found = score_photograph(ensemble, source, source.samples[index], batch_size, Stopwatch())
    assert ensemble.largest <= batch_size
    for scorer, channel in ((ENSEMBLE, 0), ("red", 0), ("green", 1)):
        expected = colour(source, index, channel)
        assert found.maps[scorer].size == SIZES[index]
        assert np.allclose(whole(found.maps[scorer]), expected, atol=1e-5)
        assert found.images[scorer] == pytest.approx(float(expected.max()), abs=1e-6)


def test_tiles_at_another_scale__come_back_at_the_photograph_s(source):
    halved = TiledPhotographs(source.samples, Tiling((32, 40), (16, 20), 0.25))
    found = score_photograph(ByColour(), halved, source.samples[0], 4, Stopwatch())
    scores = whole(found.maps[ENSEMBLE])
    assert scores.shape == SIZES[0]
    assert (
        np.corrcoef(scores.ravel(), colour(source, 0, 0).ravel())[0, 1] > 0.4
    )  # of white noise averaged over 2 x 2, 0.5 is all there is


def test_own_level__is_taken_off_once_and_of_the_whole(source):
    found = score_photograph(ByColour(alone=False), source, source.samples[0], 4, Stopwatch())
    pixels = torch.from_numpy(colour(source, 0, 0))
    assert np.allclose(whole(found.maps[ENSEMBLE]), less_own_level(pixels[None])[0].numpy(), atol=1e-5)
    assert np.allclose(whole(found.maps["red"]), pixels.numpy(), atol=1e-5)


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_does_not_count__is_silent_and_raises_nothing(tmp_path, when):
    pixels = np.full((70, 90, 3), 100, np.uint8)
    pixels[:, :45, 0] = 250  # all that is odd lies where nothing is inspected
    pixels[10, 80, 0] = 120
    path = save(tmp_path / "a.png", pixels)
    corners = ((-1, -1), (45, -1), (45, 99), (-1, 99))
    step = MaskPreparation(MaskPreparation.Params(polygons=(corners,), when=when))
    step.fit([Prepared("a", pixels)])

    class Silencing(ByColour):
        def score(self, batch, watch):
            scored = {}
            for name, s in super().score(batch, watch).items():
                seen = s.pixels if batch.valid is None else s.pixels.masked_fill(~batch.valid, 0.1)
                scored[name] = ScoreMap(seen, seen.flatten(1).amax(dim=1), batch.valid)
            return scored

    source = TiledPhotographs([Sample(path, "a.png")], TILING, [step])
    found = score_photograph(Silencing(), source, source.samples[0], 4, Stopwatch())
    scores, valid = found.maps[ENSEMBLE].rows(0, 70)
    assert np.array_equal(valid, np.broadcast_to(np.arange(90) >= 45, (70, 90)))
    assert found.images[ENSEMBLE] == pytest.approx(120 / 255)
    assert scores[10, 80] == pytest.approx(120 / 255)
    assert np.allclose(np.delete(scores[:, 45:].ravel(), 10 * 45 + 35), 100 / 255)
    assert np.allclose(scores[:, :45], 100 / 255)


class TestScoreImages:
    def score(self, source: TiledPhotographs, keep: Callable | None = None):
        advanced: list[int] = []
        scores = score_images(ByColour(), source, 4, advanced.append, keep)
        assert advanced == [1] * len(source.ids)
        return scores

    def test_scores(self, source):
        scores = self.score(source)
        assert scores.ids == ("0.png", "1.png", "2.png")
        assert list(scores.by_scorer) == [ENSEMBLE, "red", "green"]
        found = scores.by_scorer[ENSEMBLE]
        assert isinstance(found, TiledScores)
        assert found.images.dtype == np.float32
        for index in range(3):
            assert np.allclose(found.map(index), colour(source, index, 0), atol=1e-5)
            assert found.valid(index) is None
        assert scores.milliseconds[ENSEMBLE] == 2, "the first of three warms up"

    def test_thinned_maps__still_know_the_highest_score(self, source, monkeypatch):
        monkeypatch.setattr(tiled_photographs, "KEPT_PIXELS", 2000)
        found = self.score(source).by_scorer["green"]
        normals = found.normals()
        assert isinstance(normals, Normals)
        for index in range(3):
            expected = colour(source, index, 1)
            assert np.allclose(found.map(index), expected[::3, ::3], atol=1e-5)
            assert normals.maxima[index] == pytest.approx(float(expected.max()), abs=1e-5)

    def test_keep__sees_every_map_at_its_own_size(self, source):
        kept = {}
        self.score(source, lambda number, full: kept.update({number: (full.size, whole(full))}))
        for index in range(3):
            assert kept[index][0] == SIZES[index]
            assert np.allclose(kept[index][1], colour(source, index, 0), atol=1e-5)
