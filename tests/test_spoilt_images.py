"""Artificial examples: exact masks, small and faint ones among them, each sample the same in any batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_leather import leather

from leatherens.core.synthesis.confined import Confined
from leatherens.core.synthesis.kinds import OneOf
from leatherens.core.synthesis.noise_patch import NoisePatch
from leatherens.core.synthesis.spoilt_images import (
    EXAMPLES,
    MOST_COPIES,
    SpoiltImages,
    example_images,
    mixed_anomalies,
)
from leatherens.core.types import ImageBatch, ImagesInMemory


class Everywhere:
    """White all over."""

    def draw(self, image, valid, rng):
        inside = np.ones(image.shape[:2], np.bool_) if valid is None else valid
        return np.where(inside[..., None], np.float32(1), image), inside


def rng(seed=0):
    return np.random.default_rng(seed)


def grey(height=80, width=120):
    return np.full((height, width, 3), 0.25, np.float32)


# Confined


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.1])
def test_confined__is_an_ellipse_of_the_area_asked_for(share):
    kind = Confined(Everywhere(), area=(share, share), elongation=6.0)
    places = rng(3)
    areas = [kind._ellipse(np.ones((300, 400), np.bool_), places).sum() for _ in range(40)]
    whole = max(areas)  # those across the border show less
    assert whole == pytest.approx(share * 300 * 400, rel=0.1)


def test_confined__changes_nothing_outside_its_mask_and_fades_inside():
    kind, image = Confined(Everywhere(), fade=(0.6, 0.6)), grey()
    spoilt, mask = kind.draw(image, None, rng())
    assert 0 < mask.sum() < mask.size * 0.06
    assert (spoilt[~mask] == image[~mask]).all()
    np.testing.assert_allclose(spoilt[mask], 0.4 * 1 + 0.6 * 0.25, rtol=1e-6)


def test_confined__stays_within_the_kind_and_what_may_be_inspected():
    valid = np.zeros((80, 120), np.bool_)
    valid[10:14, 20:90] = True
    for seed in range(30):
        _, mask = Confined(Everywhere(), area=(0.05, 0.05)).draw(grey(), valid, rng(seed))
        assert mask.any()
        assert not (mask & ~valid).any()


def test_confined__keeps_at_least_the_pixel_it_is_about():
    _, mask = Confined(Everywhere(), area=(1e-9, 1e-9), elongation=12).draw(grey(), None, rng())
    assert mask.sum() >= 1


def test_confined__leaves_a_clean_image_clean():
    kind = Confined(OneOf((NoisePatch(),), clean_share=1.0))
    spoilt, mask = kind.draw(grey(), None, rng())
    assert not mask.any()
    assert (spoilt == grey()).all()


# SpoiltImages


def source(count=3, copies=2, kind=None, **more):
    good = ImagesInMemory(leather(count))
    return SpoiltImages(good, kind or mixed_anomalies(), seed=5, copies=copies, **more)


def test_spoilt_images__are_named_after_image_and_copy():
    assert source().ids == ("hide0#0", "hide1#0", "hide2#0", "hide0#1", "hide1#1", "hide2#1")
    assert source(count=5, every=2).ids == ("hide0#0", "hide2#0", "hide4#0", "hide0#1", "hide2#1", "hide4#1")
    assert source().size == (64, 96)


def test_spoilt_images__differ_from_the_good_one_exactly_inside_the_mask():
    good = leather(3)
    for batch, masks in source(kind=Everywhere()).walk(6):
        assert masks.all()
        assert bool((batch.pixels == 1).all())
    for batch, masks in source(copies=6).walk(18):
        outside = ~masks[:, None].expand_as(batch.pixels)
        assert torch.equal(batch.pixels[outside], good.pixels.repeat(6, 1, 1, 1)[outside])
        assert bool(masks.flatten(1).any(dim=1).all())
        changed = (batch.pixels != good.pixels.repeat(6, 1, 1, 1)).any(dim=1)
        assert float((changed & masks).sum() / masks.sum()) > 0.9


def test_spoilt_images__are_the_same_in_any_batch_and_in_each_walk():
    whole, walked = source().drawn(range(6)), list(source().walk(4))
    assert torch.equal(torch.cat([batch.pixels for batch, _ in walked]), whole[0].pixels)
    assert torch.equal(torch.cat([masks for _, masks in walked]), whole[1])
    assert torch.equal(source().batch([4]).pixels, whole[0].pixels[4:5])
    assert source().batch([4]).ids == ("hide1#1",)


def test_spoilt_images__are_others_in_each_copy_and_by_each_seed():
    pixels = source().batch(range(6)).pixels
    other = SpoiltImages(ImagesInMemory(leather(3)), mixed_anomalies(), seed=6).batch(range(3)).pixels
    assert not torch.equal(pixels[:3], pixels[3:])
    assert not torch.equal(pixels[:3], other)


def test_spoilt_images__keep_to_the_valid_mask():
    batch = leather(2)
    valid = torch.ones(2, 64, 96, dtype=torch.bool)
    valid[:, :, 40:] = False
    good = ImagesInMemory(ImageBatch(batch.pixels, batch.ids, valid))
    for spoilt, masks in SpoiltImages(good, mixed_anomalies(), seed=1, copies=5).walk(3):
        assert spoilt.valid is not None
        assert not bool((masks & ~spoilt.valid).any())


def test_mixed_anomalies__are_small_and_large_faint_and_plain():
    generator, image = rng(2), leather(1).pixels[0].permute(1, 2, 0).numpy()
    drawn = [mixed_anomalies().draw(image, None, generator) for _ in range(120)]
    areas = np.array([mask.mean() for _, mask in drawn])
    steps = np.array([np.abs(spoilt - image)[mask].mean() for spoilt, mask in drawn])
    assert (areas < 0.002).mean() > 0.15
    assert areas.max() > 0.02
    assert areas.max() < 0.06
    assert (steps < 0.05).mean() > 0.1
    assert (steps > 0.15).mean() > 0.1


@pytest.mark.parametrize(("good", "spoilt"), [(1, 10), (7, 70), (30, 120), (150, 150), (450, 113)])
def test_example_images__are_about_a_hundred_whatever_the_number_of_good_ones(good, spoilt):
    one = leather(1).pixels
    images = ImagesInMemory(ImageBatch(one.expand(good, -1, -1, -1), tuple(f"hide{i}" for i in range(good))))
    found = example_images(images, seed=0)
    assert len(found.ids) == spoilt
    assert len(set(found.ids)) == spoilt
    assert MOST_COPIES == 10
    assert EXAMPLES == 100
