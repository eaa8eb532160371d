"""The image score of fused scores: by hand, in any unit, and what agreement on a place is worth."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from leatherens.core.agreement import TOP, Agreement, fit_agreement, top_mean
from leatherens.core.artifact import read_tensors, write_tensors
from leatherens.core.errors import InputError
from leatherens.core.spread import Spread, fit_spread
from leatherens.core.types import ScoreMap


def fused(seed: int, count: int = 12, side: int = 20) -> ScoreMap:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.empty(count, side, side).exponential_(generator=generator)
    return ScoreMap(pixels, torch.randn(count, generator=generator))


def test_by_hand() -> None:
    """An image score 2 deviations out, and 4 pixels of 400 whose mean lies 3 deviations out."""
    pixels = torch.zeros(1, 20, 20)
    pixels[0, 3, :4] = torch.tensor([4.0, 5.0, 7.0, 8.0])
    seen = ScoreMap(pixels, torch.tensor([5.0]))
    score = Agreement(image=Spread(1.0, 2.0), top=Spread(3.0, 1.0))(seen)
    assert score.dtype == torch.float32
    assert score.item() == pytest.approx((math.asinh(2) + 3) / 2)


@pytest.mark.parametrize(("side", "count"), [(20, 4), (3, 1), (256, 655)])
def test_top_mean__is_that_of_the_sorted_highest(side: int, count: int) -> None:
    pixels = fused(0, 2, side).pixels
    expected = pixels.flatten(1).sort(dim=1, descending=True).values[:, :count].mean(dim=1)
    torch.testing.assert_close(top_mean(pixels), expected)
    assert max(1, round(TOP * side * side)) == count


def test_top_mean__of_what_counts_is_that_of_the_cut_maps() -> None:
    """Images of which different parts count, in one batch, as each part alone."""
    pixels = fused(0, 3, 30).pixels
    valid = torch.ones(3, 30, 30, dtype=torch.bool)
    valid[0, 10:], valid[1, :, 5:] = False, False
    expected = torch.cat([top_mean(p) for p in (pixels[:1, :10], pixels[1:2, :, :5], pixels[2:])])
    torch.testing.assert_close(top_mean(pixels, valid), expected)


def test_what_was_learned_is_where_good_images_lie() -> None:
    good = fused(1)
    learned = fit_agreement([good])
    top = top_mean(good.pixels)
    assert learned.image == fit_spread(good.image)
    assert learned.top.median == pytest.approx(top.double().quantile(0.5).item(), abs=0.05)
    assert learned.top == fit_spread(top)


def test_it_does_not_depend_on_how_images_are_batched() -> None:
    good = fused(2)
    halves = [ScoreMap(good.pixels[part], good.image[part]) for part in (slice(5), slice(5, None))]
    assert fit_agreement([good]) == fit_agreement(halves)


def test_other_units_of_either_part_change_nothing() -> None:
    good, new = fused(3), fused(4)
    expected = fit_agreement([good])(new)
    in_other = [ScoreMap(5 * s.pixels - 2, 0.1 * s.image + 7) for s in (good, new)]
    torch.testing.assert_close(fit_agreement(in_other[:1])(in_other[1]), expected, rtol=1e-3, atol=1e-4)


def test_a_spot_that_no_image_score_sees_raises_the_image() -> None:
    good = fused(5)
    learned = fit_agreement([good])
    spoilt = good.pixels.clone()
    spoilt[:, :2, :2] += 6
    assert bool((learned(ScoreMap(spoilt, good.image)) > learned(good)).all())


def test_it_rises_with_every_part() -> None:
    good = fused(6)
    learned = fit_agreement([good])
    assert bool((learned(ScoreMap(good.pixels, good.image + 0.1)) > learned(good)).all())
    assert bool((learned(ScoreMap(good.pixels + 0.1, good.image)) > learned(good)).all())


def test_it_is_kept(tmp_path: Path) -> None:
    learned = fit_agreement([fused(7)])
    write_tensors(tmp_path / "agreement.safetensors", learned.state())
    assert Agreement.from_state(read_tensors(tmp_path / "agreement.safetensors")[0]) == learned


def test_one_image_and_equal_ones_are_enough() -> None:
    for good in (fused(8, count=1), ScoreMap(torch.zeros(3, 4, 4), torch.zeros(3))):
        assert bool(fit_agreement([good])(fused(9)).isfinite().all())


def test_it_needs_an_image() -> None:
    with pytest.raises(InputError, match="at least one held-out good image"):
        fit_agreement([])
