"""The kinds by name: exact masks, never empty, within what is valid, and each sample the same anywhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from small_leather import leather

from leatherens.core.errors import ConfigError
from leatherens.core.synthesis import overlay as overlay_module
from leatherens.core.synthesis.catalogue import KINDS, kind_named
from leatherens.core.synthesis.exact import ATTEMPTS, VISIBLE, Exact, settled
from leatherens.core.synthesis.gaussian_noise import GaussianNoise
from leatherens.core.synthesis.overlay import TextureOverlay
from leatherens.core.synthesis.spoilt_images import SpoiltImages
from leatherens.core.synthesis.spots import Spots
from leatherens.core.synthesis.textures import FolderTextures
from leatherens.core.types import ImagesInMemory


def rng(seed=0):
    return np.random.default_rng(seed)


def hide(height=64, width=96):
    return leather(1, size=(height, width)).pixels[0].permute(1, 2, 0).contiguous().numpy()


def each(*, textured=False):
    chosen = [id for id, entry in KINDS.items() if entry.textured or not textured]
    return pytest.mark.parametrize("id", chosen)


@pytest.fixture
def folder(tmp_path):
    for value in range(5):
        cv2.imwrite(str(tmp_path / f"{value}.png"), rng(value).integers(0, 256, (30, 20, 3), dtype=np.uint8))
    return tmp_path


# Every kind


@each()
@pytest.mark.parametrize("size", [(64, 96), (37, 61), (33, 128)], ids=str)
def test_kind__marks_exactly_the_pixels_that_it_changes(id, size):
    image, kind = hide(*size), kind_named(id)
    before = image.copy()
    for seed in range(12):
        seen, mask = kind.draw(image, None, rng(seed))
        change = np.abs(seen - image).max(axis=2)
        assert (seen.shape, seen.dtype, mask.dtype) == (image.shape, np.float32, np.bool_)
        assert np.array_equal(change > 0, mask)
        assert mask.any()
        assert change[mask].min() >= VISIBLE
        assert 0 <= seen.min() <= seen.max() <= 1
    assert np.array_equal(image, before)


@each()
def test_kind__stays_within_the_valid_mask(id):
    image, valid = hide(), np.zeros((64, 96), np.bool_)
    valid[:, 70:90] = True
    for seed in range(12):
        seen, mask = kind_named(id).draw(image, valid, rng(seed))
        assert mask.any()
        assert not (mask & ~valid).any()
        assert np.array_equal(seen[~valid], image[~valid])


@each()
def test_kind__takes_the_smallest_photographs(id):
    image = rng().random((8, 9, 3), dtype=np.float32)
    assert all(kind_named(id).draw(image, None, rng(seed))[1].any() for seed in range(5))


@each()
def test_kind__is_the_same_for_any_order_batch_and_number_of_workers(id):
    def source():
        return SpoiltImages(ImagesInMemory(leather(3)), kind_named(id), seed=2, copies=2)

    pixels, masks = (part for part in source().drawn(range(6)))
    backwards, mirrored = source().drawn([5, 4, 3, 2, 1, 0])
    shared = source()
    with ThreadPoolExecutor(4) as workers:
        alone = list(workers.map(lambda index: shared.drawn([index]), range(6)))
    assert torch.equal(backwards.pixels.flip(0), pixels.pixels)
    assert torch.equal(mirrored.flip(0), masks)
    assert torch.equal(torch.cat([batch.pixels for batch, _ in alone]), pixels.pixels)
    assert torch.equal(torch.cat([mask for _, mask in alone]), masks)
    assert not torch.equal(pixels.pixels[:3], pixels.pixels[3:])


@each(textured=True)
def test_kind__takes_its_textures_from_the_folder(id, folder, monkeypatch):
    drawn = []
    real = FolderTextures.draw
    monkeypatch.setattr(
        FolderTextures, "draw", lambda self, rng, shape: (drawn.append(shape), real(self, rng, shape))[1]
    )
    kind = kind_named(id, FolderTextures(folder))
    for seed in range(12):
        kind.draw(hide(), None, rng(seed))
    assert drawn
    assert set(drawn) == {(64, 96)}


def test_folder_textures__serve_several_workers_from_a_memory_that_is_too_small(folder, monkeypatch):
    monkeypatch.setattr("leatherens.core.synthesis.textures.CACHE_BYTES", 2 * 16 * 16 * 3)
    alone, shared = FolderTextures(folder), FolderTextures(folder)
    with ThreadPoolExecutor(8) as workers:
        drawn = list(workers.map(lambda seed: shared.draw(rng(seed), (16, 16)), range(300)))
    assert all(np.array_equal(alone.draw(rng(seed), (16, 16)), drawn[seed]) for seed in range(300))


def test_folder_textures__pass_over_what_opencv_refuses(folder, monkeypatch):
    def refuse(content, flags):
        raise cv2.error("too many pixels")

    source = FolderTextures(folder)
    source.draw(rng(0), (8, 8))
    monkeypatch.setattr(cv2, "imdecode", refuse)
    with pytest.raises(ValueError, match="of its 5 texture files none can be read as a picture"):
        FolderTextures(folder).draw(rng(0), (8, 8))


# Names


@pytest.mark.parametrize(("id", "hint"), [("cut-out", "; did you mean 'cutout'?"), ("zebra", "")])
def test_kind_named__suggests_the_nearest(id, hint):
    with pytest.raises(ConfigError) as refused:
        kind_named(id)
    assert str(refused.value) == (
        f"no kind of anomaly '{id}'{hint} (kinds: overlay, textural, structural, blur, cutout, cutpaste, "
        "cutpaste-scar, gaussian-noise, simplex-noise, mixed)"
    )


# Exact


def test_settled__takes_back_what_cannot_be_seen():
    image = np.full((2, 3, 3), 0.5, np.float32)
    spoilt, mask = image.copy(), np.ones((2, 3), np.bool_)
    spoilt[0, 1, 2] += 0.49 / 255  # less than half a grey level
    spoilt[1, 0, 1] -= 0.51 / 255
    seen, exact = settled(image, spoilt, mask)
    assert np.argwhere(exact).tolist() == [[1, 0]]
    assert np.argwhere((seen != image).any(axis=2)).tolist() == [[1, 0]]
    assert mask.all()
    assert spoilt[0, 1, 2] > 0.5


class Seldom:
    """Changes nothing but every so many draws."""

    def __init__(self, every):
        self.every, self.draws = every, 0

    def draw(self, image, valid, rng):
        self.draws += 1
        seen = image if self.draws % self.every else image + np.float32(0.1)
        return seen, np.ones(image.shape[:2], np.bool_)


def test_exact__draws_again_until_something_changes_and_comes_to_an_end():
    image = np.zeros((4, 5, 3), np.float32)
    third, never = Seldom(3), Seldom(1000)
    assert Exact(third).draw(image, None, rng())[1].all()
    assert third.draws == 3
    seen, mask = Exact(never).draw(image, None, rng())
    assert never.draws == ATTEMPTS
    assert np.array_equal(seen, image)
    assert not mask.any()


def test_overlay__of_an_empty_mask_is_the_image_and_draws_no_texture(monkeypatch):
    monkeypatch.setattr(overlay_module, "perlin_mask", lambda *_, **__: np.zeros((8, 8), np.bool_))
    image = rng().random((8, 8, 3), dtype=np.float32)
    seen, mask = TextureOverlay(textures=None, clean_share=0.0).draw(image, None, rng())
    assert np.array_equal(seen, image)
    assert not mask.any()


# Gaussian noise


def test_gaussian_noise__is_white_of_the_deviation_drawn_in_each_channel():
    kind = GaussianNoise(Spots(threshold=-2.0), deviation=(0.1, 0.1))
    image = np.full((200, 200, 3), 0.5, np.float32)
    seen, mask = kind.draw(image, None, rng())
    noise = (seen - image).reshape(-1, 3)
    assert mask.all()
    np.testing.assert_allclose(noise.std(axis=0), 0.1, rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(noise.T), np.eye(3), atol=0.03)
    np.testing.assert_allclose(np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1], 0, atol=0.03)


def test_gaussian_noise__is_of_many_strengths():
    image = np.full((48, 48, 3), 0.5, np.float32)
    drawn = [GaussianNoise().draw(image, None, rng(seed)) for seed in range(60)]
    deviations = np.array([(seen - image)[mask].std() for seen, mask in drawn])
    assert 0.04 < deviations.min() < 0.1
    assert 0.2 < deviations.max() < 0.32
