"""What fitting must and must not do."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from leatherens.core.global_state import changed, global_state
from leatherens.core.types import ImageBatch
from leatherens.testing.comparing import same
from leatherens.testing.stand_ins import Interrupter, lent_globals
from leatherens.testing.trial import Fit, Trial


def check_fit_returns_self(trial: Trial) -> None:
    """`fit` returns the detector it was called on and leaves it fitted."""
    fit = trial.fitted
    trial.expect(fit.returned is fit.member, f"fit must return self, got {type(fit.returned).__name__}")
    trial.expect(fit.member.fitted, "nothing is learned after fit; learned attributes end in '_'")


def check_fit_leaves_images_alone(trial: Trial) -> None:
    """Fitting does not write into the training images, which the next member will learn from."""
    trial.expect(trial.fitted.images_kept, "fit changes its training images in place; work on a copy")


def check_fit_keeps_no_images(trial: Trial) -> None:
    """What is learned is the detector's own: it shares no memory with the images and keeps no source."""
    held = trial.fitted.images_held
    trial.expect(
        not held, f"after fit, {held} still holds the training images; keep a clone of what is learned"
    )


def check_fit_prints_nothing(trial: Trial) -> None:
    """A library is silent: remarks go through `context.progress`, where the command line can place them."""
    printed = trial.fitted.printed
    trial.expect(not printed, f"fit prints to stdout ({printed.strip()[:60]!r}); use context.progress.say")


def check_use_leaves_globals_alone(trial: Trial) -> None:
    """Fitting and scoring move no global random generator and no setting the whole process shares."""
    fit = trial.fitted
    trial.expect(
        not fit.globals_moved, f"fit moves {', '.join(fit.globals_moved)}; use leatherens.core.randomness"
    )
    with lent_globals(1):
        before = global_state()
        trial.observe(fit.member, trial.scene.good)
        moved = changed(before, global_state())
    trial.expect(not moved, f"observe moves {', '.join(moved)}; a score depends on image and fit alone")


def check_same_seed_same_scores(trial: Trial) -> None:
    """Two fits with one seed agree, whatever state the global random generators are in."""
    first, images = trial.small_fit, trial.small.mixed
    seen = trial.observe(first.member, images)
    if same(seen, trial.observe(trial.refit.member, images)):
        return  # the refit was one of the two; only where it disagrees is a third needed, to say why
    again = trial.fit(trial.make(), trial.small.teach, trial.small.validate, globals_seed=2)
    _expect_same_scores(trial, first, again, "two fits with the same seed disagree")


def check_refit_forgets(trial: Trial) -> None:
    """A second fit leaves nothing of the first."""
    _expect_same_scores(trial, trial.small_fit, trial.refit, "a refitted detector remembers its first fit")


def check_smallest_set_is_enough(trial: Trial) -> None:
    """As few images as `min_images` and as small as `min_size` allow, partly masked, can be learned from."""
    seen = trial.smallest_seen
    fine = seen.scores.pixels.isfinite().all() and seen.scores.image.isfinite().all()
    count = trial.flags.min_images
    trial.expect(
        fine, f"min_images={count} is declared, but after learning from {count} images scores are not finite"
    )


def check_too_few_images_refused(trial: Trial) -> None:
    """Fewer images than `min_images`, or none to validate on, are refused in words before any work."""
    teach, validate = trial.small.teach, trial.small.validate
    few = trial.flags.min_images - 1
    trial.expect_refused(
        lambda: trial.fit(trial.make(), _first(teach, few), validate),
        f"learning from {few} images (min_images={few + 1})",
        words=(trial.make().id,),
    )
    trial.expect_refused(
        lambda: trial.fit(trial.make(), teach, _first(validate, 0)), "learning with nothing to validate on"
    )


def _first(batch: ImageBatch, count: int) -> ImageBatch:
    return ImageBatch(batch.pixels[:count], batch.ids[:count])


def check_interrupted_training_resumes(trial: Trial) -> None:
    """Ctrl-C, then a second fit with the same checkpoint: the uninterrupted result, for less work.

    The flag in the other direction: a detector that does not declare `trains` leaves no checkpoint.
    """
    if not trial.flags.trains:
        trial.expect(
            not trial.small_fit.checkpoint_left, "fit writes a checkpoint, but trains=False is declared"
        )
        return
    with TemporaryDirectory() as folder:
        resumed = _interrupted_and_resumed(trial, Path(folder) / "checkpoint.safetensors")
    whole = trial.small_fit
    _expect_same_scores(trial, whole, resumed, "interrupted and resumed training gives another result")
    trial.expect(
        resumed.batches_served < whole.batches_served,
        f"the resumed training started anew: it read {resumed.batches_served} batches of images, "
        f"an uninterrupted one reads {whole.batches_served}",
    )


def _interrupted_and_resumed(trial: Trial, checkpoint: Path) -> Fit:
    images, validate = trial.small.teach, trial.small.validate
    interrupter = Interrupter(trial.small_fit.longest_step)
    try:
        trial.fit(trial.make(), images, validate, progress=interrupter, checkpoint=checkpoint)
    except KeyboardInterrupt:
        trial.expect(checkpoint.exists(), "an interrupted training leaves no checkpoint")
    else:
        trial.fail("trains=True is declared, but fit reports no step to context.progress or swallows Ctrl-C")
    return trial.fit(trial.make(), images, validate, checkpoint=checkpoint)


def _expect_same_scores(trial: Trial, first: Fit, second: Fit, sentence: str) -> None:
    images = trial.small.mixed
    trial.expect_same(trial.observe(first.member, images), trial.observe(second.member, images), sentence)


CHECKS = (
    check_fit_returns_self,
    check_fit_leaves_images_alone,
    check_fit_keeps_no_images,
    check_fit_prints_nothing,
    check_use_leaves_globals_alone,
    check_same_seed_same_scores,
    check_refit_forgets,
    check_smallest_set_is_enough,
    check_too_few_images_refused,
    check_interrupted_training_resumes,
)
