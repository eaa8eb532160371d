"""Photographs as tiles: hides that are too large to be brought to the working size as a whole.

A tile is a window of the photograph at its own resolution, brought to the working size, which is the
window's own unless the recipe says otherwise. Members learn from tiles that do not overlap; scores are taken
from tiles that do (`tiled_scoring`). Photographs are walked in bands of rows; those whose preparation needs
the whole of them are held whole, and refused if they are too large for that.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from typing_extensions import Self

from leatherens.configs.recipe import Recipe
from leatherens.core.bands import mask_bands, photograph_bands, size_of
from leatherens.core.colours import Lab, image_colour
from leatherens.core.errors import InputError
from leatherens.core.overview import Shrinking, averaged, block_for
from leatherens.core.photographs import Mask, Photograph, read_photograph, size_mismatch
from leatherens.core.preparation import (
    Frame,
    Part,
    Preparation,
    Prepared,
    prepare,
)
from leatherens.core.progress import Progress
from leatherens.core.reading import Sample
from leatherens.core.saturation import read_region
from leatherens.core.tiling import OVERLAP, Grid, grid
from leatherens.ensembles.cut_tiles import CutTiles, Opened, TileImages
from leatherens.ensembles.sources import FileSource, Problem, only, problems_of

MOST_WHOLE = 50_000_000
"""Pixels of a photograph that is held whole, where its preparation needs that: 150 MB, and its steps' own."""

VALIDATING = 512
"""Tiles that set scales and choose epochs, at most: a hide has thousands, and their maps are kept for it."""

KEPT_PIXELS = 64_000_000
"""Of the maps of all photographs together that metrics are taken from; beyond, maps are thinned evenly."""

_READERS = 2  # photographs checked at once: each holds a band
_ROWS = 512


@dataclass(frozen=True, slots=True)
class Tiling:
    """How photographs become tiles: height and width of a window, the working size, the overlap."""

    tile: tuple[int, int]
    size: tuple[int, int]
    overlap: float = OVERLAP


class TiledPhotographs:
    """Samples whose photographs are looked at in tiles; `ids` and `samples` are of photographs.

    preparation: steps that a photograph goes through before it is cut, fitted.
    """

    def __init__(
        self, samples: Sequence[Sample], tiling: Tiling, preparation: Sequence[Preparation] = ()
    ) -> None:
        self.samples = tuple(samples)
        self.tiling = tiling
        self._preparation = tuple(preparation)
        self._remarks: dict[Path, tuple[str, ...]] = {}
        self._colours: dict[Path, Lab] = {}
        self._cut = CutTiles(partial(self.opened, overlap=0.0), tiling.size)

    @property
    def ids(self) -> tuple[str, ...]:
        """One name per photograph."""
        return tuple(sample.id for sample in self.samples)

    @property
    def remarks(self) -> Mapping[str, tuple[str, ...]]:
        """What the preparation has to tell of photographs, by id; only of those that were walked."""
        told = {sample.id: self._remarks.get(sample.path, ()) for sample in self.samples}
        return {id: remarks for id, remarks in told.items() if remarks}

    def only(self, ids: Collection[str]) -> Self:
        """These photographs, in the order they stand here, sharing what is cut."""
        part = copy.copy(self)
        part.samples = only(self.samples, ids)
        part.__dict__.pop("step", None)  # of other photographs
        return part

    @property
    def teaching(self) -> TileImages:
        """All tiles of these photographs, to learn from."""
        return TileImages(self._cut, self.samples)

    @property
    def validating(self) -> TileImages:
        """At most `VALIDATING` tiles of these photographs, drawn evenly."""
        return TileImages(self._cut, self.samples, VALIDATING)

    def opened(self, sample: Sample, overlap: float) -> Opened:
        """A photograph from its first band on."""
        tile, size = self.tiling.tile, self.tiling.size
        original = size_of(sample.path)
        if all(step.by_parts for step in self._preparation):
            tiles = grid(original, tile, overlap)
            frame = Frame(original, original)
            return Opened(sample, tiles, frame, self._read(sample, tiles), size)
        prepared = self._prepared(sample, original)
        tiles = grid(prepared.size, tile, overlap)
        frame = Frame(original, prepared.size, prepared.warp)
        return Opened(sample, tiles, frame, _bands_of(prepared, tiles), size)

    def _read(self, sample: Sample, tiles: Grid) -> Iterator[Prepared]:
        read = photograph_bands(sample.path, tiles.bands)
        for (top, _), band in zip(tiles.bands, read, strict=True):
            yield prepare(sample.id, band, self._preparation, Part(top, tiles.size))

    def _prepared(self, sample: Sample, original: tuple[int, int]) -> Prepared:
        """A photograph that is held whole."""
        if original[0] * original[1] > MOST_WHOLE:
            whole = [step.id for step in self._preparation if not step.by_parts]
            raise InputError(
                f"{sample.path}: {original[0] * original[1] / 1e6:.0f} million pixels, and the preparation "
                f"({', '.join(whole)}) needs a photograph whole, of at most {MOST_WHOLE / 1e6:.0f} million; "
                "leave it out, or give smaller photographs"
            )
        prepared = prepare(sample.id, read_photograph(sample.path), self._preparation)
        self._remarks[sample.path] = prepared.remarks
        return prepared

    def problems(self, progress: Progress | None = None) -> list[Problem]:
        """Read every photograph and mask to its end, and tell which cannot be used."""
        return problems_of(self.samples, self._check, threads=_READERS, progress=progress)

    def _check(self, sample: Sample) -> None:
        opened = self.opened(sample, 0.0)
        for _ in opened.bands:
            continue
        for path in sample.masks:
            for _ in _mask_rows(path, opened.frame.original):
                continue
            if sample.saturations:
                read_region(path, sample.saturations)

    @cached_property
    def step(self) -> int:
        """Of the maps each `step`-th pixel of each `step`-th row is kept, so that all fit in memory."""
        return self.step_of([size_of(sample.path) for sample in self.samples])

    @staticmethod
    def step_of(sizes: Sequence[tuple[int, int]]) -> int:
        """The step for photographs of these sizes.

        >>> TiledPhotographs.step_of([(2048, 3072)] * 10), TiledPhotographs.step_of([(10_000, 10_000)] * 10)
        (1, 4)
        """
        total = sum(height * width for height, width in sizes)
        return max(1, int(np.ceil(np.sqrt(total / KEPT_PIXELS))))

    def mask(self, index: int) -> Mask | None:
        """The marked defect, thinned as the maps are; `None` where nobody has marked it."""
        sample, step = self.samples[index], self.step
        if not sample.masks and sample.defective is not False:
            return None
        size = size_of(sample.path)
        if not sample.masks:
            return np.zeros(thinned_size(size, step), np.bool_)
        return thinned_mask(sample.masks, size, step)

    def masks(self) -> list[Mask | None]:
        """`mask` of every sample."""
        return [self.mask(index) for index in range(len(self.samples))]

    @property
    def colours(self) -> Lab:
        """(N, 3) the colour of every photograph as it is on disk, before any preparation."""
        for sample in self.samples:
            if sample.path not in self._colours:
                self._colours[sample.path] = image_colour(small_photograph(sample.path))
        return np.array([self._colours[sample.path] for sample in self.samples]).reshape(-1, 3)

    def photograph(self, index: int) -> Photograph:
        """A photograph made small, to be shown."""
        return small_photograph(self.samples[index].path)


def _bands_of(picture: Prepared, tiles: Grid) -> Iterator[Prepared]:
    """The rows of tiles of a picture that is held whole."""
    for start, stop in tiles.bands:
        yield picture.cut(slice(start, stop), slice(None))


def thinned_size(size: tuple[int, int], step: int) -> tuple[int, int]:
    """Height and width of each `step`-th pixel of each `step`-th row.

    >>> thinned_size((700, 512), 3)
    (234, 171)
    """
    return -(-size[0] // step), -(-size[1] // step)


def thinned_mask(masks: Sequence[Path], size: tuple[int, int], step: int) -> Mask:
    """The union of the masks of a photograph of (height, width) `size`, thinned as its maps are."""
    marked = np.zeros(thinned_size(size, step), np.bool_)
    for path in masks:
        row = 0
        for band in _mask_rows(path, size):
            first = -row % step
            at = (row + first) // step
            some = band[first::step, ::step]
            marked[at : at + len(some)] |= some
            row += len(band)
    return marked


def small_photograph(path: Path) -> Photograph:
    """A photograph of any size, averaged down to the size of an overview."""
    size = size_of(path)
    small = Shrinking(size, averaged, block_for(size))
    for band in photograph_bands(path, _spans(size[0])):
        small.add(band)
    pixels: Photograph = small.picture
    return pixels


def _spans(height: int) -> list[tuple[int, int]]:
    return [(top, min(top + _ROWS, height)) for top in range(0, height, _ROWS)]


def _mask_rows(path: Path, size: tuple[int, int]) -> Iterator[Mask]:
    """A mask from top to bottom; refused unless it has its photograph's size."""
    found = size_of(path)
    if found != size:
        raise size_mismatch(path, found, size)
    return mask_bands(path, _spans(size[0]))


Source: TypeAlias = "FileSource | TiledPhotographs"
"""Photographs as a recipe wants them looked at: as a whole, or in tiles."""


def source_of(recipe: Recipe, samples: Sequence[Sample], preparation: Sequence[Preparation] = ()) -> Source:
    """Samples as a recipe wants them looked at, their preparation fitted."""
    if recipe.tile is None:
        return FileSource(samples, size=recipe.size, preparation=preparation)
    return TiledPhotographs(samples, Tiling(recipe.tile, recipe.size, recipe.overlap), preparation)
