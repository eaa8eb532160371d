"""Walking an ensemble over images: every scorer's maps and image scores, and the time they took."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Self

from leatherens.core.photographs import Mask, Photograph
from leatherens.core.preparation import FloatMap, Frame
from leatherens.core.progress import Advance
from leatherens.core.thresholds import Normals
from leatherens.core.types import ScoreMap, batches
from leatherens.ensembles.ensemble import FUSED_FEATURES, FittedEnsemble, Stopwatch
from leatherens.ensembles.tiled_photographs import Source, TiledPhotographs
from leatherens.ensembles.tiled_scoring import Keep, KeptMap, scored_photographs


class ScorerScores(ABC):
    """One scorer's scores of n images: `images` (n,), and maps, each of the size of its image's truth."""

    images: NDArray[np.float32]

    @abstractmethod
    def map(self, index: int) -> FloatMap:
        """(H, W) float32 as the photograph lies."""

    @abstractmethod
    def valid(self, index: int) -> Mask | None:
        """(H, W) bool, where the map counts; `None` everywhere."""

    @abstractmethod
    def normals(self) -> Normals:
        """What thresholds learn from, of held-out good images."""


@dataclass(slots=True)
class WholeScores(ScorerScores):
    """Of images that were looked at as a whole.

    images: (n,) image scores. maps: n maps at working size, taken back to their photographs when asked for.
    valids: where each map counts, bool at working size; `None` everywhere. frames: the way back.
    pictures: n reconstructions (h, w, 3) at working size, of members that make them and where asked for.
    """

    images: NDArray[np.float32]
    maps: Sequence[Tensor]
    valids: Sequence[Tensor | None]
    frames: Sequence[Frame]
    pictures: Sequence[Photograph] = ()

    @classmethod
    def of(
        cls, parts: Sequence[ScoreMap], frames: Sequence[Frame], pictures: Sequence[Photograph] = ()
    ) -> Self:
        """Batch by batch, in order."""
        images: NDArray[np.float32] = torch.cat([part.image for part in parts]).numpy()
        maps = [pixels for part in parts for pixels in part.pixels]
        nothing = [None]
        valids = [v for p in parts for v in (nothing * len(p.image) if p.valid is None else p.valid)]
        return cls(images, maps, valids, frames, pictures)

    def map(self, index: int) -> FloatMap:
        """(H, W) float32 as the photograph lies, bilinear."""
        return self.frames[index].back(self.maps[index])

    def picture(self, index: int) -> Photograph:
        """(H, W, 3) uint8, the reconstruction as the photograph lies."""
        return self.frames[index].back_picture(self.pictures[index])

    def valid(self, index: int) -> Mask | None:
        """(H, W) bool, where the map counts; `None` everywhere."""
        valid = self.valids[index]
        return None if valid is None else self.frames[index].back_valid(valid)

    def normals(self) -> Normals:
        """Scores, and maps as their photographs lie."""
        every = range(len(self.maps))
        return Normals(self.images, [self.map(i) for i in every], [self.valid(i) for i in every])


@dataclass(slots=True)
class TiledScores(ScorerScores):
    """Of photographs that were looked at in tiles.

    images: (n,) image scores. kept: what is left of the n maps, each `step`-th pixel of each `step`-th row;
    metrics see no other pixels.
    """

    images: NDArray[np.float32]
    kept: Sequence[KeptMap]
    step: int = 1

    def map(self, index: int) -> FloatMap:
        """(h, w) float32, thinned."""
        return self.kept[index].scores

    def valid(self, index: int) -> Mask | None:
        """(h, w) bool, thinned."""
        return self.kept[index].valid

    def normals(self) -> Normals:
        """Scores, and of each map the thinned pixels and the highest of all."""
        return Normals(
            self.images,
            [kept.scores for kept in self.kept],
            [kept.valid for kept in self.kept],
            step=self.step,
            peaks=np.array([kept.highest for kept in self.kept], np.float32),
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of n images by scorer (the ensemble first), and milliseconds per image by scorer.

    crossed: each image was scored by an ensemble that learned from others, not by one for all (`crossing`).
    head: the raw vote of block and head, where it is one of several and was asked for.
    """

    ids: tuple[str, ...]
    by_scorer: Mapping[str, ScorerScores]
    milliseconds: Mapping[str, float]
    crossed: bool = False
    head: WholeScores | None = None


def score_images(
    ensemble: FittedEnsemble,
    source: Source,
    batch_size: int,
    advance: Advance,
    keep: Keep | None = None,
    *,
    pictures: bool = False,
) -> Scores:
    """Score a source, in its own order. The first batch warms up and is not timed if there are more.

    keep: of photographs in tiles, what becomes of the ensemble's maps at their own size. pictures: of
    photographs looked at as a whole, keep members' reconstructions and the vote of block and head, too.
    """
    if isinstance(source, TiledPhotographs):
        images, maps, spent = scored_photographs(ensemble, source, batch_size, advance, keep)
        found = {scorer: TiledScores(images[scorer], maps[scorer], source.step) for scorer in images}
        return Scores(source.ids, found, spent)
    watch, timed = Stopwatch(ensemble.device), 0
    gathered: dict[str, list[ScoreMap]] = {}
    shown: dict[str, list[Photograph]] = {}
    votes: list[ScoreMap] = []
    for number, loaded in enumerate(batches(source, batch_size)):
        if number == 1:
            watch, timed = Stopwatch(ensemble.device), 0
        batch = loaded.to(ensemble.device)
        seen = ensemble.observe(batch, watch)
        scored, voters = ensemble.judged(seen, batch, watch)
        for scorer, scores in scored.items():
            gathered.setdefault(scorer, []).append(scores.to("cpu"))
        if pictures and FUSED_FEATURES in voters and not ensemble.alone:
            votes.append(voters[FUSED_FEATURES].to("cpu"))
        for id, observation in seen.items():
            if pictures and observation.reconstruction is not None:
                shown.setdefault(id, []).extend(_pictures(observation.reconstruction))
        timed += len(batch)
        advance(len(batch))
    by_scorer = {
        scorer: WholeScores.of(parts, source.frames, shown.get(scorer, ()))
        for scorer, parts in gathered.items()
    }
    head = WholeScores.of(votes, source.frames) if votes else None
    return Scores(source.ids, by_scorer, ensemble.milliseconds(watch, timed), head=head)


def _pictures(pixels: Tensor) -> Sequence[Photograph]:
    """(B, 3, H, W) in 0..1 to B pictures (H, W, 3) of 8 bits, a quarter of the memory."""
    bytes: NDArray[np.uint8] = (255 * pixels).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return list(bytes)
