"""A handful of images that stand for many: learned from as if there were that many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leatherens.core.types import ImageBatch, ImageSource

HANDFUL = 8
"""Images that are really looked at: one batch."""


class Handful:
    """An `ImageSource` of `count` images that are the first few of another source again and again.

    They are kept in memory. What depends on how many images there are, such as the size of a memory bank and
    the steps of a schedule, is then as it will be; what depends on the pixels is not.
    """

    def __init__(self, source: ImageSource, count: int) -> None:
        self._few = source.batch(range(min(HANDFUL, len(source.ids))))
        self._ids = tuple(f"{self._few.ids[i % len(self._few)]}#{i // len(self._few)}" for i in range(count))

    @property
    def ids(self) -> tuple[str, ...]:
        """The image's name and the number of its copy."""
        return self._ids

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self._few.size

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        """The images at these positions."""
        rows = self._few.rows([index % len(self._few) for index in indices])
        return replace(rows, ids=tuple(self._ids[index] for index in indices))
