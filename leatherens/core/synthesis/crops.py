"""Random squares of a batch: a fully convolutional network learns from parts at a part of the cost."""

from __future__ import annotations

import torch
from torch import Tensor

from leatherens.core.types import ImageBatch

Window = tuple[slice, slice]


def random_crops(batch: ImageBatch, side: int | None, generator: torch.Generator) -> ImageBatch:
    """One `side` x `side` square of each image, smaller where the image is; `None` gives the batch itself.

    Where not all of an image is to be inspected, its square holds something that is.
    """
    if side is None:
        return batch
    height, width = batch.size
    tall, wide = min(side, height), min(side, width)
    if batch.valid is None:
        tops = torch.randint(height - tall + 1, (len(batch),), generator=generator).tolist()
        lefts = torch.randint(width - wide + 1, (len(batch),), generator=generator).tolist()
        windows = [
            (slice(top, top + tall), slice(left, left + wide)) for top, left in zip(tops, lefts, strict=True)
        ]
    else:
        windows = [_around_valid(mask, tall, wide, generator) for mask in batch.valid.cpu()]
    pixels = torch.stack(
        [image[:, rows, columns] for image, (rows, columns) in zip(batch.pixels, windows, strict=True)]
    )
    return ImageBatch(pixels, batch.ids, _cut(batch.valid, windows), _cut(batch.hidden, windows))


def _around_valid(mask: Tensor, tall: int, wide: int, generator: torch.Generator) -> Window:
    """A window that holds a valid pixel (H, W) drawn at random, itself at a random place around it."""
    places = mask.nonzero()  # (N, 2)
    y, x = places[int(torch.randint(len(places), (1,), generator=generator))].tolist()
    top = _start(y, tall, mask.shape[0], generator)
    left = _start(x, wide, mask.shape[1], generator)
    return slice(top, top + tall), slice(left, left + wide)


def _start(at: int, length: int, whole: int, generator: torch.Generator) -> int:
    """Where a stretch that holds `at` begins."""
    first, last = max(0, at - length + 1), min(at, whole - length)
    return first + int(torch.randint(last - first + 1, (1,), generator=generator))


def _cut(masks: Tensor | None, windows: list[Window]) -> Tensor | None:
    if masks is None:
        return None
    return torch.stack([mask[rows, columns] for mask, (rows, columns) in zip(masks, windows, strict=True)])
