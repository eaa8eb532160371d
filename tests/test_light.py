"""Light taken out of photographs: casts go, slopes go, texture stays, and what is masked says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from leatherens.core.errors import InputError
from leatherens.core.light import flatten, grey_world, shades_of_grey
from leatherens.core.preparation import Prepared, prepare
from leatherens.plugins.colour_constancy import ColourConstancy
from leatherens.plugins.flatten import Flatten

CAST = np.array([1.2, 1.0, 0.7])


def texture(height: int = 90, width: int = 130, seed: int = 0) -> np.ndarray:
    """(H, W, 3) grey grain of one level, in 0..1."""
    rng = np.random.default_rng(seed)
    grain = 0.4 + 0.05 * rng.standard_normal((height, width, 1))
    return np.repeat(grain, 3, axis=2)


def slope(height: int = 90, width: int = 130) -> np.ndarray:
    """(H, W, 1) light that falls off by a factor of three from right to left, and a little downwards."""
    across, down = np.linspace(0.5, 1.5, width)[None, :, None], np.linspace(1.1, 0.9, height)[:, None, None]
    return across * down


def hole(height: int = 90, width: int = 130) -> np.ndarray:
    """(H, W) bool, False in a corner off the diagonal."""
    valid = np.ones((height, width), np.bool_)
    valid[10:40, 80:120] = False
    return valid


# the colour of the light


@pytest.mark.parametrize("norm", [1.0, 6.0, 100.0, float("inf")], ids=str)
def test_shades_of_grey__leaves_a_grey_world_and_takes_a_cast_out(norm: float) -> None:
    grey = texture()

    np.testing.assert_allclose(shades_of_grey(grey, norm=norm), grey, atol=1e-12)

    without = shades_of_grey(grey * CAST, norm=norm)
    np.testing.assert_allclose(without[..., 0], without[..., 1], atol=1e-9)
    np.testing.assert_allclose(without, grey * CAST.mean(), atol=1e-9)


def test_shades_of_grey__is_the_papers_formula() -> None:
    pixels = np.random.default_rng(1).random((20, 30, 3))

    light = np.array([np.mean(pixels[..., c] ** 6) ** (1 / 6) for c in range(3)])
    expected = np.clip(pixels * light.mean() / light, 0, 1)
    np.testing.assert_allclose(shades_of_grey(pixels, norm=6), expected, rtol=1e-9)


def test_grey_world__brings_the_means_of_an_8_bit_picture_together() -> None:
    photograph = np.rint(texture() * CAST * 255).astype(np.uint8)

    found = grey_world(photograph)

    assert found.dtype == np.uint8
    assert np.ptp(found.reshape(-1, 3).mean(axis=0)) < 0.2
    assert np.ptp(photograph.reshape(-1, 3).mean(axis=0)) > 40


def test_shades_of_grey__leaves_a_channel_that_is_black() -> None:
    pixels = texture() * (1.0, 0.5, 0.0)

    assert (shades_of_grey(pixels)[..., 2] == 0).all()


# the fall-off of the light


def test_flatten__takes_a_slope_out_up_to_the_border_and_keeps_the_texture() -> None:
    grain = texture()

    found = flatten(grain * slope())

    columns = found.mean(axis=(0, 2)).reshape(13, 10).mean(axis=1)
    assert np.ptp(columns) / columns.mean() < 0.03  # 1.0 before
    kept = np.corrcoef(found[..., 0].ravel(), grain[..., 0].ravel())[0, 1]
    assert kept > 0.97
    assert np.corrcoef((grain * slope())[..., 0].ravel(), grain[..., 0].ravel())[0, 1] < 0.5


def test_flatten__leaves_even_light_and_the_proportions_of_colours() -> None:
    even = np.full((40, 60, 3), (0.5, 0.3, 0.2))

    np.testing.assert_allclose(flatten(even), even, atol=1e-9)

    lit = flatten(even * slope(40, 60))
    np.testing.assert_allclose(lit[..., 0] / lit[..., 2], 2.5, rtol=1e-6)


def test_flatten__a_plane_of_light_is_found_exactly() -> None:
    """Where the light is a plane and the product even, a local plane has no error, at corners neither."""
    rows, columns = np.mgrid[:50, :70]
    light = (0.3 + 0.004 * columns + 0.002 * rows)[..., None] * np.ones(3)

    found = flatten(light, sigma=0.2)

    np.testing.assert_allclose(found, light.mean(), rtol=1e-3)


def test_flatten__a_small_spot_stays() -> None:
    spotted = np.full((80, 100, 3), 0.5)
    spotted[20:24, 60:66] = 0.2

    found = flatten(spotted * slope(80, 100))

    assert found[20:24, 60:66].mean() / found[20:24, 50:58].mean() == pytest.approx(0.4, abs=0.03)


# both


@pytest.mark.parametrize("change", [grey_world, shades_of_grey, flatten])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_light__type_and_shape_stay_and_the_argument_is_not_touched(change, kind) -> None:
    pixels = (texture() * CAST * (255 if kind == np.uint8 else 1)).astype(kind)
    before = pixels.copy()

    found = change(pixels)

    assert found.dtype == kind
    assert found.shape == pixels.shape
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("change", [grey_world, shades_of_grey, flatten])
def test_light__masked_pixels_say_nothing(change) -> None:
    valid, photograph = hole(), np.rint(texture() * CAST * slope() * 200).astype(np.uint8)
    label = photograph.copy()
    label[~valid] = (255, 0, 255)

    np.testing.assert_array_equal(change(photograph, valid=valid)[valid], change(label, valid=valid)[valid])
    assert (change(photograph)[valid] != change(label)[valid]).any()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: shades_of_grey(texture(), norm=0.5), "norm: expected 1"),
        (lambda: flatten(texture(), sigma=0), "sigma: expected a share of the shorter side"),
        (lambda: flatten(texture()[..., 0]), r"expected pixels of shape \(H, W, 3\), got \(90, 130\)"),
        (lambda: grey_world(texture().astype(np.int64)), "expected 8-bit pixels or floating-point ones"),
        (lambda: grey_world(texture(), hole(3, 3)), r"expected a bool valid mask of shape \(90, 130\)"),
        (lambda: grey_world(texture(), ~np.ones((90, 130), np.bool_)), "leaves nothing to look at"),
    ],
)
def test_light__wrong_arguments_are_refused(call, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call()


# as steps of a preparation


@pytest.mark.parametrize("step", [ColourConstancy(), Flatten()], ids=lambda step: step.id)
def test_preparation__looks_only_at_what_counts(step: ColourConstancy | Flatten) -> None:
    valid, photograph = hole(), np.rint(texture() * CAST * slope() * 200).astype(np.uint8)
    label = photograph.copy()
    label[~valid] = (0, 255, 0)

    found = [step.apply(Prepared("a", pixels).ignoring(~valid)) for pixels in (photograph, label)]

    np.testing.assert_array_equal(found[0].pixels[valid], found[1].pixels[valid])
    assert (found[0].pixels != photograph).any()
    assert found[0].ignored is not None
    hidden = step.apply(Prepared("a", label).hiding(~valid))
    np.testing.assert_array_equal(hidden.pixels[valid], found[0].pixels[valid])


def test_preparation__steps_do_what_the_functions_do_and_leave_what_never_counts() -> None:
    photograph = np.rint(texture() * CAST * slope() * 200).astype(np.uint8)
    steps = (ColourConstancy(ColourConstancy.Params(norm=1)), Flatten(Flatten.Params(sigma=0.3)))

    both = prepare("a", photograph, steps).pixels

    np.testing.assert_array_equal(both, flatten(grey_world(photograph), sigma=0.3))
    nowhere = Prepared("a", photograph).hiding(np.ones(photograph.shape[:2], np.bool_))
    assert all(step.apply(nowhere) == nowhere for step in steps)
