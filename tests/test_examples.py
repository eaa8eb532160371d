"""What fusions learn from: tables of scores by voter, a fair sample whatever the batches."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from leatherens.core.examples import Examples, Of, Table, table
from leatherens.core.types import ScoreMap

VOTERS = ("draem", "stfpm")


def votes(images: int, seed: int = 0) -> dict[str, ScoreMap]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: ScoreMap(
            torch.randn(images, 4, 6, generator=generator), torch.randn(images, generator=generator)
        )
        for name in VOTERS
    }


def part(given: dict[str, ScoreMap], rows: slice) -> dict[str, ScoreMap]:
    return {name: ScoreMap(v.pixels[rows], v.image[rows]) for name, v in given.items()}


def made(seen: list[tuple[dict[str, ScoreMap], Tensor | None]], most: int = 100) -> Table:
    return table(VOTERS, seen, pixels_per_image=most, generator=np.random.default_rng(0))


def test_table__has_a_column_for_each_voter_and_a_row_for_each_image_and_pixel() -> None:
    given = votes(3)
    found = made([(given, None)])
    for column, name in enumerate(VOTERS):
        assert torch.equal(found.images[:, column], given[name].image)
        assert torch.equal(found.pixels[:, column], given[name].pixels.flatten())
    assert torch.equal(found.of(Of.images), found.images)
    assert torch.equal(found.of(Of.pixels), found.pixels)


def test_table__takes_only_pixels_that_count_and_no_image_without_any() -> None:
    given, counted = votes(3), torch.zeros(3, 4, 6, dtype=torch.bool)
    counted[0, 1, 2] = counted[2, :2] = True
    found = made([(given, counted)])
    assert torch.equal(found.images[:, 0], given["draem"].image[[0, 2]])
    assert torch.equal(found.pixels[:, 1], given["stfpm"].pixels[counted])


def test_table__does_not_depend_on_how_images_are_batched() -> None:
    given = votes(5)
    whole = made([(given, None)], most=7)
    cut = made([(part(given, slice(0, 2)), None), (part(given, slice(2, 5)), None)], most=7)
    assert torch.equal(whole.images, cut.images)
    assert torch.equal(whole.pixels, cut.pixels)
    assert whole.pixels.shape == (5 * 7, 2)


def test_table__of_many_pixels_is_a_fair_sample_without_repeats() -> None:
    ramp = torch.arange(10_000.0).view(1, 100, 100)
    found = table(
        ["a"],
        [({"a": ScoreMap(ramp, torch.zeros(1))}, None)],
        pixels_per_image=2000,
        generator=np.random.default_rng(1),
    ).pixels[:, 0]
    assert len(found.unique()) == 2000
    assert abs(float(found.mean()) - 5000) < 4 * 10_000 / 12**0.5 / 2000**0.5


def test_table__of_nothing_is_empty() -> None:
    found = made([])
    assert (found.images.shape, found.pixels.shape) == ((0, 2), (0, 2))


def test_only__is_what_some_of_the_voters_saw() -> None:
    whole = Examples(VOTERS, made([(votes(3), None)]), made([(votes(2, seed=1), None)]))
    found = whole.only(["stfpm"])
    assert found.voters == ("stfpm",)
    for of in Of:
        for one, other in zip(found.rows(of), whole.rows(of), strict=True):
            assert torch.equal(one, other[:, 1:])
    assert whole.only(reversed(VOTERS)).voters == VOTERS
