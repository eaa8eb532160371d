"""Random squares of a batch: a fully convolutional network learns from parts at a part of the cost."""

from __future__ import annotations

import torch

from leatherens.core.types import ImageBatch


def random_crops(batch: ImageBatch, side: int | None, generator: torch.Generator) -> ImageBatch:
    """One `side` x `side` square of each image, smaller where the image is; `None` gives the batch itself."""
    if side is None:
        return batch
    height, width = batch.size
    tall, wide = min(side, height), min(side, width)
    tops = torch.randint(height - tall + 1, (len(batch),), generator=generator).tolist()
    lefts = torch.randint(width - wide + 1, (len(batch),), generator=generator).tolist()
    windows = [
        (slice(top, top + tall), slice(left, left + wide)) for top, left in zip(tops, lefts, strict=True)
    ]
    pixels = torch.stack(
        [image[:, rows, columns] for image, (rows, columns) in zip(batch.pixels, windows, strict=True)]
    )
    return ImageBatch(pixels, batch.ids, _cropped_valid(batch, windows))


def _cropped_valid(batch: ImageBatch, windows: list[tuple[slice, slice]]) -> torch.Tensor | None:
    """The windows' valid masks; a window with nothing to inspect counts whole, as there is no empty image."""
    if batch.valid is None:
        return None
    masks = [mask[rows, columns] for mask, (rows, columns) in zip(batch.valid, windows, strict=True)]
    return torch.stack([mask if bool(mask.any()) else torch.ones_like(mask) for mask in masks])
