"""The tiles of a photograph, walked once from top to bottom, and kept for those who learn from them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from leatherens.core.preparation import Frame, Prepared, Working, nothing_left, shrunk
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import Sample
from leatherens.core.scratch import no_room, scratch_file
from leatherens.core.tiling import Grid
from leatherens.core.types import FromDisk, ImageBatch
from leatherens.ensembles.sources import batch_of


@dataclass(frozen=True, slots=True)
class Opened:
    """One photograph, ready to be walked: where its tiles stand, and how it lies in the file's photograph."""

    sample: Sample
    grid: Grid
    frame: Frame
    bands: Iterator[Prepared]
    size: tuple[int, int]

    def tiles(self) -> Iterator[tuple[int, Working]]:
        """Numbers and tiles at working size, those left out of which nothing counts."""
        columns, some = len(self.grid.lefts), False
        for row, band in enumerate(self.bands):
            for number in range(row * columns, (row + 1) * columns):
                working = shrunk(self._cut(band, number), self.grid.tile, self.size)
                if working.valid is None or working.valid.any():
                    some = True
                    yield number, working
        if not some:
            raise nothing_left(self.sample.id)

    def _cut(self, band: Prepared, number: int) -> Prepared:
        """A tile (h, w) of a band; what reaches beyond the picture is not seen."""
        box = self.grid.box(number)
        return band.cut(slice(None), slice(box.left, box.right)).grown(self.grid.tile)


@dataclass(frozen=True, slots=True)
class _Place:
    """A tile in the temporary file."""

    offset: int
    masked: bool


class CutTiles:
    """Tiles of photographs, cut once and kept in a temporary file, where each epoch reads them.

    opened: makes a photograph ready to be walked. size: of every tile, height and width.
    """

    def __init__(self, opened: Callable[[Sample], Opened], size: tuple[int, int]) -> None:
        self._opened = opened
        self.size = size
        self._places: dict[Path, dict[int, _Place]] = {}
        self._grids: dict[Path, Grid] = {}
        self._lock = threading.Lock()
        self._file = scratch_file(self)

    def numbers(self, sample: Sample) -> list[int]:
        """The tiles of a photograph that something counts in."""
        with self._lock:
            return list(self._cut(sample))

    def name(self, sample: Sample, number: int) -> str:
        """A tile's id: the photograph's, and the rows and columns it begins at."""
        with self._lock:
            self._cut(sample)
            box = self._grids[sample.path].box(number)
        return f"{sample.id}@{box.top},{box.left}"

    def load(self, sample: Sample, number: int) -> Working:
        """One tile at working size."""
        with self._lock:
            place = self._cut(sample)[number]
            self._file.seek(place.offset)
            area = self.size[0] * self.size[1]
            content = np.frombuffer(self._file.read(area * (5 if place.masked else 3)), np.uint8)
        pixels = content[: 3 * area].reshape(*self.size, 3)
        frame = Frame(self.size, self.size)
        if not place.masked:
            return Working(pixels, None, None, frame)
        valid, hidden = content[3 * area :].view(np.bool_).reshape(2, *self.size)
        return Working(pixels, valid, hidden, frame)

    def _cut(self, sample: Sample) -> dict[int, _Place]:
        if sample.path not in self._places:
            opened = self._opened(sample)
            try:
                self._places[sample.path] = {
                    number: self._written(working) for number, working in opened.tiles()
                }
            except OSError as error:
                raise no_room(f"the tiles of {sample.id}", error) from None
            self._grids[sample.path] = opened.grid
        return self._places[sample.path]

    def _written(self, working: Working) -> _Place:
        self._file.seek(0, 2)
        place = _Place(self._file.tell(), working.valid is not None)
        self._file.write(np.ascontiguousarray(working.pixels).tobytes())
        if working.valid is not None and working.hidden is not None:
            self._file.write(working.valid.tobytes() + working.hidden.tobytes())
        return place


class TileImages(FromDisk):
    """An `ImageSource` over the tiles of photographs; most: of so many, drawn evenly, in their order."""

    def __init__(self, cut: CutTiles, samples: Sequence[Sample], most: int | None = None) -> None:
        self._cut = cut
        self._samples = samples
        self._most = most

    @cached_property
    def _tiles(self) -> list[tuple[Sample, int]]:
        every = [(sample, number) for sample in self._samples for number in self._cut.numbers(sample)]
        if self._most is None or len(every) <= self._most:
            return every
        drawn = numpy_generator(0, "tiles", *(sample.id for sample in self._samples))
        return [every[i] for i in sorted(drawn.choice(len(every), self._most, replace=False))]

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """One name per tile."""
        return tuple(self._cut.name(sample, number) for sample, number in self._tiles)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every tile."""
        return self._cut.size

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        """The tiles at these positions."""
        chosen = [self._tiles[i] for i in indices]
        return batch_of([self._cut.load(*tile) for tile in chosen], [self.ids[i] for i in indices])
