"""The common scale: strictly increasing whatever it learned from, and right about how rare a score is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from leatherens.core import scale
from leatherens.core.artifact import read_tensors, write_tensors
from leatherens.core.errors import InputError
from leatherens.core.metrics import image_auroc
from leatherens.core.scale import LIGHTEST_TAIL, TAIL_FROM, Scale, TailScale, fit_scale, fit_tail
from leatherens.core.types import ScoreMap

Floats = NDArray[np.float64]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def good_maps(pixels: Floats, images: Floats | None = None) -> ScoreMap:
    """Pixel scores as maps of 8 x 8, and image scores (the maps' maxima unless given)."""
    maps = torch.from_numpy(pixels.astype(np.float32)).view(-1, 8, 8)
    image = maps.flatten(1).amax(dim=1) if images is None else torch.from_numpy(images.astype(np.float32))
    return ScoreMap(maps, image)


PIXELS: dict[str, Callable[[], Floats]] = {
    "normal": lambda: rng().normal(3, 1, 6400),
    "tiny, as products of three distances": lambda: 1e-6 * rng().chisquare(3, 6400),
    "heavy tail": lambda: rng().pareto(1.2, 6400),
    "mostly zero": lambda: np.where(rng().random(6400) < 0.9, 0.0, rng(1).random(6400)),
    "saturated above": lambda: np.minimum(rng().normal(0, 1, 6400), 1.0),
    "constant": lambda: np.full(640, 0.7),
    "constant zero": lambda: np.zeros(640),
    "negative": lambda: rng().normal(-500, 2, 6400),
    "few": lambda: rng().random(64),
}


def reach(pixels: Floats) -> Tensor:
    """float32 scores from far below to far above what was seen, 1 in 40 of its range apart."""
    low, high = float(pixels.min()), float(pixels.max())
    extent = max(high - low, abs(high) / 2, 1e-9)
    return torch.linspace(low - 3 * extent, high + 10 * extent, 560)


@pytest.mark.parametrize("pixels", PIXELS.values(), ids=PIXELS.keys())
def test_pixels__keep_their_ranking_in_float32_inside_and_far_outside_the_data(
    pixels: Callable[[], Floats],
) -> None:
    learned = fit_tail(pixels())
    scaled = learned(reach(pixels()))
    assert scaled.dtype == torch.float32
    assert bool(scaled.isfinite().all())
    assert bool((scaled.diff() > 0).all())


def by_formula(learned: TailScale, scores: Floats) -> Floats:
    """The scale in float64, one score at a time."""
    knots, surprise = learned.knots, learned.surprise
    found = []
    for score in scores:
        if score > knots[-1]:
            beyond = np.log1p(learned.shape * (score - knots[-1]) / learned.spread)
            found.append(surprise[-1] + beyond / learned.shape)
        elif score < knots[0]:
            found.append(-surprise[1] * np.log1p((knots[0] - score) / (knots[1] - knots[0])))
        else:
            left = min(int((knots <= score).sum()) - 1, len(knots) - 2)
            share = (score - knots[left]) / (knots[left + 1] - knots[left])
            found.append(surprise[left] + share * (surprise[left + 1] - surprise[left]))
    return np.array(found)


@pytest.mark.parametrize("pixels", PIXELS.values(), ids=PIXELS.keys())
def test_pixels__are_scaled_by_the_formula(pixels: Callable[[], Floats]) -> None:
    learned = fit_tail(pixels())
    scores = torch.cat([reach(pixels()), torch.from_numpy(pixels().astype(np.float32))])
    expected = by_formula(learned, scores.double().numpy())
    np.testing.assert_allclose(learned(scores), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["normal", "mostly zero", "constant"])
def test_pixels__are_scaled_on_a_gpu_as_on_a_cpu(name: str) -> None:
    """Its steps in torch, here on a CPU."""
    learned = fit_tail(PIXELS[name]())
    at = reach(PIXELS[name]())
    knots, surprise = torch.from_numpy(learned.knots), torch.from_numpy(learned.surprise)
    inside = scale._interpolated(at.double(), knots, surprise)
    found = learned._with_ends(at.double(), inside, torch.log1p)
    torch.testing.assert_close(found.float(), learned(at), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("pixels", PIXELS.values(), ids=PIXELS.keys())
def test_images__keep_their_ranking(pixels: Callable[[], Floats]) -> None:
    good = good_maps(pixels())
    scores = reach(good.image.double().numpy())
    scaled = fit_scale([good])(ScoreMap(torch.zeros(1, 8, 8), scores)).image
    assert bool(scaled.isfinite().all())
    assert bool((scaled.diff() > 0).all())


@pytest.mark.parametrize("name", ["normal", "heavy tail", "tiny, as products of three distances", "negative"])
def test_knots__are_minus_the_logarithm_of_the_share_of_good_pixels_above(name: str) -> None:
    pixels = PIXELS[name]()
    learned = fit_tail(pixels)
    above = (pixels[None] > learned.knots[:, None]).mean(axis=1)
    np.testing.assert_allclose(np.exp(-learned.surprise), above, atol=2 / len(pixels))
    np.testing.assert_allclose(
        learned(torch.from_numpy(learned.knots)), learned.surprise, rtol=1e-5, atol=1e-6
    )
    assert learned.surprise[-1] == pytest.approx(-np.log(1 - TAIL_FROM))


def test_tail__is_the_survival_function_that_scipy_has() -> None:
    learned = TailScale(np.array([0.0, 2.0]), np.array([0.0, -np.log(0.02)]), shape=0.35, spread=0.8)
    scores = np.linspace(2.0, 60.0, 50)
    expected = -np.log(0.02) - stats.genpareto.logsf(scores - 2.0, 0.35, scale=0.8)
    np.testing.assert_allclose(learned(torch.from_numpy(scores)), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [0.25, 0.4, 0.6])
def test_tail__finds_shape_and_spread_of_a_simulated_one(shape: float) -> None:
    """Beyond a threshold a Pareto tail is one of the same shape, its spread grown by shape x threshold."""
    learned = fit_tail(stats.genpareto.rvs(shape, size=400_000, random_state=rng(3)))
    spread = 1 + shape * learned.knots[-1]
    assert learned.shape == pytest.approx(shape, abs=0.06)
    assert learned.spread == pytest.approx(spread, rel=0.08)
    rarities = np.array([1e-2, 1e-3, 1e-4, 1e-5])
    scores = torch.from_numpy(stats.genpareto.isf(rarities, shape))
    np.testing.assert_allclose(learned(scores), -np.log(rarities), rtol=0.04)


def test_tail__never_claims_more_than_the_lightest_tail_allows() -> None:
    """Normal scores fall off faster than any Pareto tail; the scale must not be surer than they are rare."""
    learned = fit_tail(rng().normal(size=100_000))
    assert learned.shape == LIGHTEST_TAIL
    scores = np.array([3.5, 4.0, 5.0, 8.0])
    assert (learned(torch.from_numpy(scores)).numpy() < -stats.norm.logsf(scores)).all()


@pytest.mark.parametrize("name", ["few", "normal", "heavy tail"])
def test_tail__goes_on_from_where_the_data_end(name: str) -> None:
    """The highest good pixel is about as rare as one in all, also when a handful makes up the tail."""
    pixels = PIXELS[name]()
    learned = fit_tail(pixels)
    highest = float(learned(torch.tensor([pixels.max()]))[0])
    assert -np.log(1 - TAIL_FROM) <= highest <= np.log(len(pixels)) + 2.5


def test_pixels__below_all_good_ones_weigh_next_to_nothing() -> None:
    """A member that shows less than it ever did on good leather must not veto the others."""
    for pixels in (PIXELS["saturated above"](), PIXELS["mostly zero"](), PIXELS["constant"]()):
        scaled = fit_tail(pixels)(torch.tensor([pixels.min() - 5.0]))
        assert -1.0 < float(scaled) < 0.0


def test_scale__is_not_moved_by_one_pixel_that_is_far_out() -> None:
    pixels = PIXELS["normal"]()
    learned, disturbed = fit_tail(pixels), fit_tail(np.append(pixels, 1e9))
    inside = torch.from_numpy(np.quantile(pixels, np.linspace(0.01, 0.97, 50)))
    torch.testing.assert_close(disturbed(inside), learned(inside), atol=0.01, rtol=0.01)


@pytest.mark.parametrize("factor", [1e-6, 0.037, 1e4])
@pytest.mark.parametrize("name", ["normal", "heavy tail", "mostly zero", "constant", "few"])
def test_scale__does_not_depend_on_a_member_s_unit(name: str, factor: float) -> None:
    pixels = PIXELS[name]().astype(np.float32).astype(np.float64)
    fresh = torch.from_numpy(
        np.quantile(pixels, rng(2).random(64)) + rng(4).random(64) * pixels.std()
    ).double()
    plain = fit_tail(pixels)(fresh)
    other = fit_tail(pixels * factor)(fresh * factor)
    torch.testing.assert_close(other, plain, rtol=1e-5, atol=1e-5)

    images = ScoreMap(torch.zeros(1, 8, 8), fresh.float())
    in_other_unit = ScoreMap(images.pixels, (fresh * factor).float())
    good = good_maps(PIXELS["normal"]())
    rescaled = ScoreMap(good.pixels, good.image * factor)
    torch.testing.assert_close(
        fit_scale([rescaled])(in_other_unit).image, fit_scale([good])(images).image, rtol=1e-4, atol=1e-5
    )


def test_images__are_measured_from_the_median_in_mean_deviations() -> None:
    good = good_maps(rng().random(320), images=np.array([1.0, 2.0, 3.0, 4.0, 10.0]))
    learned = fit_scale([good])
    assert tuple(learned.image) == (3.0, pytest.approx(11 / 5))
    scaled = learned(ScoreMap(torch.zeros(3, 8, 8), torch.tensor([3.0, 10.0, -4.0]))).image
    torch.testing.assert_close(scaled, torch.asinh(torch.tensor([0.0, 7.0, -7.0]) / 2.2))


def test_fit_scale__takes_one_image_and_a_constant_one() -> None:
    for good in (good_maps(rng().random(64)), good_maps(np.full(64, 0.25)), good_maps(np.zeros(64))):
        scaled = fit_scale([good])(ScoreMap(good.pixels + torch.rand(1, 8, 8), good.image + 1))
        assert bool(scaled.pixels.isfinite().all())
        assert bool((scaled.image > 0).all())


def test_fit_scale__does_not_depend_on_how_images_are_batched() -> None:
    pixels = rng().random(6400)
    whole, halves = good_maps(pixels), [good_maps(pixels[:3200]), good_maps(pixels[3200:])]
    assert _same(fit_scale([whole]), fit_scale(halves))


def test_fit_scale__learns_from_what_counts_only() -> None:
    good = good_maps(PIXELS["normal"]())
    wider = torch.cat([good.pixels, torch.full_like(good.pixels, 1e6)], dim=2)
    valid = torch.zeros_like(wider, dtype=torch.bool)
    valid[:, :, : good.pixels.shape[2]] = True
    learned = fit_scale([ScoreMap(wider, good.image, valid)])
    assert _same(learned, fit_scale([good]))
    assert learned(ScoreMap(wider, good.image, valid)).valid is valid


def test_fit_scale__needs_an_image() -> None:
    with pytest.raises(InputError, match=r"^a scale needs at least one held-out good image$"):
        fit_scale([])


def test_fit_scale__thins_many_pixels_over_all_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second pixel of a row would see half the columns of every image."""
    columns = torch.arange(8.0).expand(40, 8, 8)
    monkeypatch.setattr(scale, "MOST_PIXELS", 40 * 8 * 8 // 4)
    learned = fit_scale([ScoreMap(columns, torch.arange(40.0))])
    assert learned.tail.knots[0] == 0.0
    assert learned.tail.knots[-1] == pytest.approx(7.0, abs=1e-3)
    middle = np.searchsorted(learned.tail.surprise, np.log(2))
    assert learned.tail.knots[middle] == pytest.approx(3.5, abs=0.6)


def test_scale__survives_a_file_exactly(tmp_path: Path) -> None:
    learned = fit_scale([good_maps(PIXELS["heavy tail"]())])
    write_tensors(tmp_path / "scale.safetensors", learned.state())
    back = Scale.from_state(read_tensors(tmp_path / "scale.safetensors")[0])
    assert _same(back, learned)
    fresh = ScoreMap(torch.randn(2, 8, 8), torch.randn(2))
    assert torch.equal(back(fresh).pixels, learned(fresh).pixels)
    assert torch.equal(back(fresh).image, learned(fresh).image)


def test_scale__takes_maps_that_are_not_contiguous() -> None:
    learned = fit_scale([good_maps(PIXELS["normal"]())])
    maps = torch.randn(2, 6, 8)
    turned = learned(ScoreMap(maps.mT, torch.zeros(2))).pixels
    assert torch.equal(turned.mT, learned(ScoreMap(maps, torch.zeros(2))).pixels)


def test_a_heavy_tailed_voter_does_not_drown_the_others() -> None:
    """Its good pixels reach ten thousand, the other's defects 6; in the mean of both they still show."""
    calm, wild = (good_maps(draw(0)) for draw in (_normal, _pareto))
    scaled = [fit_scale([good]) for good in (calm, wild)]
    defect = np.arange(6400) % 100 == 0
    raw = [_normal(1) + 6 * defect, _pareto(1)]
    fused = sum(
        scale.tail(torch.from_numpy(pixels)).numpy() for scale, pixels in zip(scaled, raw, strict=True)
    )
    assert raw[1].max() > 1e4
    assert image_auroc(raw[0] + raw[1], defect) < 0.9
    assert image_auroc(fused, defect) > 0.99


def test_good_pixels_of_any_tail_are_as_rarely_surprising() -> None:
    """A share of e^-s of good pixels lies above s, whoever says it."""
    for draw in (_normal, _pareto):
        learned = fit_tail(draw(0).repeat(4))
        fresh = learned(torch.from_numpy(np.concatenate([draw(seed) for seed in range(2, 12)])))
        for surprise in (1.0, 3.0, 5.0):
            share = float((fresh > surprise).double().mean())
            assert 0.3 * np.exp(-surprise) < share < 2 * np.exp(-surprise)


def _normal(seed: int) -> Floats:
    return rng(seed).normal(size=6400)


def _pareto(seed: int) -> Floats:
    return rng(seed).pareto(0.8, size=6400)


def _same(one: Scale, other: Scale) -> bool:
    return all(torch.equal(one.state()[key], other.state()[key]) for key in one.state())
