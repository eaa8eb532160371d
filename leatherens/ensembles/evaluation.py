"""Measuring scored test images: one row of metrics per scorer, nothing fitted, nothing rescaled."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from leatherens.configs.recipe import Recipe
from leatherens.core.artifact import write_json, write_text, written_whole
from leatherens.core.colours import Colours
from leatherens.core.details import Details, Inspected
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted, named
from leatherens.core.measurement import Measured, Measurement, Options
from leatherens.core.metrics import DEFINITIONS, GROUPS
from leatherens.core.overview import Area
from leatherens.core.photographs import Mask
from leatherens.core.preparation import FloatMap
from leatherens.core.progress import Progress
from leatherens.core.reading import Sample
from leatherens.core.reporting import RunView
from leatherens.core.strangers import surviving
from leatherens.core.thresholds import ANY, Group
from leatherens.core.training_curves import TrainingCurve
from leatherens.ensembles.colouring import coloured
from leatherens.ensembles.deciding import Decider
from leatherens.ensembles.detailing import Detailing
from leatherens.ensembles.ensemble import ENSEMBLE, FittedEnsemble
from leatherens.ensembles.evidence import groups_for
from leatherens.ensembles.facts import Facts
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.guarding import WRITING
from leatherens.ensembles.hides import Hide
from leatherens.ensembles.kept_pictures import keep_pictures
from leatherens.ensembles.preparing import preparation_remarks
from leatherens.ensembles.scoring import ScorerScores, Scores, WholeScores, score_images
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.stored_map import StoredMap
from leatherens.ensembles.tiled_photographs import Source
from leatherens.ensembles.view import view_of

Masks: TypeAlias = Sequence["Mask | None"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures a fitted ensemble on labelled images.

    facts: the run's, of these images. colours: those it learned from, `None` where it does not know them.
    run: where what it learned lies. inspected: its images, where somebody looked.
    training: how the members' trainings went, by member.
    """

    recipe: Recipe
    host: PluginHost
    ensemble: FittedEnsemble
    deciders: Mapping[str, Decider]
    facts: Facts
    progress: Progress
    colours: Colours | None = None
    run: RunFolder | None = None
    inspected: Inspected | None = None
    training: Mapping[str, tuple[TrainingCurve, ...]] = field(default_factory=dict)

    def of(self, source: Source, *, into: RunFolder | None) -> RunView:
        """The result on these images; with a folder, metrics, scores, maps and reports are written there."""
        areas: list[float] = []
        told = any(decider.rules.tell_groups for decider in self.deciders.values())
        groups = groups_for(source, self.colours, told=told)

        def keep(number: int, full: StoredMap) -> None:
            if into is not None:
                areas.append(self._write_hide(into, source.samples[number], full, groups[number]))

        with self.progress.step("scoring the test images", len(source.ids)) as advance:
            size, shown = self.recipe.batch_size, into is not None
            scores = score_images(self.ensemble, source, size, advance, keep, pictures=shown)
        view = self._measured(source, scores, groups, detailed=into is not None)
        if into is not None:
            self._write(into, source, scores, areas, groups, view)
        return view

    def _write_hide(self, folder: RunFolder, sample: Sample, full: StoredMap, group: Group) -> float:
        """Write map and overview of a photograph in tiles; returns its defective area in percent."""
        hide = Hide(sample.path, full, self.deciders[ENSEMBLE], group)
        hide.write_map(folder.map(sample.id))
        hide.write_overview(folder.overview(sample.id))
        return hide.percent

    def _measured(
        self, source: Source, scores: Scores, groups: Sequence[Group], *, detailed: bool
    ) -> RunView:
        masks = source.masks()
        rows, found = {}, {}
        with self.progress.step("measuring", len(scores.by_scorer)) as advance:
            for scorer, scored in scores.by_scorer.items():
                decider, spent = self.deciders[scorer], scores.milliseconds[scorer]
                found[scorer] = decided(source.samples, scored, masks, decider, groups, source)
                rows[scorer] = _row(found[scorer].all(), spent)
                advance(1)
        metrics = _content(rows, found[ENSEMBLE], source.samples, masks)
        details = self._detailing.of(source, scores, masks, found) if detailed else Details()
        told = preparation_remarks(source.remarks, len(source.ids))
        told += _unseen_remarks(source, scores, masks) + _thinned_remarks(source)
        colouring = coloured(self.colours, source)
        told += colouring.remarks
        facts = self.facts.model_copy(update={"remarks": (*self.facts.remarks, *told)})
        view = view_of(
            self.recipe,
            facts,
            source,
            scores,
            self.deciders,
            metrics,
            colouring,
            groups,
            self.ensemble.block,
            details,
            None if self.run is None else self.run.path,
        )
        return replace(view, training=self.training)

    @property
    def _detailing(self) -> Detailing:
        return Detailing(
            self.ensemble, self.deciders, self.recipe.batch_size, self.progress, self.run, self.inspected
        )

    def _write(
        self,
        folder: RunFolder,
        source: Source,
        scores: Scores,
        areas: Sequence[float],
        groups: Sequence[Group],
        view: RunView,
    ) -> None:
        found = scores.by_scorer[ENSEMBLE]
        if isinstance(found, WholeScores):
            areas = write_maps(folder, scores.ids, found, self.deciders[ENSEMBLE], groups)
        colours = [image.colour for image in view.images]
        flagged = [image.flagged for image in view.images]
        write_scores(folder, source.samples, scores, self.deciders, flagged, areas, colours)
        write_json(folder.metrics, view.metrics)
        if folder.begun:  # a run's own folder, of which a report can be made again
            keep_pictures(folder.pictures, source, scores, view.remarks)
        write_json(folder.details, view.details.model_dump(mode="json"))
        reporters = self.host.reporters().usable()
        with self.progress.step("writing the report", len(reporters)) as advance:
            for id, reporter in reporters.items():
                with surviving(f"reporter '{id}'", WRITING):
                    reporter().write(view, folder.path)
                advance(1)


def _thinned_remarks(source: Source) -> tuple[str, ...]:
    """That pixel metrics rest on some of the pixels."""
    if isinstance(source, FileSource) or source.step == 1:
        return ()
    step = source.step
    return (
        f"pixel metrics and pictures take one pixel in {step} of one row in {step}; maps, masks and areas "
        "are of all pixels",
    )


def _unseen_remarks(source: Source, scores: Scores, masks: Masks) -> tuple[str, ...]:
    """Defects that no model can find, as they lie where nothing is inspected."""
    found = scores.by_scorer[ENSEMBLE]
    unseen = [
        sample.id
        for i, (sample, mask) in enumerate(zip(source.samples, masks, strict=True))
        if mask is not None and mask.any() and (valid := found.valid(i)) is not None and not mask[valid].any()
    ]
    if not unseen:
        return ()
    count = counted(len(unseen), "image")
    return (f"the whole defect of {count} lies where nothing is inspected: {named(unseen)}",)


def _content(
    rows: Mapping[str, dict[str, float]], ensemble: Measurement, samples: Sequence[Sample], masks: Masks
) -> dict[str, Any]:
    """What metrics.json holds."""
    kinds, views = ensemble.by_defect(), ensemble.by_view()
    return {
        "ensemble": rows[ENSEMBLE],
        "members": {scorer: found for scorer, found in rows.items() if scorer != ENSEMBLE},
        "images": {
            "good": sum(sample.defective is False for sample in samples),
            "defective": sum(sample.defective is True for sample in samples),
            "with_truth": sum(mask is not None for mask in masks),
        },
        "kinds": {kind: found.values for kind, found in kinds.items() if kind},
        "views": {view: found.values for view, found in views.items()} if len(views) > 1 else {},
        "undefined": ensemble.all().undefined,
        "definitions": {**{name: DEFINITIONS[name] for name in rows[ENSEMBLE]}, **GROUPS},
    }


def row(
    samples: Sequence[Sample],
    scores: ScorerScores,
    masks: Masks,
    decider: Decider,
    milliseconds: float,
    groups: Sequence[Group] = (),
) -> dict[str, float]:
    """One scorer's metrics; NaN where undefined. Images without a label count nowhere."""
    return _row(decided(samples, scores, masks, decider, groups).all(), milliseconds)


def _row(measured: Measured, milliseconds: float) -> dict[str, float]:
    values = {**measured.values, "ms_per_image": milliseconds}
    return {name: values[name] for name in DEFINITIONS if name in values}


def threshold_free(samples: Sequence[Sample], scores: ScorerScores, masks: Masks) -> dict[str, float]:
    """The metrics of `row` that depend on scores alone."""
    found = Measurement(Options(), cells=_cells(samples))
    for i, (sample, mask) in enumerate(zip(samples, masks, strict=True)):
        found.add(sample, scores.images[i])
        if mask is not None:
            found.add_pixels(sample, scores.map(i), mask, scores.valid(i))
    return dict(found.all().values)


def decided(
    samples: Sequence[Sample],
    scores: ScorerScores,
    masks: Masks,
    decider: Decider,
    groups: Sequence[Group] = (),
    source: Source | None = None,
) -> Measurement:
    """One scorer's images, measured; those whose defects nobody marked count as images only.

    groups: what each image is like, for rules that ask. source: where regions are read of which the data say
    how much must be found; of photographs in tiles, whose maps are thinned, none are.
    """
    rules = decider.rules
    found = Measurement(Options(rules.images.image_, rules.pixels.pixel_), cells=_cells(samples))
    flagged = decider.flags(scores.images, groups)
    for i, (sample, mask) in enumerate(zip(samples, masks, strict=True)):
        found.add(sample, scores.images[i], flagged=bool(flagged[i]))
        if mask is not None:
            threshold = rules.pixels.pixel_for(groups[i] if groups else ANY)
            regions = source.regions(i) if isinstance(source, FileSource) else None
            found.add_pixels(sample, scores.map(i), mask, scores.valid(i), regions, threshold=threshold)
    return found


def _cells(samples: Sequence[Sample]) -> int:
    return len({(sample.defect, sample.view) for sample in samples})


def write_scores(
    folder: RunFolder,
    samples: Sequence[Sample],
    scores: Scores,
    deciders: Mapping[str, Decider],
    flagged: Sequence[bool],
    areas: Sequence[float],
    colours: Sequence[str],
) -> None:
    """Write scores.csv: a line per image with every scorer's score, the calibrated one, verdict and colour.

    areas: the defective area of each image in percent.
    """
    found = scores.by_scorer
    calibrated = deciders[ENSEMBLE].calibrated(found[ENSEMBLE].images)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    told = ("calibrated", "flagged", "defective_percent", "colour")
    writer.writerow(["image", "defect", "defective", *found, *told])
    for i, sample in enumerate(samples):
        values = [f"{scores.images[i]:.9g}" for scores in found.values()]
        label = "" if sample.defective is None else int(sample.defective)
        verdict = f"{calibrated[i]:.6g}", int(flagged[i]), f"{areas[i]:.4g}", colours[i]
        writer.writerow([sample.id, sample.defect, label, *values, *verdict])
    write_text(folder.scores, text.getvalue())


def write_maps(
    folder: RunFolder, ids: Sequence[str], found: WholeScores, decider: Decider, groups: Sequence[Group]
) -> list[float]:
    """Write every map as float32 TIFF at original size; returns the defective areas in percent."""
    areas = []
    for i, id in enumerate(ids):
        pixels, area = found.map(i), Area()
        write_map(folder.map(id), pixels)
        area.add(decider.marks(pixels, groups[i]), found.valid(i))
        areas.append(area.percent)
    return areas


def write_map(path: Path, pixels: FloatMap) -> None:
    """Write one (H, W) float32 map as TIFF."""
    from PIL import Image

    with written_whole(path) as beside:
        Image.fromarray(pixels).save(beside, format="TIFF", compression="tiff_adobe_deflate")
