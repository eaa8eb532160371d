"""`thresholds`: what every rule would decide on a finished run, and another rule made the run's own.

Scores stay bit for bit what they were; only where defective begins is learned anew, from the same held-out
good images and, for rules that need labels, from images that `evaluate` leaves out from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leatherens.configs.recipe import Choice, Recipe
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted
from leatherens.core.progress import Progress
from leatherens.core.reading import Sample
from leatherens.ensembles.adapting import Adapting, Change, taken
from leatherens.ensembles.colouring import load_colours
from leatherens.ensembles.comparing_rules import Comparison, Grounds, compare_rules
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.deciding import Decider, decision_remarks, learn_rules, save_rules
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.evidence import Gathering, groups_of
from leatherens.ensembles.history import Entry
from leatherens.ensembles.kept_scores import read_scores_of
from leatherens.ensembles.known import TAUGHT, Fresh, Known, fresh_images
from leatherens.ensembles.opening import OpenedRun
from leatherens.ensembles.parts import needs_labels
from leatherens.ensembles.scoring import Scores
from leatherens.ensembles.sources import require_no_problems
from leatherens.ensembles.splits import Splits, content_digests
from leatherens.ensembles.tiled_photographs import Source

RATE = "false_alarms"


@dataclass(frozen=True, slots=True)
class Asked:
    """How rules are to be tried: a false-alarm rate for those that take one, and options by rule."""

    false_alarms: float | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def choice(self, id: str, recipe: Recipe, host: PluginHost) -> Choice:
        """A rule with the options asked for; those in force where it is the run's own already."""
        rule = host.thresholds().load(id)
        own = [c for c in (recipe.threshold, recipe.pixel_threshold) if c is not None and c.id == id]
        options: dict[str, Any] = dict(own[0].options) if own else {}
        if self.false_alarms is not None and RATE in rule.Params.model_fields:
            options[RATE] = self.false_alarms
        settled = rule.from_options({**options, **self.options.get(id, {})}).params
        return Choice(id=id, options=settled.model_dump(mode="json"))

    def check(self, host: PluginHost) -> None:
        """Refuse a rate that is none, and options of no rule."""
        if self.false_alarms is not None and not 0 < self.false_alarms < 1:
            raise ConfigError(
                f"--false-alarms: expected a share between 0 and 1, such as 0.01, got {self.false_alarms:g}"
            )
        for id, options in self.options.items():
            host.thresholds().load(id).from_options(options)


@dataclass(frozen=True, slots=True)
class Looking:
    """A finished run, opened to compare rules on; nothing is changed."""

    opened: OpenedRun
    known: Known
    host: PluginHost
    progress: Progress

    def compare(self, asked: Asked, labelled: DataChoice | None) -> Comparison:
        """Every rule that is installed, on the run's held-out images and on labelled ones, if any."""
        recipe, held_out = self.opened.recipe, good_images(self.opened, self.known, self.progress)
        samples: Sequence[Sample] = self.known.labelled
        if labelled is not None:
            samples = labelled_images(self.opened, self.known, labelled, self.host, self.progress).samples
        grounds = self._grounds(held_out, self._good_test_images(), samples)
        choices = [asked.choice(id, recipe, self.host) for id in self.host.thresholds().ids()]
        rules = self.opened.deciders[ENSEMBLE].rules
        return Comparison(
            rows=compare_rules(grounds, choices, self.host, self.progress, seed=recipe.seed),
            in_force=(rules.images.id, rules.pixels.id),
            good=len(held_out),
            tested=len(grounds.tested),
            labelled=len(samples),
            defective=sum(sample.defective is True for sample in samples),
            crossed=calibrated_across_folds(self.opened, self.known),
        )

    def _grounds(
        self, held_out: Sequence[Sample], tested: Sequence[Sample], labelled: Sequence[Sample]
    ) -> Grounds:
        opened = self.opened
        colours = load_colours(opened.folder)
        gathering = Gathering(opened.ensemble, opened.recipe, opened.preparation, colours, self.progress)
        marked = opened.source(labelled) if labelled else None
        good_source = opened.source(held_out)
        evidence = gathering.evidence(
            good_source, marked, scores=out_of_fold(opened, self.known, good_source)
        )
        fresh = opened.source(tested)
        scores = gathering.scored(fresh, "scoring good test images") if tested else None
        good = evidence.normals(ENSEMBLE)
        return Grounds(
            good=good,
            tested=good.image[:0] if scores is None else scores.by_scorer[ENSEMBLE].images,
            tested_groups=groups_of(fresh, colours) if tested else [],
            labelled=evidence.lessons(ENSEMBLE),
            labelled_groups=[] if marked is None else groups_of(marked, colours),
        )

    def _good_test_images(self) -> list[Sample]:
        """The run's own, as far as they are still there and taught nothing since."""
        by_id = {sample.id: sample for sample in self.known.own}
        ids = Splits.read(self.opened.folder.splits).test
        good = [by_id[id] for id in ids if id in by_id and by_id[id].defective is False]
        digests = content_digests([sample.path for sample in good])
        return [sample for sample in good if digests[sample.path] not in self.known.jobs]


def use_rules(
    adapting: Adapting,
    asked: Asked,
    *,
    images: str | None = None,
    pixels: str | None = None,
    labelled: DataChoice | None = None,
) -> Entry:
    """Make rules the run's own: `images` for both sides, unless pixels have one of their own or get `pixels`.

    What a rule learns from labels comes from `labelled`, or else from where it came before.
    """
    with adapting.change() as change:
        recipe = _with_rules(change.opened.recipe, asked, images, pixels, adapting.host)
        if labelled is None or not needs_labels(recipe, adapting.host):
            _refuse_idle(change.opened.recipe, recipe)
        calibrate = good_images(change.opened, change.known, adapting.progress)
        fresh = None
        if labelled is not None and needs_labels(recipe, adapting.host):
            fresh = labelled_images(change.opened, change.known, labelled, adapting.host, adapting.progress)
        samples = change.known.labelled if fresh is None else list(fresh.samples)
        change.require_learnable(recipe, samples)
        deciders = _learned(change, recipe, calibrate, samples)
        changed = _sentences(change.opened.recipe, recipe)
        return change.keep(
            "thresholds",
            adapting.command,
            () if fresh is None else taken(samples, fresh, "label"),
            changed,
            deciders,
        )


def _with_rules(
    recipe: Recipe, asked: Asked, images: str | None, pixels: str | None, host: PluginHost
) -> Recipe:
    update: dict[str, Choice | None] = {}
    if images is not None:
        update["threshold"] = asked.choice(images, recipe, host)
    if pixels is not None:
        update["pixel_threshold"] = asked.choice(pixels, recipe, host)
    found = recipe.model_copy(update=update)
    if found.pixel_threshold == found.threshold:
        found = found.model_copy(update={"pixel_threshold": None})
    takers = [c for c in (found.threshold, found.pixel_threshold) if c is not None and RATE in c.options]
    if asked.false_alarms is not None and not takers:
        raise ConfigError(f"--false-alarms: the threshold '{found.threshold.id}' takes no rate; leave it out")
    return found


def _refuse_idle(before: Recipe, after: Recipe) -> None:
    """Refuse rules that are in force already; from other labels they may be learned anew."""
    if (before.threshold, before.pixel_threshold) == (after.threshold, after.pixel_threshold):
        raise ConfigError(
            f"the threshold '{after.threshold.id}' is the run's own already, with these options"
        )


def _learned(
    change: Change, recipe: Recipe, calibrate: Sequence[Sample], labelled: Sequence[Sample]
) -> dict[str, Decider]:
    """Every scorer's thresholds, written; calibrators stay."""
    marked = change.source(labelled) if needs_labels(recipe, change.host) else None
    gathering = change.gathering(change.opened.ensemble, recipe)
    good = change.source(calibrate)
    scores = out_of_fold(change.opened, change.known, good)
    evidence = gathering.evidence(good, marked, scores=scores)
    deciders = {}
    for scorer, decider in change.opened.deciders.items():
        rules = learn_rules(recipe, change.host, evidence, scorer)
        save_rules(change.written, scorer, rules)
        deciders[scorer] = Decider(rules, decider.calibrator)
    for remark in decision_remarks(recipe, deciders[ENSEMBLE].decision):
        change.progress.say(remark)
    return deciders


def _sentences(before: Recipe, after: Recipe) -> list[str]:
    """What changed."""
    pairs = (
        ("images", before.threshold, after.threshold),
        ("pixels", before.pixel_threshold or before.threshold, after.pixel_threshold or after.threshold),
    )
    return [
        f"threshold of {side}: {_said(one)} -> {_said(other)}" for side, one, other in pairs if one != other
    ]


def _said(choice: Choice) -> str:
    options = ", ".join(f"{key} {value}" for key, value in choice.options.items())
    return choice.id + (f" ({options})" if options else "")


def good_images(opened: OpenedRun, known: Known, progress: Progress) -> list[Sample]:
    """The good images that thresholds are learned from, as far as they are still there."""
    if not calibrated_across_folds(opened, known):
        return calibrate_images(known, progress)
    ids = set(Splits.read(opened.folder.splits).fit)
    return [sample for sample in known.own if sample.id in ids]


def calibrated_across_folds(opened: OpenedRun, known: Known) -> bool:
    """Whether thresholds come from what folds scored: no image was held out to calibrate, then or since."""
    held_out = known.held_out["calibrate"] or known.lost["calibrate"]
    return not held_out and opened.folder.out_of_fold.exists()


def out_of_fold(opened: OpenedRun, known: Known, good: Source) -> Scores | None:
    """The scores of these images by what did not learn from them, where folds calibrated."""
    if not calibrated_across_folds(opened, known):
        return None
    return read_scores_of(opened.folder.out_of_fold, good, crossed=True)


def calibrate_images(known: Known, progress: Progress) -> list[Sample]:
    """The held-out good images that thresholds are learned from, as far as they are still there."""
    found, lost = known.held_out["calibrate"], known.lost["calibrate"]
    if not found:
        raise InputError(
            f"the {counted(lost, 'held-out good image')} that thresholds are learned from cannot be found as "
            "they were; put the photographs back, or give others with leatherens recalibrate RUN --good DIR"
        )
    if lost:
        progress.say(
            f"{counted(lost, 'held-out good image')} cannot be found as they were: thresholds are learned "
            f"from the {len(found)} that are left"
        )
    return found


def labelled_images(
    opened: OpenedRun, known: Known, choice: DataChoice, host: PluginHost, progress: Progress
) -> Fresh:
    """The labelled images of a folder, less those the run learned from, each checked to its last byte."""
    collection = opened.of_its_view(choice.read(host, learning=False))
    progress.say(collection.sentence)
    lacking = not any(sample.defective is False for sample in collection.test)
    offered = (*collection.train, *collection.test) if lacking else collection.test
    fresh = fresh_images(
        [sample for sample in offered if sample.defective is not None], known.jobs, (*TAUGHT, "calibrate")
    )
    for sentence in fresh.skipped:
        progress.say(sentence)
    defective = sum(sample.defective is True for sample in fresh.samples)
    good = len(fresh.samples) - defective
    if not (good and defective):
        raise InputError(
            f"{choice.root}: labelled images of both kinds are needed, got {good} good and {defective} "
            "defective that the run did not learn from"
        )
    source: Source = opened.source(fresh.samples)
    require_no_problems(source.problems(progress), len(source.ids))
    return fresh
