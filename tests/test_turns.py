"""Turned pictures: about their centre, by no more than asked; what comes in from outside is not leather."""

from __future__ import annotations

import torch

from leatherens.core.randomness import torch_generator
from leatherens.core.synthesis.turns import random_turns, some_mirrored, some_turned
from leatherens.core.types import ImageBatch


def striped(count: int = 4, size: tuple[int, int] = (65, 97)) -> ImageBatch:
    """A white line along the middle row of a grey picture."""
    pixels = torch.full((count, 3, *size), 0.5)
    pixels[:, :, size[0] // 2] = 1
    return ImageBatch(pixels, tuple(str(i) for i in range(count)))


def angles(batch: ImageBatch) -> list[float]:
    """By how much the line of each picture slopes, in degrees."""
    found = []
    for image in batch.pixels:
        rows = image[0, :, 10:-10].argmax(dim=0).double()  # the line's row in each column
        columns = torch.arange(len(rows), dtype=torch.float64)
        slope = (
            ((rows - rows.mean()) * (columns - columns.mean())).sum() / columns.var(correction=0) / len(rows)
        )
        found.append(float(torch.rad2deg(torch.atan(slope))))
    return found


def test_pictures_turn_by_up_to_so_many_degrees_each_by_its_own() -> None:
    turned = angles(random_turns(striped(40), 5, torch_generator(0)))
    assert max(abs(angle) for angle in turned) < 5.3
    assert max(turned) > 3
    assert min(turned) < -3


def test_the_centre_stays_where_it_is() -> None:
    assert bool((random_turns(striped(), 30, torch_generator(0)).pixels[:, :, 32, 48] > 0.99).all())


def test_turns_differ_between_steps_but_not_between_runs() -> None:
    first, again, other = (random_turns(striped(), 5, torch_generator(0, step)).pixels for step in (0, 0, 1))
    assert first.equal(again)
    assert not first.equal(other)


def test_no_degrees_give_the_batch_itself() -> None:
    batch = striped()
    assert random_turns(batch, 0, torch_generator(0)) is batch


def test_corners_that_came_in_from_outside_are_not_inspected() -> None:
    """None of the black canvas is left: it takes the mean colour of what is inspected."""
    turned = random_turns(striped(), 20, torch_generator(0))
    assert turned.valid is not None
    assert 0.5 < float(turned.valid.float().mean()) < 0.95
    assert bool(turned.valid[:, 32, 48].all())
    assert float(turned.pixels.min()) > 0.49


def test_what_was_hidden_stays_hidden_and_turns_along() -> None:
    plain = striped()
    valid = torch.zeros(4, 65, 97, dtype=torch.bool)
    valid[:, 30:35] = True  # around the line
    turned = random_turns(ImageBatch(plain.pixels, plain.ids, valid), 30, torch_generator(0))
    assert turned.valid is not None
    assert bool((turned.valid.flatten(1).sum(dim=1) < 5 * 97).all())
    for image, inside in zip(turned.pixels, turned.valid, strict=True):
        assert bool((image[0] > 0.9)[inside].any())
        assert not bool((image[0] > 0.9)[~inside].any())


def test_a_picture_of_which_nothing_would_be_left_is_not_turned() -> None:
    plain = striped(2)
    valid = torch.zeros(2, 65, 97, dtype=torch.bool)
    valid[:, 3, 5] = True  # a single pixel: no turned one is wholly inside
    batch = ImageBatch(plain.pixels, plain.ids, valid)
    turned = random_turns(batch, 30, torch_generator(0))
    assert turned.pixels.equal(batch.pixels)
    assert turned.valid is not None
    assert turned.valid.equal(valid)


def test_some_turned__turns_the_share_asked_for_and_leaves_the_others_alone() -> None:
    batch = striped(60)
    found = some_turned(batch, 0.3, 30, torch_generator(3))
    moved = (found.pixels != batch.pixels).flatten(1).any(dim=1)
    assert 8 <= int(moved.sum()) <= 28
    assert found.valid is not None
    assert bool(found.valid[~moved].all())
    assert not bool(found.valid[moved].flatten(1).all(dim=1).any())


def test_some_turned__without_share_or_angle_is_the_batch_itself() -> None:
    batch = striped()
    assert some_turned(batch, 0.0, 30, torch_generator(3)) is batch
    assert some_turned(batch, 1.0, 0, torch_generator(3)) is batch


def test_some_mirrored__mirrors_pictures_and_what_is_valid_together() -> None:
    count, size = 40, (4, 6)
    pixels = torch.linspace(0, 1, 24).view(1, 1, *size).expand(count, 3, *size).contiguous()
    valid = (pixels[:, 0] < 0.3).contiguous()
    batch = ImageBatch(pixels, tuple(map(str, range(count))), valid)
    found = some_mirrored(batch, 0.5, torch_generator(0))
    assert found.valid is not None
    ways = []
    for image, inside in zip(found.pixels, found.valid, strict=True):
        (way,) = [
            dims
            for dims in ((), (-1,), (-2,), (-2, -1))
            if torch.equal(image, batch.pixels[0].flip(dims)) and torch.equal(inside, valid[0].flip(dims))
        ]
        ways.append(way)
    assert len(set(ways)) == 4
