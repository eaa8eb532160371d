"""Artificial anomalies: where they lie, what they look like, how they are laid over an image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leatherens.core.errors import InputError
from leatherens.core.randomness import numpy_generators, torch_generator
from leatherens.core.synthesis import augment, textures
from leatherens.core.synthesis import overlay as overlay_module
from leatherens.core.synthesis import perlin as perlin_module
from leatherens.core.synthesis.augment import AUGMENTERS, augmented
from leatherens.core.synthesis.overlay import TextureOverlay, blend
from leatherens.core.synthesis.patterns import PATTERNS, ProceduralTextures
from leatherens.core.synthesis.perlin import perlin, perlin_mask, perlin_noise
from leatherens.core.synthesis.rotation import rotated
from leatherens.core.synthesis.textures import FolderTextures


def rng(seed=0):
    return np.random.default_rng(seed)


def unit_gradients(rows, columns, seed=0):
    angles = rng(seed).uniform(0, 2 * np.pi, (rows + 1, columns + 1))
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)


class Plain:
    """Textures of one colour."""

    def draw(self, rng, shape):
        return np.full((*shape, 3), rng.integers(256, size=3), np.uint8)


class White:
    """White textures."""

    def draw(self, rng, shape):
        return np.full((*shape, 3), 255, np.uint8)


# Perlin noise


def test_perlin__is_zero_at_every_lattice_corner():
    corners = np.array([0, 1], np.float32)
    assert np.array_equal(perlin(unit_gradients(1, 1), corners, corners), np.zeros((2, 2)))
    nodes = np.arange(4, dtype=np.float32)
    assert np.abs(perlin(unit_gradients(3, 5), nodes, np.arange(6, dtype=np.float32))).max() < 1e-6


def classical_perlin(gradients, row, column):
    """Interpolate the four corners' dot products, one point at a time."""

    def fade(t):
        return 6 * t**5 - 15 * t**4 + 10 * t**3

    i, j = min(int(row), len(gradients) - 2), min(int(column), gradients.shape[1] - 2)
    u, v = row - i, column - j
    dots = [[gradients[i + a, j + b] @ np.array([u - a, v - b]) for b in (0, 1)] for a in (0, 1)]
    top, bottom = (left + fade(v) * (right - left) for left, right in dots)
    return np.sqrt(2) * (top + fade(u) * (bottom - top))


def test_perlin__agrees_with_the_classical_definition():
    gradients = unit_gradients(3, 5)
    rows, columns = rng(1).uniform(0, 3, 9).astype(np.float32), rng(2).uniform(0, 5, 11).astype(np.float32)
    expected = [[classical_perlin(gradients, r, c) for c in columns] for r in rows]
    np.testing.assert_allclose(perlin(gradients, rows, columns), expected, atol=1e-5)


def test_perlin__is_the_same_in_blocks_of_any_size(monkeypatch):
    coordinates = rng(1).uniform(0, 3, 50).astype(np.float32), rng(2).uniform(0, 5, 40).astype(np.float32)
    whole = perlin(unit_gradients(3, 5), *coordinates)
    for products in (1, 7 * 40 * 6, 49 * 40 * 6):  # a row at a time, seven rows, all but one
        monkeypatch.setattr(perlin_module, "AT_ONCE", products)
        np.testing.assert_allclose(perlin(unit_gradients(3, 5), *coordinates), whole, atol=1e-6)


def test_perlin__reaches_one_where_four_gradients_point_at_the_centre():
    inwards = np.array([[[1, 1], [1, -1]], [[-1, 1], [-1, -1]]], np.float32) / np.sqrt(2).astype(np.float32)
    centre = np.array([0.5], np.float32)
    assert perlin(inwards, centre, centre)[0, 0] == pytest.approx(1.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_perlin_noise__stays_within_one_whatever_divides_what(seed, down, across):
    noise = perlin_noise(rng(seed), (48, 70), (down, across))
    assert noise.shape == (48, 70)
    assert np.abs(noise).max() <= 1 + 1e-6
    assert np.array_equal(noise, perlin_noise(rng(seed), (48, 70), (down, across)))


def test_perlin_noise__samples_the_lattice_evenly():
    noise = perlin_noise(rng(), (64, 96), (4, 8))
    assert np.abs(noise[::16, ::12]).max() < 1e-6
    assert np.abs(noise[8::16, 6::12]).max() > 0.1


def test_perlin_mask__is_a_few_percent_of_the_picture_and_sometimes_nothing():
    generator = rng()
    shares = np.array([perlin_mask(generator, (128, 128)).mean() for _ in range(200)])
    assert 0.02 < shares.mean() < 0.09
    assert 0 < (shares == 0).mean() < 0.3


def test_perlin_mask__has_finer_spots_for_larger_exponents():
    generator = rng()
    spots = [
        np.mean([_count_spots(perlin_mask(generator, (128, 128), exponents=(e, e))) for _ in range(10)])
        for e in (1, 3, 5)
    ]
    assert spots[0] < spots[1] / 3 < spots[2] / 9


def _count_spots(mask):
    return cv2.connectedComponents(mask.astype(np.uint8))[0] - 1


def test_rotated__by_a_right_angle_is_exact_and_by_less_brings_in_black_corners():
    image = rng().random((8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(rotated(image, 90), np.rot90(image), atol=1e-5)
    assert np.all(rotated(np.ones((64, 64), np.float32), 45)[[0, 0, -1, -1], [0, -1, 0, -1]] == 0)


# Augmenters


@pytest.mark.parametrize("augmenter", AUGMENTERS, ids=lambda a: a.__name__)
def test_augmenter__gives_a_picture_of_the_same_shape_and_leaves_its_input_alone(augmenter):
    image = rng().integers(0, 256, (40, 56, 3), dtype=np.uint8)
    before = image.copy()
    outcomes = [augmenter(image, rng(seed)) for seed in range(8)]
    assert all(o.shape == image.shape and o.dtype == np.uint8 for o in outcomes)
    assert any(not np.array_equal(o, image) for o in outcomes)
    assert np.array_equal(outcomes[3], augmenter(image, rng(3)))
    assert np.array_equal(image, before)


def ramp():
    return np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)  # (1, 256, 3)


def test_invert__is_the_negative():
    assert np.array_equal(augment.invert(ramp(), rng()), ramp()[:, ::-1])


def test_gamma_contrast__keeps_the_ends_and_takes_a_power_per_channel():
    curves = augment.gamma_contrast(ramp(), rng())[0].astype(float) / 255
    assert np.array_equal(curves[[0, -1]], [[0, 0, 0], [1, 1, 1]])
    powers = np.log(curves[128]) / np.log(128 / 255)
    assert np.all((powers > 0.48) & (powers < 2.02))
    assert len(set(powers.round(2))) == 3


def test_posterize__leaves_a_power_of_two_of_levels():
    counts = {len(np.unique(augment.posterize(ramp(), rng(seed)))) for seed in range(60)}
    assert counts == {2**bits for bits in range(1, 9)}


def test_solarize__inverts_the_bright_part_every_other_time():
    outcomes = [augment.solarize(ramp(), rng(seed))[0, :, 0].astype(int) for seed in range(60)]
    changed = [o for o in outcomes if not np.array_equal(o, np.arange(256))]
    assert 15 <= len(changed) <= 45
    for values in changed:
        threshold = int(np.argmax(values != np.arange(256)))
        assert 32 <= threshold <= 128
        assert np.array_equal(values[threshold:], 255 - np.arange(threshold, 256))


def test_autocontrast__stretches_a_flat_picture_to_the_full_range():
    dull = (ramp() // 4 + 90).repeat(4, axis=0)
    stretched = augment.autocontrast(dull, rng())
    assert (stretched.min(), stretched.max()) == (0, 255)


@pytest.mark.parametrize("levels", [[7], [0, 255], [3, 3, 3, 9, 200, 200, 4]], ids=len)
def test_ranked__is_what_sorting_finds_at_each_place(levels):
    ranks = np.arange(len(levels), dtype=float)
    assert augment._ranked(np.array(levels, np.uint8), ranks).tolist() == sorted(levels)


def test_equalize__flattens_the_histogram():
    dark = np.square(rng().random((64, 64, 3)) * 15).astype(np.uint8)
    assert abs(float(augment.equalize(dark, rng()).mean()) - 127) < 15


def test_brightness__moves_grey_by_the_same_amount_in_every_channel():
    grey = np.full((4, 4, 3), 100, np.uint8)
    for seed in range(20):
        bright = augment.brightness(grey, rng(seed))
        assert len(np.unique(bright)) == 1
        assert 50 <= bright[0, 0, 0] <= 150


def test_hue_and_saturation__keeps_the_value():
    image = rng().integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(augment.hue_and_saturation(image, rng()).max(axis=2), image.max(axis=2))


def test_sharpness__leaves_a_flat_picture_flat():
    flat = np.full((9, 9, 3), 77, np.uint8)
    assert np.array_equal(augment.sharpness(flat, rng()), flat)


def test_augmented__applies_three_distinct_ones(monkeypatch):
    applied = []
    fakes = tuple(lambda image, generator, k=k: (applied.append(k), image)[1] for k in range(10))
    monkeypatch.setattr(augment, "AUGMENTERS", fakes)
    generator, seen = rng(), set()
    for _ in range(60):
        applied.clear()
        augmented(ramp(), generator)
        assert len(applied) == len(set(applied)) == 3
        seen |= set(applied)
    assert seen == set(range(10))


# Textures


def write_colour(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((10, 14, 3), colour[::-1], np.uint8))


def test_folder_textures__finds_pictures_in_sub_folders_as_rgb(tmp_path):
    write_colour(tmp_path / "a" / "red.png", (200, 10, 20))
    write_colour(tmp_path / "b" / "deep" / "green.PNG", (0, 250, 5))
    (tmp_path / "notes.txt").write_text("no picture")
    source, generator = FolderTextures(tmp_path), rng()
    drawn = {tuple(source.draw(generator, (16, 24))[3, 5]) for _ in range(20)}
    assert drawn == {(200, 10, 20), (0, 250, 5)}
    assert source.draw(generator, (16, 24)).shape == (16, 24, 3)


def test_folder_textures__skips_and_counts_what_it_cannot_read(tmp_path):
    write_colour(tmp_path / "good.png", (1, 2, 3))
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    source, generator = FolderTextures(tmp_path), rng()
    assert all(tuple(source.draw(generator, (8, 8))[0, 0]) == (1, 2, 3) for _ in range(12))
    assert sorted(path.name for path in source.unreadable) == ["broken.png", "empty.jpg"]


def test_folder_textures__draws_the_same_whatever_was_drawn_before(tmp_path):
    for value in range(6):
        write_colour(tmp_path / f"{value}.png", (value, value, value))
    (tmp_path / "3.png").write_bytes(b"")
    fresh, used = FolderTextures(tmp_path), FolderTextures(tmp_path)
    for seed in range(20):
        used.draw(rng(seed), (8, 8))
    for seed in range(20, 40):
        assert np.array_equal(fresh.draw(rng(seed), (8, 8)), used.draw(rng(seed), (8, 8)))


def test_folder_textures__keeps_a_bounded_number_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(textures, "CACHE_BYTES", 3 * 8 * 8 * 3)
    for value in range(9):
        write_colour(tmp_path / f"{value}.png", (value, value, value))
    source, generator = FolderTextures(tmp_path), rng()
    for _ in range(50):
        source.draw(generator, (8, 8))
    assert len(source._kept) == 3


def test_folder_textures__names_a_folder_without_pictures(tmp_path):
    with pytest.raises(InputError) as missing:
        FolderTextures(tmp_path / "nowhere")
    expected = f"{tmp_path / 'nowhere'}: expected a folder of texture pictures, found none; check the path"
    assert str(missing.value) == expected
    with pytest.raises(InputError) as empty:
        FolderTextures(tmp_path)
    assert str(empty.value) == (
        f"{tmp_path}: expected texture pictures in it or in its sub-folders "
        "(.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp), found none"
    )
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(InputError) as unreadable:
        FolderTextures(tmp_path).draw(rng(), (8, 8))
    assert str(unreadable.value) == (
        f"{tmp_path}: of its 1 texture file none can be read as a picture; give another folder, or none"
    )


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.__name__)
def test_pattern__is_never_flat_and_never_twice_the_same(pattern):
    generator = rng(5)
    fields = [pattern(generator, (64, 96)) for _ in range(12)]
    assert all(f.shape == (64, 96) and f.dtype == np.float32 and np.isfinite(f).all() for f in fields)
    assert np.median([np.clip(f, 0, 1).std() for f in fields]) > 0.05
    assert len({f.tobytes() for f in fields}) == len(fields)


def test_procedural_textures__differ_in_colour_contrast_and_scale():
    generator = rng(1)
    drawn = np.stack([ProceduralTextures().draw(generator, (64, 64)) for _ in range(80)]).astype(float)
    assert np.all(drawn.mean(axis=(1, 2)).std(axis=0) > 25)  # colour
    contrast = drawn.std(axis=(1, 2)).mean(axis=1)
    assert np.quantile(contrast, 0.1) < 20
    assert np.quantile(contrast, 0.9) > 50
    steps = np.abs(np.diff(drawn, axis=2)).mean(axis=(1, 2, 3)) / (contrast + 1)
    assert np.quantile(steps, 0.9) > 4 * np.quantile(steps, 0.1)  # fine and coarse


def test_procedural_textures__depend_on_their_generator_alone():
    first, again, other = (ProceduralTextures().draw(rng(seed), (40, 56)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (40, 56, 3)


# Overlay


def test_blend__between_the_ends_of_beta():
    image, texture = (rng(seed).random((9, 7, 3)).astype(np.float32) for seed in (1, 2))
    mask = rng(3).random((9, 7)) > 0.5
    for beta in (0.0, 0.3, 0.8):
        mixed = blend(image, texture, mask, beta=beta)
        assert mixed.dtype == np.float32
        assert np.array_equal(mixed[~mask], image[~mask])
        assert np.array_equal(blend(np.asfortranarray(image), texture, mask, beta=beta), mixed)
        np.testing.assert_allclose(mixed[mask], (1 - beta) * texture[mask] + beta * image[mask], atol=1e-6)
    assert np.array_equal(blend(image, texture, mask, beta=0.0)[mask], texture[mask])


def test_overlay__changes_the_image_inside_the_mask_only():
    overlay, generator = TextureOverlay(ProceduralTextures(), clean_share=0.0), rng()
    image = generator.random((64, 96, 3)).astype(np.float32)
    before, changed = image.copy(), 0
    for _ in range(12):
        seen, mask = overlay.draw(image, None, generator)
        assert np.array_equal(seen[~mask], image[~mask])
        assert seen.min() >= 0
        assert seen.max() <= 1
        changed += bool(mask.any()) and not np.array_equal(seen[mask], image[mask])
    assert changed >= 8
    assert np.array_equal(image, before)


def test_overlay__stays_within_the_valid_mask():
    valid = np.zeros((64, 64), np.bool_)
    valid[:, 40:] = True
    overlay, generator = TextureOverlay(Plain(), clean_share=0.0), rng()
    image = np.full((64, 64, 3), 0.5, np.float32)
    drawn = [overlay.draw(image, valid, generator) for _ in range(30)]
    assert all(not mask[:, :40].any() and np.array_equal(seen[:, :40], image[:, :40]) for seen, mask in drawn)
    assert any(mask.any() for _, mask in drawn)


def test_overlay__leaves_half_clean_and_those_whose_mask_came_out_empty(monkeypatch):
    monkeypatch.setattr(overlay_module, "augmented", lambda image, generator: image)  # not what is counted
    generator, draws = rng(), 10_000
    empty = np.mean([not perlin_mask(generator, (16, 16), exponents=(0, 2)).any() for _ in range(4000)])
    assert empty > 0.05
    overlay = TextureOverlay(Plain(), exponents=(0, 2))
    image = np.zeros((16, 16, 3), np.float32)
    clean = np.mean([not overlay.draw(image, None, generator)[1].any() for _ in range(draws)])
    expected = 0.5 + empty / 2
    deviation = np.sqrt(expected * (1 - expected) / draws + empty * (1 - empty) / 4 / 4000)
    assert abs(clean - expected) < 4 * deviation


def test_overlay__takes_its_transparency_from_beta(monkeypatch):
    monkeypatch.setattr(overlay_module, "augmented", lambda image, generator: image)
    image, generator, mixed = np.zeros((32, 32, 3), np.float32), rng(), []
    for _ in range(200):
        overlay = TextureOverlay(White(), clean_share=0.0, threshold=-2.0)
        seen, mask = overlay.draw(image, None, generator)
        assert mask.all()
        mixed.append(float(seen[0, 0, 0]))  # the opacity, 1 - beta
    assert 0.2 - 1e-6 <= min(mixed) < 0.23
    assert 0.97 < max(mixed) <= 1


def test_numpy_generators__follow_the_step_and_differ_within_it():
    first, again = (numpy_generators(torch_generator(7, "step", 3), 4) for _ in range(2))
    values = [g.random() for g in first]
    assert values == [g.random() for g in again]
    assert len(set(values)) == 4
