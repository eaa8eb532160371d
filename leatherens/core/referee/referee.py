"""Measuring score maps from files: read a few ahead by threads, one in memory as they are counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from leatherens.core.measurement import Measurement, Options
from leatherens.core.photographs import Mask, photograph_size, read_masks
from leatherens.core.pixel_pool import image_pixels
from leatherens.core.progress import Progress
from leatherens.core.reading import Sample
from leatherens.core.referee.intervals import Intervals, Resampled
from leatherens.core.referee.map_files import brought_to, read_map, wrong_size
from leatherens.core.referee.pairing import Paired
from leatherens.core.saturation import Region, read_region
from leatherens.core.score_counts import FloatArray

_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Opened:
    """One image's map at its size, its score, its truth; `mask` is `None` where nobody marked the defect."""

    sample: Sample
    scores: FloatArray
    score: float
    mask: Mask | None
    regions: list[Region] | None
    resized: bool


@dataclass(slots=True)
class Referee:
    """Maps and their truth. image_scores: by id, `None`: the highest of each map, before it is resized.

    resize: bring maps of another size to their image's; else they are refused.
    """

    paired: Paired
    options: Options
    image_scores: Mapping[str, float] | None = None
    resize: bool = False
    resized: int = 0
    unmarked: list[str] = field(default_factory=list)

    def measure(self, progress: Progress, intervals: Intervals | None = None) -> Measurement:
        """One pass over all maps."""
        kinds = {(sample.defect, sample.view) for sample, _ in self.paired.pairs}
        found = Measurement(self.options, cells=len(kinds))
        self.resized, self.unmarked = 0, []
        for one in self._opened(progress, "measuring the maps"):
            found.add(one.sample, one.score)
            self.resized += one.resized
            if one.mask is None:
                self.unmarked.append(one.sample.id)
            else:
                found.add_pixels(one.sample, one.scores, one.mask, regions=one.regions)
            if intervals is not None:
                intervals.see(one.sample, one.score, one.scores, one.mask)
        return found

    def resample(self, progress: Progress, intervals: Intervals) -> Resampled:
        """A second pass, at the thresholds that the first one left."""
        for one in self._opened(progress, "drawing images anew"):
            intervals.count(None if one.mask is None else image_pixels(one.scores, one.mask))
        return intervals.resampled(self.options)

    def _opened(self, progress: Progress, title: str) -> Iterator[Opened]:
        """Every image in order; the next few are being read."""
        pairs = iter(self.paired.pairs)
        with (
            progress.step(title, len(self.paired.pairs)) as advance,
            ThreadPoolExecutor(_AHEAD) as threads,
        ):
            waiting: deque[Future[Opened]] = deque(
                threads.submit(self._open, *pair) for pair in islice(pairs, _AHEAD)
            )
            try:
                while waiting:
                    one = waiting.popleft().result()
                    waiting.extend(threads.submit(self._open, *pair) for pair in islice(pairs, 1))
                    yield one
                    advance(1)
            finally:
                for future in waiting:
                    future.cancel()

    def _open(self, sample: Sample, path: Path) -> Opened:
        scores, size = read_map(path), photograph_size(sample.path)
        score = scores.max() if self.image_scores is None else self.image_scores[sample.id]
        resized = scores.shape != size
        if resized and not self.resize:
            raise wrong_size(path, scores.shape, size)
        mask, regions = truth_of(sample, size)
        return Opened(sample, brought_to(scores, size) if resized else scores, score, mask, regions, resized)


def truth_of(sample: Sample, size: tuple[int, int]) -> tuple[Mask | None, list[Region] | None]:
    """What is marked in an image of (height, width) `size`, and the regions of which a part must be found."""
    if sample.defective is False:
        return np.zeros(size, dtype=np.bool_), None
    if not sample.masks:
        return None, None
    if not sample.saturations:
        return read_masks(sample.masks, size), None
    regions = [read_region(mask, sample.saturations, size) for mask in sample.masks]
    return np.any([region.marked for region in regions], axis=0), regions
