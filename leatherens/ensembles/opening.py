"""A finished run, opened to judge new images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leatherens.configs.recipe import Places, Recipe
from leatherens.core.backbones import BackbonePool
from leatherens.core.errors import InputError
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted
from leatherens.core.overview import Area
from leatherens.core.preparation import FloatMap, Frame, Preparation
from leatherens.core.progress import Progress
from leatherens.core.reading import Collection, Sample
from leatherens.core.reporting import RunView
from leatherens.core.thresholds import ANY, Group
from leatherens.core.types import ScoreMap
from leatherens.ensembles.colouring import load_colours
from leatherens.ensembles.conditions import conditions_of
from leatherens.ensembles.deciding import Decider, load_deciders, recipe_in_force
from leatherens.ensembles.ensemble import ENSEMBLE, FittedEnsemble, Stopwatch
from leatherens.ensembles.evaluation import Evaluation
from leatherens.ensembles.evidence import groups_for
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.hides import Hide
from leatherens.ensembles.history import Entry, History
from leatherens.ensembles.needs import differences
from leatherens.ensembles.parts import Parts, build, load_backbones, reductions
from leatherens.ensembles.preparing import load_preparation
from leatherens.ensembles.sources import FileSource, require_no_problems
from leatherens.ensembles.splits import Splits, content_digests
from leatherens.ensembles.stored import require_same_weights, stored_recipe
from leatherens.ensembles.tiled_photographs import Source, TiledPhotographs, source_of
from leatherens.ensembles.tiled_scoring import score_photograph
from leatherens.ensembles.training_log import training_curves
from leatherens.ensembles.voting import load_agreement, load_fusion, load_scales


@dataclass(frozen=True, slots=True)
class Judgement:
    """One image judged. A failed one has only a `problem`, a sentence that names the file.

    calibrated: share of held-out good images it scores above, in the conformal sense.
    map: (H, W) scores at original size; mask: where they count and are above the pixel threshold. `hide` has
    them instead where photographs are looked at in tiles, which may be too large to be held.
    defective_percent: of the area that counts. remarks: what preparing it has to tell. group: what it is
    like, as far as the thresholds ask for it.
    """

    path: Path
    id: str
    problem: str | None = None
    score: float = float("nan")
    threshold: float = float("nan")
    calibrated: float = float("nan")
    defective: bool = False
    map: FloatMap | None = None
    mask: NDArray[np.bool_] | None = None
    remarks: tuple[str, ...] = ()
    hide: Hide | None = None
    defective_percent: float = float("nan")
    group: Group = ANY


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A finished run with everything it learned, ready to score.

    lineage: what was done to it since it was made and is in force, oldest first.
    """

    folder: RunFolder
    recipe: Recipe
    ensemble: FittedEnsemble
    deciders: Mapping[str, Decider]
    preparation: tuple[Preparation, ...] = ()
    lineage: tuple[Entry, ...] = ()

    def source(self, samples: Sequence[Sample]) -> Source:
        """Images prepared as those the run learned from, at its size."""
        return source_of(self.recipe, samples, self.preparation)

    def judge(self, samples: Sequence[Sample]) -> Iterator[Judgement]:
        """Judge images one batch at a time, in order; files that cannot be read are told, not raised."""
        size = self.recipe.batch_size
        for start in range(0, len(samples), size):
            chunk = samples[start : start + size]
            source = self.source(chunk)
            if isinstance(source, TiledPhotographs):
                yield from (self._tiled(source, sample) for sample in chunk)
                continue
            problems = {problem.id: problem.reason for problem in source.problems()}
            good = source.only([sample.id for sample in chunk if sample.id not in problems])
            judged = {judgement.id: judgement for judgement in self._batch(good)}
            for sample in chunk:
                yield judged.get(sample.id) or Judgement(sample.path, sample.id, problems.get(sample.id))

    def evaluate(
        self, collection: Collection, host: PluginHost, progress: Progress, into: RunFolder | None
    ) -> RunView:
        """Measure on a collection, less the images the run learned from."""
        collection = self.of_its_view(collection)
        source, remarks = self.test_images(collection, progress)
        facts = self.folder.facts()
        shown = {
            "data_sentence": collection.sentence,
            "remarks": (
                *self._since,
                *differences(facts.plugins, host),
                *remarks,
                *collection.remarks,
                *reductions(self.recipe, host),
            ),
        }
        facts = facts.model_copy(update=shown)
        colours = load_colours(self.folder)
        training = training_curves(self.folder, self.ensemble.members, progress)
        said = (facts, progress, colours, self.folder)
        return Evaluation(self.recipe, host, self.ensemble, self.deciders, *said, training=training).of(
            source, into=into
        )

    def of_its_view(self, collection: Collection) -> Collection:
        """A collection less the images of other views, if the run is of one of several."""
        view = self.folder.facts().data.view
        return collection if view is None else view.less_others(collection)

    def test_images(self, collection: Collection, progress: Progress) -> tuple[Source, tuple[str, ...]]:
        """The images of a collection that the run may be measured on, and remarks on those left out."""
        samples, remarks = self._not_taken_in(self._testable(collection))
        for remark in remarks:
            progress.say(remark)
        if not samples:
            raise InputError(
                f"{collection.root}: no test images; expected {collection.title} with images to test on"
            )
        source = self.source(samples)
        require_no_problems(source.problems(progress), len(samples))
        return source, remarks

    def _testable(self, collection: Collection) -> tuple[Sample, ...]:
        """The test images; the good ones too where the test brings none, as when the run was split."""
        lacking = not any(sample.defective is False for sample in collection.test)
        offered = (*collection.train, *collection.test) if lacking else collection.test
        known = self._learned_from(collection)
        return tuple(sample for sample in offered if sample.id not in known)

    def _not_taken_in(self, samples: tuple[Sample, ...]) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
        """The samples less those whose content the run took in since it was made, and a remark on them."""
        taken = {image.digest for entry in self.lineage for image in entry.images}
        if not taken:
            return samples, ()
        digests = content_digests([sample.path for sample in samples])
        left = tuple(sample for sample in samples if digests[sample.path] not in taken)
        out = len(samples) - len(left)
        return left, (
            f"left out {counted(out, 'image')} that the run took in since it was made",
        ) if out else ()

    @property
    def _since(self) -> tuple[str, ...]:
        return tuple(f"changed since it was made: {entry.sentence}" for entry in self.lineage)

    def _learned_from(self, collection: Collection) -> set[str]:
        """Ids of the run's own learning images, when it is shown its own collection again."""
        if Path(self.folder.facts().data.root) != collection.root.resolve():
            return set()
        splits = Splits.read(self.folder.splits)
        return {*splits.fit, *splits.validate, *splits.calibrate, *splits.threshold_labelled}

    def _tiled(self, source: TiledPhotographs, sample: Sample) -> Judgement:
        """One photograph judged by its tiles."""
        watch = Stopwatch(self.ensemble.device)
        try:
            found = score_photograph(self.ensemble, source, sample, self.recipe.batch_size, watch)
        except InputError as error:
            return Judgement(sample.path, sample.id, str(error))
        (group,) = self._groups(source.only([sample.id]))
        hide = Hide(sample.path, found.maps[ENSEMBLE], self.deciders[ENSEMBLE], group)
        return replace(
            self._judged(sample, np.array([found.images[ENSEMBLE]], np.float32), group),
            hide=hide,
            defective_percent=hide.percent,
            remarks=source.remarks.get(sample.id, ()),
        )

    def _batch(self, source: FileSource) -> Iterator[Judgement]:
        if not source.ids:
            return
        batch = source.batch(range(len(source.ids))).to(self.recipe.device)
        scores = self.ensemble.score(batch)[ENSEMBLE].to("cpu")
        groups = self._groups(source)
        for index, sample in enumerate(source.samples):
            found = self._judgement(sample, scores, index, source.frames[index], groups[index])
            yield replace(found, remarks=source.remarks.get(sample.id, ()))

    def _groups(self, source: Source) -> list[Group]:
        """What the images are like, as far as the thresholds ask for it."""
        told = self.deciders[ENSEMBLE].rules.tell_groups
        return groups_for(source, load_colours(self.folder) if told else None, told=told)

    def _judgement(
        self, sample: Sample, scores: ScoreMap, index: int, frame: Frame, group: Group
    ) -> Judgement:
        pixels = frame.back(scores.pixels[index])
        counted = None if scores.valid is None else frame.back_valid(scores.valid[index])
        above, area = self.deciders[ENSEMBLE].marks(pixels, group), Area()
        area.add(above, counted)
        return replace(
            self._judged(sample, scores.image[index : index + 1].numpy(), group),
            map=pixels,
            mask=above if counted is None else above & counted,
            defective_percent=area.percent,
        )

    def _judged(self, sample: Sample, image: NDArray[np.float32], group: Group) -> Judgement:
        """The verdict on an image by its score (1,)."""
        decider = self.deciders[ENSEMBLE]
        return Judgement(
            path=sample.path,
            id=sample.id,
            score=float(image[0]),
            threshold=decider.rules.images.image_for(group),
            group=group,
            calibrated=float(decider.calibrated(image)[0]),
            defective=bool(decider.flags(image, [group])[0]),
        )


def open_run(
    path: Path,
    host: PluginHost,
    *,
    device: str = "auto",
    weights: tuple[str, ...] = (),
    cache: FeatureCache | None = None,
) -> OpenedRun:
    """Open a finished run as it is now; an `ArtifactError` says what is missing or damaged."""
    RunFolder(path).require_done()
    history = History(RunFolder(path))
    lineage = history.lineage()
    folder = history.folder(lineage)
    recipe = stored_recipe(folder, host, Places(device, weights))
    parts = build(recipe, host)
    pool = load_backbones(recipe, host, parts, cache=cache)
    require_same_weights(folder, pool)
    ensemble = learned_ensemble(folder, recipe, parts, pool)
    steps = load_preparation(folder, parts.preparation)
    scorers = (ENSEMBLE, *ensemble.members)
    deciders = load_deciders(folder, recipe, host, scorers, conditions_of(recipe, steps))
    recipe = recipe_in_force(recipe, deciders[ENSEMBLE].rules, host)
    return OpenedRun(folder, recipe, ensemble, deciders, steps, tuple(lineage))


def learned_ensemble(folder: RunFolder, recipe: Recipe, parts: Parts, pool: BackbonePool) -> FittedEnsemble:
    """The ensemble of a run's parts with everything that the run's folder says they learned."""
    device = recipe.device
    members = {
        id: folder.load(folder.member(id), type(member)).to(device) for id, member in parts.members.items()
    }
    block = folder.load(folder.part("block"), type(parts.block)).to(device) if parts.block else None
    head = folder.load(folder.part("head"), type(parts.head)).to(device) if parts.head else None
    ensemble = FittedEnsemble(
        pool,
        members,
        parts.cuts,
        parts.score_fusion,
        votes=parts.votes,
        block=block,
        head=head,
        tiles=recipe.tile is not None,
    )
    return with_voting(folder, ensemble)


def with_voting(folder: RunFolder, ensemble: FittedEnsemble) -> FittedEnsemble:
    """The ensemble with its scales, score fusion and agreement as learned; a single voter needs none."""
    if ensemble.alone:
        return ensemble
    fusion = load_fusion(folder, ensemble.score_fusion).to(ensemble.device)
    scales = load_scales(folder, ensemble.voter_names)
    return replace(ensemble, scales=scales, score_fusion=fusion, agreement=load_agreement(folder))
