"""Where anomalies lie, the draw among kinds of them, and what all kinds that replace the image keep to."""

from __future__ import annotations

import numpy as np
import pytest

from leatherens.core.synthesis import spots as spots_module
from leatherens.core.synthesis import textural as textural_module
from leatherens.core.synthesis.blurred import BlurAnomaly
from leatherens.core.synthesis.kinds import OneOf
from leatherens.core.synthesis.noise_patch import NoisePatch
from leatherens.core.synthesis.patterns import ProceduralTextures
from leatherens.core.synthesis.spots import SPOTS, Spots, disc
from leatherens.core.synthesis.structural import StructuralAnomaly
from leatherens.core.synthesis.textural import TexturalAnomaly

KINDS = [StructuralAnomaly(), TexturalAnomaly(ProceduralTextures()), BlurAnomaly(), NoisePatch()]


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(height=64, width=96, seed=0):
    return rng(seed).random((height, width, 3), dtype=np.float32)


def strip(height, width, columns):
    valid = np.zeros((height, width), np.bool_)
    valid[:, columns] = True
    return valid


# Spots

LEAST = {
    "the published size": ((224, 224), None, 100),
    "a larger one": ((256, 320), None, 100),
    "one in 500, rounded up": ((64, 96), None, 13),
    "the smallest": ((8, 8), None, 1),
    "a part of the picture": ((224, 224), strip(224, 224, slice(0, 30)), 14),
    "one pixel": ((64, 64), strip(64, 64, [5]) & strip(64, 64, [5]).T, 1),
}


@pytest.mark.parametrize(("shape", "valid", "least"), LEAST.values(), ids=LEAST.keys())
def test_spots__are_within_the_valid_mask_and_never_too_small(shape, valid, least):
    generator = rng()
    sizes = []
    for _ in range(60):
        mask = SPOTS.draw(shape, valid, generator)
        assert mask.shape == shape
        assert mask.dtype == np.bool_
        assert valid is None or not (mask & ~valid).any()
        sizes.append(np.count_nonzero(mask))
    assert min(sizes) >= least


def test_spots__are_the_first_perlin_mask_that_is_large_enough(monkeypatch):
    masks = [np.zeros((224, 224), np.bool_) for _ in range(3)]
    masks[1].flat[:99], masks[2].flat[7:107] = True, True
    drawn = iter(masks)
    monkeypatch.setattr(spots_module, "perlin_mask", lambda *_, **__: next(drawn))
    assert np.array_equal(SPOTS.draw((224, 224), None, rng()), masks[2])


def test_spots__come_to_an_end_where_no_mask_ever_fits(monkeypatch):
    tried = []
    monkeypatch.setattr(
        spots_module,
        "perlin_mask",
        lambda _, shape, **__: (tried.append(shape), np.zeros(shape, np.bool_))[1],
    )
    valid = strip(100, 100, slice(40, 50))
    mask = Spots(attempts=7).draw((100, 100), valid, rng())
    assert len(tried) == 7
    assert np.count_nonzero(mask) == 2  # one in 500 of the thousand valid
    assert not (mask & ~valid).any()


def test_spots__are_empty_only_where_nothing_is_valid():
    assert not SPOTS.draw((32, 48), np.zeros((32, 48), np.bool_), rng()).any()


def test_disc__is_made_of_the_nearest_pixels_inside():
    inside = rng(1).random((20, 30)) < 0.4
    for seed in range(10):
        mask = disc(inside, 25, rng(seed))
        centre = np.argwhere(inside)[rng(seed).integers(np.count_nonzero(inside))]
        away = np.hypot(*(np.indices(inside.shape) - centre[:, None, None]))
        assert np.count_nonzero(mask) == 25
        assert not (mask & ~inside).any()
        assert away[mask].max() <= away[inside & ~mask].min()
        assert mask[tuple(centre)]


# The draw among kinds


class Constant:
    """Fills the whole picture with one value."""

    def __init__(self, value):
        self.value = value

    def draw(self, image, valid, rng):
        return np.full_like(image, self.value), np.ones(image.shape[:2], np.bool_)


def test_one_of__draws_each_kind_with_equal_chance_and_leaves_the_clean_share():
    kinds, generator, draws = OneOf((Constant(0.1), Constant(0.2), Constant(0.3)), 0.4), rng(), 4000
    image = np.full((2, 2, 3), 0.5, np.float32)
    drawn = [kinds.draw(image, None, generator) for _ in range(draws)]
    values = np.array([float(seen[0, 0, 0]) for seen, _ in drawn])
    assert all(mask.any() == (value != 0.5) for value, (_, mask) in zip(values, drawn, strict=True))
    for value, chance in [(0.5, 0.4), (0.1, 0.2), (0.2, 0.2), (0.3, 0.2)]:
        share = np.isclose(values, value).mean()
        assert abs(share - chance) < 4 * np.sqrt(chance * (1 - chance) / draws)


def test_one_of__of_no_clean_share_always_spoils():
    image = np.full((2, 2, 3), 0.5, np.float32)
    assert all(OneOf((Constant(0.1),)).draw(image, None, rng(seed))[1].all() for seed in range(20))


# Every kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@pytest.mark.parametrize("size", [(64, 96), (37, 61), (224, 224)])
def test_kind__replaces_the_image_inside_its_mask_only(kind, size):
    image, generator = picture(*size), rng(3)
    before = image.copy()
    for _ in range(6):
        seen, mask = kind.draw(image, None, generator)
        assert seen.shape == image.shape
        assert seen.dtype == np.float32
        assert mask.shape == size
        assert mask.any()
        assert np.array_equal(seen[~mask], image[~mask])
        assert (seen[mask] != image[mask]).any()
        assert 0 <= seen.min() <= seen.max() <= 1
    assert np.array_equal(image, before)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_kind__stays_within_the_valid_mask(kind):
    image, valid, generator = picture(64, 96), strip(64, 96, slice(70, 96)), rng()
    for _ in range(20):
        seen, mask = kind.draw(image, valid, generator)
        assert mask.any()
        assert not (mask & ~valid).any()
        assert np.array_equal(seen[~valid], image[~valid])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_kind__follows_its_generator_whatever_the_memory_layout(kind):
    image = picture(48, 80)
    first, again, other = (kind.draw(image, None, rng(seed)) for seed in (1, 1, 2))
    strided = kind.draw(np.asfortranarray(image), None, rng(1))
    for same in (again, strided):
        assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first[1], other[1])


class White:
    """White textures."""

    def draw(self, rng, shape):
        return np.full((*shape, 3), 255, np.uint8)


def test_textural__lets_nothing_shine_through(monkeypatch):
    monkeypatch.setattr(textural_module, "augmented", lambda texture, generator, count: texture)
    image = picture()
    for seed in range(5):
        seen, mask = TexturalAnomaly(White()).draw(image, None, rng(seed))
        assert np.array_equal(seen[mask], np.ones_like(seen[mask]))


def test_textural__changes_its_textures():
    seen, mask = TexturalAnomaly(White()).draw(picture(), None, rng(2))
    assert not np.array_equal(seen[mask], np.ones_like(seen[mask]))
