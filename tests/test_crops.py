"""Random squares: the pictures' own pixels, of the asked size, with their masks."""

from __future__ import annotations

import torch

from leatherens.core.randomness import torch_generator
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.types import ImageBatch


def numbered(height: int, width: int, count: int = 3) -> ImageBatch:
    """Images in which every pixel has a value of its own."""
    ramp = torch.arange(height * width, dtype=torch.float32).view(1, 1, height, width) / (height * width)
    return ImageBatch(ramp.repeat(count, 3, 1, 1), tuple(str(i) for i in range(count)))


def test_each_square_is_a_part_of_its_image() -> None:
    batch = numbered(40, 50)

    squares = random_crops(batch, 16, torch_generator(0, "crops"))

    assert squares.pixels.shape == (3, 3, 16, 16)
    for image, square in zip(batch.pixels, squares.pixels, strict=True):
        top, left = divmod(round(float(square[0, 0, 0]) * 40 * 50), 50)
        torch.testing.assert_close(image[:, top : top + 16, left : left + 16], square)


def test_squares_differ_between_images_and_steps_but_not_between_runs() -> None:
    batch = numbered(64, 64)

    first = random_crops(batch, 32, torch_generator(0, "step", 0)).pixels
    again = random_crops(batch, 32, torch_generator(0, "step", 0)).pixels
    other = random_crops(batch, 32, torch_generator(0, "step", 1)).pixels

    assert first.equal(again)
    assert not first.equal(other)
    assert not first[0].equal(first[1])


def test_no_side_gives_the_batch_itself_and_a_large_one_the_whole_image() -> None:
    batch = numbered(20, 30)
    generator = torch_generator(0)

    assert random_crops(batch, None, generator) is batch
    assert random_crops(batch, 64, generator).pixels.equal(batch.pixels)


def test_the_mask_is_cut_like_the_image() -> None:
    valid = torch.zeros(2, 32, 32, dtype=torch.bool)
    valid[:, :, 16:] = True
    pixels = torch.rand(2, 3, 32, 32, generator=torch_generator(0))
    batch = ImageBatch(pixels, ("a", "b"), valid)

    squares = random_crops(batch, 24, torch_generator(1))

    assert squares.valid is not None
    for square, inside in zip(squares.pixels, squares.valid, strict=True):
        first = int(inside[0].nonzero()[0])
        assert bool(inside[:, first:].all())
        assert not bool(inside[:, :first].any())
        assert float(square[:, :, :first].std()) < float(square[:, :, first:].std())


def test_a_square_holds_something_to_inspect() -> None:
    valid = torch.zeros(50, 40, 64, dtype=torch.bool)
    valid[:, 31, 57] = True
    batch = ImageBatch(numbered(40, 64, 50).pixels, tuple(map(str, range(50))), valid, ~everywhere(valid))

    squares = random_crops(batch, 8, torch_generator(3))

    assert squares.valid is not None
    assert squares.valid.flatten(1).sum(dim=1).tolist() == [1] * 50
    places = {tuple(mask.nonzero()[0].tolist()) for mask in squares.valid}
    assert len(places) > 25, "it may lie anywhere in its square"
    assert squares.pixels.std() > 0, "what does not count may still be seen"


def everywhere(mask: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(mask)
