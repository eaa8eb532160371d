"""How scores are fused, learned on validate images: the common scale, the score fusion, the agreement.

Some fusions learn from artificial anomalies on those same images. They are drawn and scored only where the
chosen one asks for them, and are the only anomalies anything here sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from leatherens.core.agreement import Agreement, fit_agreement
from leatherens.core.artifact import read_tensors, write_tensors
from leatherens.core.examples import GOOD_PIXELS, SPOILT_PIXELS, Examples, Table, Votes, table
from leatherens.core.progress import Progress
from leatherens.core.randomness import numpy_generator
from leatherens.core.scale import Scale, fit_scale
from leatherens.core.scorefusion import Lessons, ScoreFusion
from leatherens.core.synthesis.spoilt_images import example_images
from leatherens.core.types import ImageBatch, ImageSource, batches
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.guarding import LEARNING, guarded

Seen = tuple[Votes, "Tensor | None"]
"""Votes on a batch and the pixels (B, H, W) that count, all if `None`."""


@dataclass(frozen=True, slots=True)
class Voting:
    """Where and how an ensemble learns to fuse; whatever the folder holds already is loaded, not learned."""

    folder: RunFolder
    progress: Progress
    seed: int
    device: str
    batch_size: int

    def learn(self, ensemble: FittedEnsemble, validate: ImageSource) -> FittedEnsemble:
        """The ensemble with all it needs to make one score of several; a single voter needs nothing."""
        if ensemble.alone:
            return ensemble
        good = [] if self._all_there(ensemble) else self.good_votes(ensemble, validate)
        for step in (self._scaled, self._fusing, self._agreeing):
            ensemble = step(ensemble, good, validate)
        return ensemble

    def _all_there(self, ensemble: FittedEnsemble) -> bool:
        files = [self.folder.agreement, *map(self.folder.scale, ensemble.voter_names)]
        fixed = ensemble.score_fusion.lessons is Lessons.nothing
        return all(path.exists() for path in files) and (fixed or self.folder.holds(self._fusion))

    @property
    def _fusion(self) -> Path:
        return self.folder.part("score-fusion")

    def _scaled(
        self, ensemble: FittedEnsemble, good: Sequence[Seen], validate: ImageSource
    ) -> FittedEnsemble:
        names = ensemble.voter_names
        if not all(self.folder.scale(name).exists() for name in names):
            for name in names:
                scale = fit_scale([votes[name] for votes, _ in good])
                write_tensors(self.folder.scale(name), scale.state())
        return replace(ensemble, scales=load_scales(self.folder, names))

    def _fusing(
        self, ensemble: FittedEnsemble, good: Sequence[Seen], validate: ImageSource
    ) -> FittedEnsemble:
        fusion = ensemble.score_fusion
        if fusion.lessons is not Lessons.nothing and not self.folder.holds(self._fusion):
            examples = self.examples(ensemble, good, validate, fusion.lessons)
            with guarded(f"score fusion '{fusion.id}'", LEARNING):
                fusion.fit(examples, seed=self.seed)
            self.folder.save(self._fusion, fusion)
        return replace(ensemble, score_fusion=load_fusion(self.folder, fusion).to(self.device))

    def _agreeing(
        self, ensemble: FittedEnsemble, good: Sequence[Seen], validate: ImageSource
    ) -> FittedEnsemble:
        if not self.folder.agreement.exists():
            agreement = fit_agreement([ensemble.fused(votes) for votes, _ in good])
            write_tensors(self.folder.agreement, agreement.state())
        return replace(ensemble, agreement=load_agreement(self.folder))

    def good_votes(self, ensemble: FittedEnsemble, good: ImageSource) -> list[Seen]:
        """The raw votes on held-out good images."""
        walked = ((batch, batch.valid) for batch in batches(good, self.batch_size))
        return list(self._votes(ensemble, walked, "setting the common scale", len(good.ids), keep=True))

    def examples(
        self, ensemble: FittedEnsemble, good: Sequence[Seen], validate: ImageSource, lessons: Lessons
    ) -> Examples:
        """What a fusion learns from: raw votes on `validate`, and those on artificial anomalies if need be.

        The ensemble must have its scales.
        """
        spoilt: Iterable[Seen] = ()
        images = example_images(validate, seed=self.seed)
        if lessons is Lessons.anomalies:
            title = f"{ensemble.score_fusion.id}: artificial anomalies"
            spoilt = self._votes(ensemble, images.walk(self.batch_size), title, len(images.ids), keep=False)
        return Examples(
            tuple(sorted(ensemble.voter_names)),
            good=self._table(ensemble, "good", good, GOOD_PIXELS // len(validate.ids)),
            spoilt=self._table(ensemble, "spoilt", spoilt, SPOILT_PIXELS // len(images.ids)),
        )

    def _table(self, ensemble: FittedEnsemble, what: str, seen: Iterable[Seen], per_image: int) -> Table:
        scaled = ((ensemble.scaled(votes), counted) for votes, counted in seen)
        generator = numpy_generator(self.seed, "examples", what)
        names = sorted(ensemble.voter_names)
        return table(names, scaled, pixels_per_image=max(1, per_image), generator=generator)

    def _votes(
        self,
        ensemble: FittedEnsemble,
        walked: Iterable[tuple[ImageBatch, Tensor | None]],
        title: str,
        count: int,
        *,
        keep: bool,
    ) -> Iterator[Seen]:
        """keep: remember the pyramids of images that others will walk again."""
        with self.progress.step(title, count) as advance:
            for loaded, counted in walked:
                batch = loaded.to(self.device)
                yield ensemble.voters(ensemble.observe(batch, keep=keep), batch), counted
                advance(len(batch))


def load_scales(folder: RunFolder, voters: Iterable[str]) -> dict[str, Scale]:
    """Every voter's scale."""
    return {name: Scale.from_state(read_tensors(folder.scale(name))[0]) for name in voters}


def load_agreement(folder: RunFolder) -> Agreement:
    """What makes the image score of fused scores."""
    return Agreement.from_state(read_tensors(folder.agreement)[0])


def load_fusion(folder: RunFolder, fusion: ScoreFusion) -> ScoreFusion:
    """The fusion as it was learned; one with nothing to learn as it is."""
    if fusion.lessons is Lessons.nothing:
        return fusion
    return folder.load(folder.part("score-fusion"), type(fusion))
