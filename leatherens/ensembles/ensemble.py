"""A fitted ensemble: a batch in, one score out, with every member's beside it.

The backbones run once per batch; each member observes; feature maps go through block and head;
scores go onto the common scale and are fused. An ensemble of one voter is that voter, unit included.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from leatherens.core.agreement import Agreement
from leatherens.core.backbones import BackbonePool, BackboneRequest, Pyramids
from leatherens.core.detector import Detector, cut
from leatherens.core.fusion import FusionBlock, MemberFeatures
from leatherens.core.geometry import silence
from leatherens.core.heads import Head
from leatherens.core.own_level import less_own_level
from leatherens.core.scale import Scale
from leatherens.core.score_channels import with_score_map
from leatherens.core.scorefusion import ScoreFusion
from leatherens.core.types import FeatureMaps, ImageBatch, Observation, ScoreMap
from leatherens.ensembles.guarding import SCORING, checked, guarded, only_read

ENSEMBLE = "ensemble"
"""The scorer that decides; the others are the members, by id."""

FUSED_FEATURES = "fused-features"
"""The voter that block and head make of the members' feature maps."""


@dataclass(slots=True)
class Stopwatch:
    """Seconds by what they were spent on."""

    device: str = "cpu"
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of a block of work, the GPU's included."""
        start = time.perf_counter()
        yield
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class FittedEnsemble:
    """Fitted members and what fuses them. Scoring changes nothing.

    votes: the members' scores count; block and head: their features do.
    scales: by voter, where there are several. agreement: makes the image score of fused scores; without, it
    is the fused image score. tiles: images are tiles, whose own level is not their photograph's: it is left
    to `tiled_scoring`, which sees them all.
    """

    pool: BackbonePool
    members: Mapping[str, Detector]
    cuts: Mapping[str, tuple[str, ...]]
    score_fusion: ScoreFusion
    votes: bool = True
    block: FusionBlock | None = None
    head: Head | None = None
    scales: Mapping[str, Scale] = field(default_factory=dict)
    agreement: Agreement | None = None
    tiles: bool = False

    @property
    def device(self) -> str:
        """Where it runs."""
        return self.pool.device

    @property
    def voter_names(self) -> tuple[str, ...]:
        """Whose scores are fused."""
        head = (FUSED_FEATURES,) if self.head is not None else ()
        return (*(self.members if self.votes else ()), *head)

    @property
    def alone(self) -> bool:
        """Whether there is a single voter, so that nothing needs fusing."""
        return len(self.voter_names) == 1

    def score(self, batch: ImageBatch, stopwatch: Stopwatch | None = None) -> dict[str, ScoreMap]:
        """Scores by scorer: the ensemble's, then each member's own."""
        watch = stopwatch or Stopwatch()
        return self.scored(self.observe(batch, watch), batch, watch)

    def scored(
        self, seen: Mapping[str, Observation], batch: ImageBatch, watch: Stopwatch
    ) -> dict[str, ScoreMap]:
        """Scores by scorer from what the members see in a batch."""
        return self.judged(seen, batch, watch)[0]

    def judged(
        self, seen: Mapping[str, Observation], batch: ImageBatch, watch: Stopwatch
    ) -> tuple[dict[str, ScoreMap], dict[str, ScoreMap]]:
        """Scores by scorer, and the raw ones of the voters."""
        with watch.measure("fusion"):
            voters = self.voters(seen, batch)
            decided = self.decided(voters)
        return {ENSEMBLE: decided, **{id: seen[id].scores for id in seen}}, voters

    def observe(
        self, batch: ImageBatch, stopwatch: Stopwatch | None = None, *, keep: bool = False
    ) -> dict[str, Observation]:
        """What each member sees, by id; keep: remember the pyramids, while learning."""
        watch = stopwatch or Stopwatch()
        pyramids = self._pyramids(batch, watch, keep)
        seen = {}
        for id, member in self.members.items():
            part = f"detector '{id}'"
            with watch.measure(f"member/{id}"), guarded(part, SCORING), only_read(part, batch, pyramids):
                seen[id] = member.observe(batch, pyramids)
        return seen

    def voters(self, seen: Mapping[str, Observation], batch: ImageBatch) -> dict[str, ScoreMap]:
        """The raw scores that are fused: the members', the head's, or both."""
        voters = {id: observation.scores for id, observation in seen.items()} if self.votes else {}
        if self.block is not None and self.head is not None:
            features, part = self.features(seen), f"head '{self.head.id}'"
            with guarded(f"fusion block '{self.block.id}'", SCORING):
                maps = self.block.transform(features)
            with guarded(part, SCORING):
                scores = self.head.score(maps, batch.size, batch.valid)
            voters[FUSED_FEATURES] = checked(part, scores, seen[next(iter(seen))].scores, batch.ids)
        return voters

    def scaled(self, voters: Mapping[str, ScoreMap]) -> dict[str, ScoreMap]:
        """Raw scores on the common scale."""
        return {name: self.scales[name](scores) for name, scores in voters.items()}

    def fused(self, voters: Mapping[str, ScoreMap]) -> ScoreMap:
        """Raw scores on the common scale, made one by the score fusion."""
        return self._fused(self.scaled(voters))

    def _fused(self, scaled: Mapping[str, ScoreMap]) -> ScoreMap:
        part = f"score fusion '{self.score_fusion.id}'"
        with guarded(part, SCORING):
            fused = self.score_fusion.fuse(scaled)
        first = next(iter(scaled.values()))
        return checked(part, fused, first)

    def decided(self, voters: Mapping[str, ScoreMap]) -> ScoreMap:
        """The ensemble's scores: one voter's as they are, or those of several fused."""
        if self.alone:
            return voters[self.voter_names[0]]
        return self.decided_on(self.scaled(voters))

    def decided_on(self, scaled: Mapping[str, ScoreMap]) -> ScoreMap:
        """The ensemble's scores from those of several voters on the common scale."""
        fused = self._fused(scaled)
        image = fused.image if self.agreement is None else self.agreement(fused)
        pixels = fused.pixels if self.tiles else less_own_level(fused.pixels)
        return ScoreMap(silence(pixels, fused.valid), image, fused.valid)

    def features(self, seen: Mapping[str, Observation]) -> MemberFeatures:
        """What fusion takes from each member: the maps of its cut, and its scores if the block wants them."""
        taken = {id: cut(observation.features, self.cuts[id]) for id, observation in seen.items()}
        if self.block is None or not self.block.takes_scores:
            return taken
        return {id: with_score_map(features, id, seen[id].scores) for id, features in taken.items()}

    def milliseconds(self, watch: Stopwatch, images: int) -> dict[str, float]:
        """Time per image by scorer: a member's includes its backbones, the ensemble's everything once."""
        spent = watch.seconds
        own = {
            id: spent.get(f"member/{id}", 0.0)
            + sum(spent.get(f"backbone/{model}", 0.0) for model in {r.model for r in member.backbones()})
            for id, member in self.members.items()
        }
        return {
            name: 1000 * seconds / images for name, seconds in {ENSEMBLE: sum(spent.values()), **own}.items()
        }

    def _pyramids(self, batch: ImageBatch, watch: Stopwatch, keep: bool) -> Pyramids:
        requests = sorted({request for member in self.members.values() for request in member.backbones()})
        found: dict[BackboneRequest, FeatureMaps] = {}
        for model in sorted({request.model for request in requests}):
            with watch.measure(f"backbone/{model}"):
                found.update(self.pool.pyramids(batch, [r for r in requests if r.model == model], keep=keep))
        return Pyramids(found)
