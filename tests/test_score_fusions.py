"""Fusing scores: any order, one voter alone as it is, and a constant voter that changes no ranking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leatherens.core.errors import InputError
from leatherens.core.scorefusion import ScoreFusion
from leatherens.core.types import ScoreMap
from leatherens.plugins.score_fusions import Maximum, Mean

FUSIONS = (Mean, Maximum)
NAMES = ("draem", "stfpm", "head", "flow")


def scores(seed: int, images: int = 3) -> ScoreMap:
    generator = torch.Generator().manual_seed(seed)
    return ScoreMap(torch.randn(images, 4, 6, generator=generator), torch.randn(images, generator=generator))


def voters(count: int, seed: int = 0) -> dict[str, ScoreMap]:
    return {name: scores(seed + i) for i, name in enumerate(NAMES[:count])}


def equal(one: ScoreMap, other: ScoreMap) -> bool:
    return torch.equal(one.pixels, other.pixels) and torch.equal(one.image, other.image)


@pytest.mark.parametrize(("fusion", "combine"), [(Mean, np.mean), (Maximum, np.max)])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_fuse__combines_pixels_and_images_alike(fusion: type[ScoreFusion], combine, count: int) -> None:
    given_scores = voters(count)
    fused = fusion().fuse(given_scores)
    pixels = combine([v.pixels.numpy() for v in given_scores.values()], axis=0)
    image = combine([v.image.numpy() for v in given_scores.values()], axis=0)
    np.testing.assert_allclose(fused.pixels, pixels, atol=1e-6)
    np.testing.assert_allclose(fused.image, image, atol=1e-6)


@settings(deadline=None)  # the first call of all loads parts of torch
@given(st.permutations(NAMES), st.integers(0, 100), st.sampled_from(FUSIONS))
def test_fuse__does_not_depend_on_the_order_bit_for_bit(
    order: list[str], seed: int, fusion: type[ScoreFusion]
) -> None:
    given_scores = voters(4, seed)
    reordered = {name: given_scores[name] for name in order}
    assert equal(fusion().fuse(reordered), fusion().fuse(given_scores))


@settings(deadline=None)
@given(st.permutations(range(4)), st.sampled_from(FUSIONS))
def test_fuse__does_not_depend_on_who_says_it(order: list[int], fusion: type[ScoreFusion]) -> None:
    given_scores = voters(4)
    renamed = {name: list(given_scores.values())[i] for name, i in zip(NAMES, order, strict=True)}
    torch.testing.assert_close(fusion().fuse(renamed).pixels, fusion().fuse(given_scores).pixels)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fuse__returns_one_voter_alone_as_it_is(fusion: type[ScoreFusion]) -> None:
    alone = scores(0)
    assert equal(fusion().fuse({"stfpm": alone}), alone)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fuse__of_agreeing_voters_is_what_they_say(fusion: type[ScoreFusion]) -> None:
    fused = fusion().fuse({"a": scores(0), "b": scores(0)})
    assert equal(fused, scores(0))


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20), st.integers(-100, 100))
def test_mean__a_constant_voter_changes_no_ranking(values: list[int], constant: int) -> None:
    """Steps of an eighth and sums below 2^24: exact in float32, so that ties are ties."""
    image = torch.tensor(values, dtype=torch.float32) / 8
    live = ScoreMap(image[None, None], image)
    still = ScoreMap(torch.full_like(live.pixels, constant / 8), torch.full_like(image, constant / 8))
    fused = Mean().fuse({"live": live, "still": still})
    for before, after in ((image, fused.image), (image, fused.pixels.flatten())):
        assert torch.equal(before[:, None] > before, after[:, None] > after)


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20), st.integers(-100, 100))
def test_maximum__a_constant_voter_hides_what_is_calmer_and_never_turns_a_ranking(
    values: list[int], constant: int
) -> None:
    image = torch.tensor(values, dtype=torch.float32)
    live = ScoreMap(image[None, None], image)
    still = ScoreMap(torch.full_like(live.pixels, constant), torch.full_like(image, constant))
    after = Maximum().fuse({"live": live, "still": still}).image
    above = image[:, None] > image
    assert not (above & (after[:, None] < after)).any()
    louder = image > constant
    assert torch.equal(above[louder], (after[:, None] > after)[louder])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fuse__is_monotone_in_every_voter(fusion: type[ScoreFusion]) -> None:
    given_scores = voters(3)
    louder = given_scores | {"stfpm": ScoreMap(scores(1).pixels + 0.5, scores(1).image + 0.5)}
    assert bool((fusion().fuse(louder).pixels >= fusion().fuse(given_scores).pixels).all())


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fuse__leaves_the_voters_alone(fusion: type[ScoreFusion]) -> None:
    given_scores = voters(2)
    fusion().fuse(given_scores)
    assert all(equal(v, w) for v, w in zip(given_scores.values(), voters(2).values(), strict=True))


@pytest.mark.parametrize(("fusion", "id"), [(Mean, "mean"), (Maximum, "maximum")])
def test_fuse__needs_a_voter(fusion: type[ScoreFusion], id: str) -> None:
    with pytest.raises(InputError) as caught:
        fusion().fuse({})
    assert str(caught.value) == f"{id}: nothing to fuse; at least one voter is needed"
