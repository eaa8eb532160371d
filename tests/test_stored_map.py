from __future__ import annotations

import numpy as np
import pytest
import torch

from leatherens.core.errors import ArtifactError
from leatherens.core.own_level import less_own_level
from leatherens.core.preparation import Frame
from leatherens.ensembles import stored_map
from leatherens.ensembles.stored_map import StoredMap


def scores(height: int = 300, width: int = 77, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)


def stored(pixels: np.ndarray, valid: np.ndarray | None = None, *cuts: int) -> StoredMap:
    full = StoredMap(pixels.shape)
    rows = [slice(a, b) for a, b in zip((0, *cuts), (*cuts, len(pixels)), strict=True)]
    for part in rows:
        full.add((pixels[part], None if valid is None or valid[part].all() else valid[part]))
    return full


def whole(full: StoredMap) -> tuple[np.ndarray, np.ndarray]:
    parts = [(s, np.ones(s.shape, bool) if v is None else v) for s, v in full.bands()]
    return np.concatenate([s for s, _ in parts]), np.concatenate([v for _, v in parts])


def test_rows__come_back_bit_for_bit():
    pixels = scores()
    full = stored(pixels, None, 1, 130)
    found, valid = whole(full)
    assert np.array_equal(found, pixels)
    assert valid.all()
    assert full.rows(3, 5)[1] is None
    assert (full.lowest, full.highest) == (float(pixels.min()), float(pixels.max()))


def test_what_does_not_count__has_the_lowest_score_that_does():
    pixels, valid = scores(), np.random.default_rng(1).random((300, 77)) > 0.3
    valid[:40] = True
    pixels[~valid] = 1e6
    full = stored(pixels, valid, 40, 200)
    found, counted = whole(full)
    assert np.array_equal(counted, valid)
    assert np.array_equal(found, np.where(valid, pixels, pixels[valid].min()))
    assert full.highest == pixels[valid].max()


def test_thinned():
    pixels, valid = scores(), np.ones((300, 77), bool)
    valid[6, :9] = False
    found, counted = stored(pixels, valid).thinned(3, 4)
    assert np.array_equal(counted, valid[::3, ::4])
    assert np.array_equal(found[counted], pixels[::3, ::4][counted])


@pytest.mark.parametrize("size", [(300, 77), (64, 64), (129, 500), (9, 9)])
def test_own_level__is_the_whole_photograph_s(size):
    pixels = scores(*size)
    full = stored(pixels)
    full.take_off_own_level()
    expected = less_own_level(torch.from_numpy(pixels)[None])[0].numpy()
    assert np.allclose(whole(full)[0], expected, atol=1e-6)
    assert full.highest == pytest.approx(float(expected.max()), abs=1e-6)
    assert full.lowest == pytest.approx(float(expected.min()), abs=1e-6)


def test_own_level__leaves_out_what_does_not_count():
    pixels, valid = scores(60, 60) + 5, np.zeros((60, 60), bool)
    valid[:, :30] = True
    full = stored(pixels, valid)
    full.take_off_own_level()
    alone = stored(pixels[:, :30].copy())
    alone.take_off_own_level()
    assert np.allclose(whole(full)[0][:, :30], whole(alone)[0], atol=0.02)


def test_back__is_the_frame_s():
    pixels = scores(50, 60)
    warp = np.array([[1.0, 0, 7], [0, 1, -4], [0, 0, 1]])
    frame = Frame((48, 70), (50, 60), warp)
    back = stored(pixels).back(frame)
    found, counted = whole(back)
    assert back.size == (48, 70)
    assert np.array_equal(counted, frame.back_valid(torch.ones(50, 60, dtype=torch.bool)))
    assert np.array_equal(found[counted], frame.back(torch.from_numpy(pixels))[counted])
    same = stored(pixels)
    assert same.back(Frame((50, 60), (50, 60))) is same


def test_full_disk__is_a_sentence(monkeypatch):
    class Full:
        def seek(self, *place):
            pass

        def close(self):
            pass

        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(stored_map, "scratch_file", lambda owner: Full())
    with pytest.raises(ArtifactError, match=r"no room for a score map of 300 x 77 pixels \(No space left"):
        stored(scores())
