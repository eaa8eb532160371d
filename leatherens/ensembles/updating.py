"""`update`: further good images for banks and statistics, then scale, calibration and thresholds anew.

Networks are never refitted. Whatever moves, the promise holds: it is learned last, on held-out images old
and new, which nothing else saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leatherens.configs.recipe import SHARES
from leatherens.core.detector import FitContext
from leatherens.core.errors import InputError
from leatherens.core.fusion import GoodFeatures
from leatherens.core.listing import counted
from leatherens.core.reading import Sample
from leatherens.core.types import ImageBatch, ImageSource
from leatherens.ensembles.adapting import Adapting, Change, taken
from leatherens.ensembles.colouring import extend_colours
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.fitting import Fitting, Fused, Replayed
from leatherens.ensembles.history import Entry
from leatherens.ensembles.known import LABELLED_JOBS
from leatherens.ensembles.splits import FEWEST, deal_taken

KNOWN_JOBS = ("fit", "validate", "calibrate", "teach", *LABELLED_JOBS)
"""No image has two jobs: whatever the run knows is not taken in again."""


def update(adapting: Adapting, good: DataChoice, *, teach: float = SHARES[0]) -> Entry:
    """Take in the good images of a folder.

    teach: the share that goes into banks and statistics; of the others half validate (set the common scale)
    and half calibrate. Raises `InputError` where nothing in the run can take them in, where its head cannot,
    and where too few held-out images would be left to promise anything.
    """
    with adapting.change() as change:
        refuse_unable(change.opened.ensemble)
        change.require_learnable(change.opened.recipe, change.known.labelled)
        fresh = change.good_images(good, KNOWN_JOBS)
        parts = deal_taken(fresh.samples, seed=change.opened.recipe.seed, number=change.number, teach=teach)
        teaching, validating, calibrating = (
            [sample for sample in fresh.samples if sample.id in ids] for ids in parts
        )
        validate = [*change.known.held_out["validate"], *validating]
        calibrate = [*change.known.held_out["calibrate"], *calibrating]
        _say_parts(change, teaching, validating, calibrating)
        _check_held_out(change, len(calibrate))
        taught = change.source(teaching)
        learning = Learning(change, taught.teaching, change.source(validate).validating)
        ensemble, changed = learning.updated(change.opened.ensemble)
        extend_colours(change.opened.folder, taught, into=change.written)
        deciders = change.decide(ensemble, change.opened.recipe, calibrate)
        images = (
            *taken(teaching, fresh, "teach"),
            *taken(validating, fresh, "validate"),
            *taken(calibrating, fresh, "calibrate"),
        )
        return change.keep("update", adapting.command, images, changed, deciders)


def refuse_unable(ensemble: FittedEnsemble) -> None:
    """Refuse, before any work, an ensemble that further images cannot change, or whose head they cannot."""
    head = ensemble.head
    ways = "move only calibration and threshold with leatherens recalibrate, or make a new run"
    if head is not None and not head.updates:
        raise InputError(
            f"the head '{head.id}' takes in no further images, and what it learned of the members would no "
            f"longer fit; {ways}"
        )
    if head is None and not any(member.capabilities.updates for member in ensemble.members.values()):
        stay = "; ".join(f"{id} {member.why_it_stays}" for id, member in ensemble.members.items())
        raise InputError(f"nothing in this run takes in further images ({stay}); {ways}")


def _say_parts(change: Change, *parts: Sequence[Sample]) -> None:
    teach, validate, calibrate = map(len, parts)
    change.progress.say(
        f"new images: {teach} teach, {validate} validate and {calibrate} calibrate, beside "
        f"{' and '.join(str(len(held)) for held in change.known.held_out.values())} the run held out before"
    )


def _check_held_out(change: Change, count: int) -> None:
    """Say what it means if held-out images of the run are gone; refuse if too few are left.

    A run that was calibrated across folds holds none out: what is new must do.
    """
    known = change.known
    if not known.held_out["calibrate"] and not known.lost["calibrate"] and count < FEWEST:
        raise InputError(
            f"this run was calibrated across folds, so that no held-out image is left to calibrate on, and "
            f"{count} of the new ones are too few (at least {FEWEST}): give more, or a smaller --teach"
        )
    lost = sum(change.known.lost.values())
    if not lost:
        return
    if count < FEWEST:
        raise InputError(
            f"{counted(lost, 'held-out image')} of the run cannot be found as they were, and {count} to "
            f"calibrate on are too few (at least {FEWEST}): put the photographs back, give more new ones, or "
            "hold more of them out with a smaller --teach"
        )
    change.progress.say(
        f"{counted(lost, 'held-out image')} of the run cannot be found as they were: the promise rests on "
        f"the {count} that are left, and holds for images like these"
    )


@dataclass(frozen=True, slots=True)
class Learning:
    """What the parts of an ensemble learn from: images that teach, and held-out ones old and new."""

    change: Change
    teach: ImageSource
    validate: ImageSource

    def updated(self, ensemble: FittedEnsemble) -> tuple[FittedEnsemble, list[str]]:
        """The ensemble with what could take the images in, written, and what changed, a sentence each."""
        changed = [self._member(ensemble, id) for id in ensemble.members]
        if ensemble.block is not None and ensemble.head is not None:
            changed.append(self._head(ensemble))
        ensemble = self._fitting.voting(ensemble, self.validate)
        if not ensemble.alone:
            held_out = counted(len(self.validate.ids), "held-out image")
            changed.append(f"scales, score fusion and agreement: set anew by {held_out}")
        for sentence in changed:
            self.change.progress.say(sentence)
        return ensemble, changed

    def _member(self, ensemble: FittedEnsemble, id: str) -> str:
        member, written = ensemble.members[id], self.change.written
        if not member.capabilities.updates:
            return f"{id}: {member.why_it_stays}"
        member.update(self.teach, validation=self.validate, context=self._context)
        written.save(written.member(id), member)
        return f"{id}: took in {counted(len(self.teach.ids), 'image')}"

    def _head(self, ensemble: FittedEnsemble) -> str:
        block, head, written = ensemble.block, ensemble.head, self.change.written
        assert block is not None
        assert head is not None

        def features(batch: ImageBatch) -> GoodFeatures:
            return ensemble.features(ensemble.observe(batch, keep=True)), batch.valid

        walked = Replayed(self._fitting, self.teach, "fusion: gathering features", features)
        head.update(Fused(block, walked), context=self._context)
        written.save(written.part("head"), head)
        took = counted(len(self.teach.ids), "image")
        return f"head {head.id}: took in {took}; the block {block.id} stays as it is"

    @property
    def _context(self) -> FitContext:
        opened = self.change.opened
        return FitContext(
            opened.ensemble.pool, opened.recipe.seed, opened.recipe.device, self.change.progress
        )

    @property
    def _fitting(self) -> Fitting:
        recipe = self.change.opened.recipe
        pool = self.change.opened.ensemble.pool
        return Fitting(
            self.change.written, pool, self.change.progress, recipe.seed, recipe.device, recipe.batch_size
        )
