"""What CSE learns from: the frozen features of good images and of good images spoilt on purpose."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from leatherens.core.backbones import BackboneRequest
from leatherens.core.detector import FitContext
from leatherens.core.synthesis.kinds import OneOf, spoilt
from leatherens.core.types import ImageBatch, ImagesInMemory, ImageSource


@dataclass(frozen=True, slots=True)
class Samples:
    """levels: (B, C, h, w) and (B, D, h / 2, w / 2). defects: (B,) bool, the spoilt ones. valid: pixels."""

    levels: tuple[Tensor, ...]
    defects: Tensor
    valid: Tensor | None


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws samples; only pyramids of images that will be seen again are remembered."""

    images: ImageSource
    kinds: OneOf
    request: BackboneRequest
    context: FitContext

    def untouched(self, batch: ImageBatch) -> Samples:
        """Good images as they are."""
        none = torch.zeros(len(batch), dtype=torch.bool, device=batch.pixels.device)
        return Samples(self._levels(batch, keep=True), none, batch.valid)

    def spoilt(self, batch: ImageBatch, generator: torch.Generator, *, again: bool = False) -> Samples:
        """Good images, spoilt but for the clean share. again: whether the same will be drawn another time."""
        shown, masks = spoilt(batch, self.kinds, generator)
        defects = masks.flatten(1).any(dim=1)
        fresh = defects & (not again)
        parts = [(rows.nonzero()[:, 0], keep) for rows, keep in ((~fresh, True), (fresh, False))]
        seen = [self._levels(_rows(shown, rows), keep=keep) for rows, keep in parts if len(rows)]
        order = torch.cat([rows for rows, _ in parts]).argsort()
        levels = tuple(torch.cat(level)[order] for level in zip(*seen, strict=True))
        return Samples(levels, defects, batch.valid)

    def partners(self, count: int, generator: torch.Generator) -> ImageBatch:
        """Different training images, drawn without regard to any others."""
        rows = torch.randperm(len(self.images.ids), generator=generator)[:count]
        return self.images.batch(rows.tolist()).to(self.context.device)

    def _levels(self, batch: ImageBatch, *, keep: bool) -> tuple[Tensor, ...]:
        return self.context.pool.pyramids(batch, [self.request], keep=keep)[self.request].maps


def _rows(batch: ImageBatch, rows: Tensor) -> ImageBatch:
    return ImagesInMemory(batch).batch(rows.tolist())
