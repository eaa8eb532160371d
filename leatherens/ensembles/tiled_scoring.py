"""Scoring photographs by their tiles: maps at the photographs' own size, memory of one row of tiles.

A photograph scores as its worst tile does. Maps are blended from overlapping tiles into temporary files,
where a photograph's own level is taken off as a whole; what stays in memory is thinned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from leatherens.core.geometry import resize_scores
from leatherens.core.loading import ahead
from leatherens.core.photographs import Mask
from leatherens.core.preparation import FloatMap, Working
from leatherens.core.progress import Advance
from leatherens.core.reading import Sample
from leatherens.core.tiling import Grid, Stitcher
from leatherens.core.types import ImageBatch, ScoreMap
from leatherens.ensembles.cut_tiles import Opened
from leatherens.ensembles.ensemble import ENSEMBLE, FittedEnsemble, Stopwatch
from leatherens.ensembles.sources import batch_of
from leatherens.ensembles.stored_map import StoredMap
from leatherens.ensembles.tiled_photographs import TiledPhotographs

Keep = Callable[[int, StoredMap], None]
"""What is done with the ensemble's map of a photograph, by its number, before it is gone."""


@dataclass(frozen=True, slots=True)
class ScoredPhotograph:
    """Every scorer's image score and map of one photograph, at its own size."""

    images: dict[str, float]
    maps: dict[str, StoredMap]


def score_photograph(
    ensemble: FittedEnsemble, source: TiledPhotographs, sample: Sample, batch_size: int, watch: Stopwatch
) -> ScoredPhotograph:
    """Score one photograph; an `InputError` says what is wrong with it."""
    opened = source.opened(sample, source.tiling.overlap)
    images: dict[str, float] = {}
    sinks: dict[str, _Sink] = {}
    for numbers, batch in ahead(_batches(opened, batch_size)):
        scored = ensemble.score(batch.to(ensemble.device), watch)
        for scorer, scores in scored.items():
            sink = sinks.setdefault(scorer, _Sink(opened.grid))
            sink.add(numbers, scores.to("cpu"))
            images[scorer] = max(images.get(scorer, float("-inf")), float(scores.image.max()))
    maps = {scorer: sink.finished() for scorer, sink in sinks.items()}
    if not ensemble.alone:
        maps[ENSEMBLE].take_off_own_level()
    return ScoredPhotograph(images, {scorer: found.back(opened.frame) for scorer, found in maps.items()})


def _batches(opened: Opened, size: int) -> Iterator[tuple[list[int], ImageBatch]]:
    """The tiles of a photograph, several at a time, and their numbers."""
    waiting: list[tuple[int, Working]] = []
    for tile in opened.tiles():
        waiting.append(tile)
        if len(waiting) == size:
            yield _batch(opened, waiting)
            waiting = []
    if waiting:
        yield _batch(opened, waiting)


def _batch(opened: Opened, tiles: Sequence[tuple[int, Working]]) -> tuple[list[int], ImageBatch]:
    numbers = [number for number, _ in tiles]
    ids = [f"{opened.sample.id}, tile {number}" for number in numbers]
    return numbers, batch_of([working for _, working in tiles], ids)


class _Sink:
    """Takes one scorer's tiles at working size, and stitches them into a map of the photograph."""

    def __init__(self, tiles: Grid) -> None:
        self._tile = tiles.tile
        self._stitcher = Stitcher(tiles)
        self._map = StoredMap(tiles.size)

    def add(self, numbers: Sequence[int], scores: ScoreMap) -> None:
        enlarged = resize_scores(scores.pixels.float(), self._tile).numpy()  # (B, h, w)
        for row, number in enumerate(numbers):
            valid = None if scores.valid is None else _enlarged(scores.valid[row], self._tile)
            for band in self._stitcher.add(number, enlarged[row], valid):
                self._map.add(band)

    def finished(self) -> StoredMap:
        for band in self._stitcher.finish():
            self._map.add(band)
        return self._map


def _enlarged(valid: Tensor, size: tuple[int, int]) -> Mask:
    """(h, w) bool to (H, W): as its nearest working pixel."""
    import cv2

    levels = valid.numpy().astype(np.uint8)
    enlarged = cv2.resize(levels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    counted: Mask = np.asarray(enlarged) > 0
    return counted


@dataclass(frozen=True, slots=True)
class KeptMap:
    """What stays of a map: thinned scores (h, w), where they count, and its highest score at full size."""

    scores: FloatMap
    valid: Mask | None
    highest: float

    @classmethod
    def of(cls, full: StoredMap, step: int) -> KeptMap:
        """Each `step`-th pixel of each `step`-th row."""
        scores, valid = full.thinned(step, step)
        return cls(scores, valid, full.highest)


def scored_photographs(
    ensemble: FittedEnsemble, source: TiledPhotographs, batch_size: int, advance: Advance, keep: Keep | None
) -> tuple[dict[str, NDArray[np.float32]], dict[str, list[KeptMap]], dict[str, float]]:
    """(n,) image scores, kept maps and milliseconds per photograph, by scorer.

    The first photograph warms up and is not timed if there are more.
    """
    watch, timed = Stopwatch(ensemble.device), 0
    images: dict[str, list[float]] = {}
    maps: dict[str, list[KeptMap]] = {}
    for number, sample in enumerate(source.samples):
        if number == 1:
            watch, timed = Stopwatch(ensemble.device), 0
        found = score_photograph(ensemble, source, sample, batch_size, watch)
        for scorer, full in found.maps.items():
            images.setdefault(scorer, []).append(found.images[scorer])
            maps.setdefault(scorer, []).append(KeptMap.of(full, source.step))
        if keep is not None:
            keep(number, found.maps[ENSEMBLE])
        timed += 1
        advance(1)
    arrays = {scorer: np.array(scores, np.float32) for scorer, scores in images.items()}
    return arrays, maps, ensemble.milliseconds(watch, timed)
