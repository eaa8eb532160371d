"""Walking an ensemble over images: every scorer's maps and image scores, and the time they took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leatherens.core.geometry import resize_scores
from leatherens.core.photographs import Photograph
from leatherens.core.progress import Advance
from leatherens.core.types import ScoreMap, batches
from leatherens.ensembles.ensemble import Ensemble, Stopwatch
from leatherens.ensembles.sources import FileSource

FloatMap = NDArray[np.float32]


@dataclass(slots=True)
class ScorerScores:
    """One scorer's scores of n images.

    images: (n,) image scores. maps: n maps at input size, brought to original size when asked for.
    """

    images: NDArray[np.float32]
    maps: Sequence[Tensor]
    sizes: Sequence[tuple[int, int]]

    def map(self, index: int) -> FloatMap:
        """(H, W) float32 at original size, bilinear."""
        return at_original_size(self.maps[index], self.sizes[index])

    def all_maps(self) -> list[FloatMap]:
        """Every map at original size."""
        return [self.map(index) for index in range(len(self.maps))]


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of n images by scorer (the ensemble first), and milliseconds per image by scorer.

    reconstructions: by member that makes some, where asked for, n pictures (h, w, 3) at input size.
    """

    ids: tuple[str, ...]
    by_scorer: Mapping[str, ScorerScores]
    milliseconds: Mapping[str, float]
    reconstructions: Mapping[str, Sequence[Photograph]] = field(default_factory=dict)


def at_original_size(pixels: Tensor, size: tuple[int, int]) -> FloatMap:
    """One (h, w) map to a photograph's own size."""
    resized: FloatMap = resize_scores(pixels[None].float().cpu(), size)[0].numpy()
    return resized


def score_images(
    ensemble: Ensemble,
    source: FileSource,
    batch_size: int,
    advance: Advance,
    *,
    reconstructions: bool = False,
) -> Scores:
    """Score a source, in its own order. The first batch warms up and is not timed if there are more."""
    watch, timed = Stopwatch(ensemble.device), 0
    gathered: dict[str, list[ScoreMap]] = {}
    shown: dict[str, list[Photograph]] = {}
    for number, loaded in enumerate(batches(source, batch_size)):
        if number == 1:
            watch, timed = Stopwatch(ensemble.device), 0
        batch = loaded.to(ensemble.device)
        seen = ensemble.observe(batch, watch)
        for scorer, scores in ensemble.scored(seen, batch, watch).items():
            gathered.setdefault(scorer, []).append(scores.to("cpu"))
        for id, observation in seen.items():
            if reconstructions and observation.reconstruction is not None:
                shown.setdefault(id, []).extend(_pictures(observation.reconstruction))
        timed += len(batch)
        advance(len(batch))
    by_scorer = {scorer: _joined(parts, source.original_sizes) for scorer, parts in gathered.items()}
    return Scores(source.ids, by_scorer, ensemble.milliseconds(watch, timed), shown)


def _pictures(pixels: Tensor) -> Sequence[Photograph]:
    """(B, 3, H, W) in 0..1 to B pictures (H, W, 3) of 8 bits, a quarter of the memory."""
    bytes: NDArray[np.uint8] = (255 * pixels).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return list(bytes)


def _joined(parts: Sequence[ScoreMap], sizes: Sequence[tuple[int, int]]) -> ScorerScores:
    images: NDArray[np.float32] = torch.cat([part.image for part in parts]).numpy()
    return ScorerScores(images, [pixels for part in parts for pixels in part.pixels], sizes)
