"""Checks of the parts behind the detectors: score fusions, calibrators, thresholds; by kind, all parts'.

They are tried on made-up scores: heavy-tailed, as detectors' are, and never on images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leatherens.core.calibration import Calibrator
from leatherens.core.component import Component
from leatherens.core.errors import InputError, NotFittedError
from leatherens.core.examples import Examples, Votes, table
from leatherens.core.preparation import Preparation
from leatherens.core.randomness import numpy_generator, torch_generator
from leatherens.core.scorefusion import Lessons, ScoreFusion
from leatherens.core.thresholds import SIDES, Group, Labelled, Normals, Threshold
from leatherens.core.types import ScoreMap
from leatherens.testing import preparation_checks
from leatherens.testing.bench import Bench
from leatherens.testing.declaration_checks import PART_CHECKS
from leatherens.testing.reloading import reloaded

ERRORS_ALLOWED = 4
"""Standard errors of a counted share; a correct part fails one run in tens of thousands."""


def voters(count: int = 3, images: int = 5, seed: int = 0) -> dict[str, ScoreMap]:
    """Scores of made-up members on the common scale, by name."""
    generator = torch_generator(seed, "voters")
    maps = [torch.randn(images, 6, 8, generator=generator).exp() for _ in range(count)]
    return {f"member-{i}": ScoreMap(pixels, pixels.flatten(1).amax(dim=1)) for i, pixels in enumerate(maps)}


def lessons_of(good: Votes, spoilt: Votes) -> Examples:
    """What a fusion may learn from these scores, every pixel of both."""
    names, generator = tuple(sorted(good)), numpy_generator(0, "lessons")
    parts = [
        table(names, [(votes, None)], pixels_per_image=48, generator=generator) for votes in (good, spoilt)
    ]
    return Examples(names, *parts)


def lessons(count: int = 3, seed: int = 0) -> Examples:
    """Made-up lessons: anomalies stand out to the first member most, to the last one least."""
    good = voters(count, images=24, seed=seed + 1)
    return lessons_of(good, _raised(voters(count, images=16, seed=seed + 2)))


def _raised(votes: Votes) -> dict[str, ScoreMap]:
    steps = torch.linspace(2, 0.5, len(votes)).tolist()
    return {
        name: ScoreMap(v.pixels + step, v.image + step)
        for (name, v), step in zip(sorted(votes.items()), steps, strict=True)
    }


def check_fusion_keeps_shapes(trial: Bench) -> None:
    """Fused scores are float32 and finite, with the voters' shapes."""
    fused, like = trial.make().fit(lessons()).fuse(voters()), voters()["member-0"]
    for name, value, expected in (
        ("map", fused.pixels, like.pixels),
        ("image score", fused.image, like.image),
    ):
        trial.expect(value.shape == expected.shape, f"the fused {name} has shape {tuple(value.shape)}")
        trial.expect(value.dtype == torch.float32, f"the fused {name} is {value.dtype}, expected float32")
        trial.expect(bool(value.isfinite().all()), f"the fused {name} holds NaN or infinite values")


def check_fusion_ignores_order(trial: Bench) -> None:
    """It does not matter in which order the voters come, nor who is called what, in fit and in fuse."""
    given, taught = voters(), lessons()
    renamed = dict(zip(given, reversed(given.values()), strict=True))
    turned = list(reversed(range(len(given))))
    retaught = Examples(taught.voters, taught.good.columns(turned), taught.spoilt.columns(turned))
    _expect_equal(
        trial,
        trial.make().fit(taught).fuse(given),
        trial.make().fit(retaught).fuse(renamed),
        "fusing depends on the voters' order",
    )


def check_fusion_of_one_is_identity(trial: Bench) -> None:
    """One voter alone is returned as it is: an ensemble of one is its member."""
    alone = voters(1)
    fused = trial.make().fit(lessons(1)).fuse(alone)
    _expect_equal(trial, alone["member-0"], fused, "one voter alone is changed")


def check_fusion_keeps_ranking_beside_a_constant(trial: Bench) -> None:
    """A voter that says the same everywhere, in lessons too, turns no ranking round."""
    (one,) = voters(1).values()
    (good,), (spoilt,) = voters(1, 24, 1).values(), _raised(voters(1, 16, 2)).values()
    for level in (0.0, 1.0):
        taught = lessons_of(
            {"one": good} | _constant(good, level), {"one": spoilt} | _constant(spoilt, level)
        )
        fused = trial.make().fit(taught).fuse({"one": one} | _constant(one, level))
        for before, after in ((one.pixels, fused.pixels), (one.image, fused.image)):
            trial.expect(
                _never_falls(before, after), f"beside a voter that always says {level:g}, rankings turn round"
            )


def _constant(like: ScoreMap, level: float) -> dict[str, ScoreMap]:
    return {"constant": ScoreMap(torch.full_like(like.pixels, level), torch.full_like(like.image, level))}


def check_fusion_rises_with_every_voter(trial: Bench) -> None:
    """No voter's suspicion makes the fused score lower, not even one that lessons showed to be wrong."""
    good, spoilt = voters(3, 24, 1), _raised(voters(3, 16, 2))
    misled = spoilt | {"member-1": ScoreMap(spoilt["member-1"].pixels - 4, spoilt["member-1"].image - 4)}
    fitted, given = trial.make().fit(lessons_of(good, misled)), voters()
    before = fitted.fuse(given)
    for name, votes in given.items():
        after = fitted.fuse(given | {name: ScoreMap(votes.pixels + 1, votes.image + 1)})
        for one, other in ((before.pixels, after.pixels), (before.image, after.image)):
            trial.expect(bool((other - one >= -1e-5).all()), f"with higher scores of {name}, it says less")


def check_fusion_scores_each_image_alone(trial: Bench) -> None:
    """An image's fused scores do not depend on the other images of the batch."""
    fitted = trial.make().fit(lessons())
    together = fitted.fuse(voters())
    first = {name: ScoreMap(v.pixels[:1], v.image[:1]) for name, v in voters().items()}
    one = ScoreMap(together.pixels[:1], together.image[:1])
    _expect_equal(trial, one, fitted.fuse(first), "fused one by one and together, scores disagree")


def check_fusion_is_kept(trial: Bench) -> None:
    """What was learned is saved, loaded and refitted as it was; without it, nothing is fused."""
    member = trial.make()
    trial.expect(member.fit(lessons()) is member, "fit must return self")
    expected = member.fuse(voters())
    if member.lessons is not Lessons.nothing:
        _expect_unfitted_refused(trial)
        again = reloaded(member)
        _expect_equal(trial, expected, again.fuse(voters()), "saved and loaded, it fuses otherwise")
    refitted = member.fit(lessons(seed=5)).fit(lessons())
    _expect_equal(trial, expected, refitted.fuse(voters()), "a second fit remembers the first")


def _expect_unfitted_refused(trial: Bench) -> None:
    try:
        trial.make().fuse(voters())
    except NotFittedError:
        return
    trial.fail("fuse before fit must raise NotFittedError, but gave an answer")


def _expect_equal(trial: Bench, first: ScoreMap, second: ScoreMap, sentence: str) -> None:
    for name, one, other in (
        ("map", first.pixels, second.pixels),
        ("image score", first.image, second.image),
    ):
        close = one.shape == other.shape and torch.allclose(one, other, rtol=1e-5, atol=1e-6)
        trial.expect(close, f"{sentence}: {name}")


def _never_falls(before: Tensor, after: Tensor) -> bool:
    """Whether `after` never falls where `before` rises."""
    ordered = after.flatten()[before.flatten().argsort()]
    return bool((ordered.diff() >= -1e-6).all())


def good_scores(count: int, *path: int) -> Tensor:
    """(count,) scores of made-up good images."""
    return torch.randn(count, generator=torch_generator(0, "good", *path)).exp()


def check_calibrator_is_monotone(trial: Bench) -> None:
    """A higher raw score never has a lower calibrated one; all lie in 0..1; the number of normals is told."""
    calibrated = trial.make().fit(good_scores(99)).calibrate(torch.linspace(-1, 50, 400))
    image = calibrated.image
    trial.expect(bool((image.diff() >= 0).all()), "a higher raw score has a lower calibrated one")
    trial.expect(bool(((image >= 0) & (image <= 1)).all()), "calibrated scores leave 0..1")
    trial.expect(calibrated.normals == 99, f"normals is {calibrated.normals}, expected 99")


def check_calibrator_keeps_its_promise(trial: Bench) -> None:
    """On fresh good images, 1 - score is at most a in a share a of cases, within binomial error."""
    runs, member = 2000, trial.make()
    drawn = good_scores(50 * runs).view(runs, 50)
    p = torch.cat([1 - member.fit(row[:49]).calibrate(row[49:]).image for row in drawn])
    for rate in (0.1, 0.3, 0.5):
        share = float((p <= rate + 1e-6).double().mean())
        error = ERRORS_ALLOWED * (rate * (1 - rate) / runs) ** 0.5
        trial.expect(
            abs(share - rate) <= error,
            f"a share {share:.3f} of fresh good images has 1 - score <= {rate:g} (error {error:.3f})",
        )


def check_calibrator_is_kept(trial: Bench) -> None:
    """Saved, loaded and refitted, a calibrator says the same; unfitted it says nothing."""
    fresh, other = good_scores(20, 1), good_scores(60, 2) + 100
    say: Callable[[Any], list[float]] = lambda member: member.calibrate(fresh).image.tolist()  # noqa: E731
    _expect_kept(trial, good_scores(99), other, say)


def check_threshold_is_finite(trial: Bench) -> None:
    """Both thresholds are finite numbers, from one good image on, and lie within reach of the scores seen."""
    for count in (1, 2, 99):
        member = taught(trial.make(), normals(count))
        for name in ("image_", "pixel_"):
            value = getattr(member, name)
            trial.expect(np.isfinite(value), f"{name} is {value} after {count} good images")
        trial.expect(member.normals_ == count, f"normals_ is {member.normals_}, expected {count}")


def check_threshold_follows_the_scores(trial: Bench) -> None:
    """Scores in another unit, twice as large and shifted, give the same decisions."""
    plain = taught(trial.make(), normals(60))
    moved = trial.make().fit(normals(60, scale=2, shift=5), labelled(scale=2, shift=5))
    for name in ("image_", "pixel_"):
        expected = 2 * getattr(plain, name) + 5
        fits = np.isclose(getattr(moved, name), expected, rtol=1e-6)
        trial.expect(
            fits, f"scores times 2 plus 5: {name} is {getattr(moved, name):g}, expected {expected:g}"
        )


def check_threshold_keeps_its_promise(trial: Bench) -> None:
    """The promised share of false alarms holds on fresh good images within its error; no flag, no promise."""
    member = taught(trial.make(), normals(99))
    promised = member.promise_
    trial.expect(
        (promised is not None) == member.makes_promise,
        f"makes_promise={member.makes_promise} is declared, but promise_ is {promised}",
    )
    if promised is None:
        return
    runs, fresh = 600, 10
    above = [_share_above(trial.make(), run, fresh) for run in range(runs)]
    error = ERRORS_ALLOWED * max(float(np.std(above)), promised) / runs**0.5
    share = float(np.mean(above))
    trial.expect(
        share <= promised + error,
        f"{share:.4f} of fresh good images are above the threshold, "
        f"promised are {promised:.4f} (error {error:.4f})",
    )


def _share_above(member: Threshold, run: int, fresh: int) -> float:
    taught(member, normals(99, run))
    return float((numpy_generator(run, "fresh").lognormal(size=fresh) > member.image_).mean())


def check_threshold_is_kept(trial: Bench) -> None:
    """Saved, loaded and refitted, a threshold is the same; unfitted it has no state."""
    say: Callable[[Any], list[float]] = lambda member: [member.image_, member.pixel_]  # noqa: E731
    _expect_kept(trial, normals(60), normals(30, 1, shift=100), say, learn=taught)


def check_threshold_learns_sides_apart(trial: Bench) -> None:
    """Asked for the threshold of one side alone, it is the one of both, and survives being stored."""
    both = taught(trial.make(), normals(60))
    for side in SIDES:
        alone = reloaded(trial.make().fit(normals(60), labelled(), sides=(side,)))
        for name in SIDES:
            found = getattr(alone, f"{name}_", None)
            expected = getattr(both, f"{name}_") if name == side else None
            trial.expect(
                found == expected, f"fitted for the {side} alone, {name}_ is {found}, expected {expected}"
            )


def check_threshold_says_whether_it_needs_labels(trial: Bench) -> None:
    """With needs_labels, labels of both kinds are asked for in words; without, none change anything."""
    member, good = trial.make(), normals(60)
    if not member.needs_labels:
        plain = member.fit(good).image_, member.pixel_
        given = member.fit(good, labelled()).image_, member.pixel_
        trial.expect(plain == given, "needs_labels=False is declared, but labels change its thresholds")
        return
    one_kind = labelled().only(np.flatnonzero(labelled().labels).tolist())
    for name, lessons in (("without labels", None), ("with defective images only", one_kind)):
        try:
            member.fit(good, lessons)
        except InputError:
            continue
        trial.fail(f"needs_labels=True is declared, but fit {name} did not raise InputError")


def check_threshold_says_whether_it_tells_groups(trial: Bench) -> None:
    """With tells_groups, a group's threshold is that of its own images; without, groups change nothing."""
    low, high = normals(400), normals(400, 1, shift=1000)
    kinds = (Group("left", "tan"), Group("right", "grey"))
    mixed = Normals(
        np.concatenate([low.image, high.image]),
        [*low.maps, *high.maps],
        groups=[kind for kind in kinds for _ in range(400)],
    )
    member = taught(trial.make(), mixed)
    told = [(member.image_for(kind), member.pixel_for(kind)) for kind in kinds]
    if not member.tells_groups:
        same = all(found == (member.image_, member.pixel_) for found in told)
        trial.expect(same, "tells_groups=False is declared, but groups have thresholds of their own")
        return
    for kind, found, own in zip(kinds, told, (low, high), strict=True):
        alone = taught(trial.make(), own)
        expected = alone.image_, alone.pixel_
        trial.expect(found == expected, f"of images like {kind}, the thresholds are {found}, not {expected}")


def taught(member: Threshold, good: Normals) -> Threshold:
    """A threshold fitted with all that it asks for."""
    return member.fit(good, labelled() if member.needs_labels else None)


def normals(count: int, seed: int = 0, *, scale: float = 1, shift: float = 0) -> Normals:
    """Scores of made-up good images: image scores and maps of 2 x 3 pixels."""
    generator = numpy_generator(seed, "normals")
    image = generator.lognormal(size=count)
    return Normals(image * scale + shift, list(generator.lognormal(size=(count, 2, 3)) * scale + shift))


def labelled(*, scale: float = 1, shift: float = 0) -> Labelled:
    """Scores of made-up labelled images; defective ones score higher, most where they are marked."""
    labels = np.arange(30) % 3 == 0
    good = normals(len(labels), 2)
    masks = [np.arange(6).reshape(2, 3) == (i % 6 if label else -1) for i, label in enumerate(labels)]
    maps = [(m + 2 * mask) * scale + shift for m, mask in zip(good.maps, masks, strict=True)]
    return Labelled((good.image + 2 * labels) * scale + shift, labels, maps, masks)


def _fitted(member: Any, lessons: Any) -> Any:
    return member.fit(lessons)


def _expect_kept(
    trial: Bench,
    first: Any,
    other: Any,
    say: Callable[[Any], list[float]],
    learn: Callable[[Any, Any], Any] = _fitted,
) -> None:
    member = trial.make()
    try:
        member.state()
    except NotFittedError:
        pass
    else:
        trial.fail("state before fit must raise NotFittedError, but gave an answer")
    expected = say(learn(member, first))
    trial.expect(say(reloaded(member)) == expected, "saved and loaded, it decides otherwise")
    trial.expect(say(learn(learn(member, other), first)) == expected, "a second fit remembers the first")
    trial.expect(learn(member, first) is member, "fit must return self")


FUSION_CHECKS = (
    *PART_CHECKS,
    check_fusion_keeps_shapes,
    check_fusion_ignores_order,
    check_fusion_of_one_is_identity,
    check_fusion_keeps_ranking_beside_a_constant,
    check_fusion_rises_with_every_voter,
    check_fusion_scores_each_image_alone,
    check_fusion_is_kept,
)
CALIBRATOR_CHECKS = (
    *PART_CHECKS,
    check_calibrator_is_monotone,
    check_calibrator_keeps_its_promise,
    check_calibrator_is_kept,
)
THRESHOLD_CHECKS = (
    *PART_CHECKS,
    check_threshold_is_finite,
    check_threshold_follows_the_scores,
    check_threshold_keeps_its_promise,
    check_threshold_is_kept,
    check_threshold_learns_sides_apart,
    check_threshold_says_whether_it_needs_labels,
    check_threshold_says_whether_it_tells_groups,
)
BY_KIND: dict[type[Component], tuple[Callable[[Bench], None], ...]] = {
    ScoreFusion: FUSION_CHECKS,
    Calibrator: CALIBRATOR_CHECKS,
    Threshold: THRESHOLD_CHECKS,
    Preparation: preparation_checks.CHECKS,
}
