"""Checks of thresholds, tried on made-up scores of good and of labelled images."""

from __future__ import annotations

import numpy as np

from leatherens.core.errors import InputError
from leatherens.core.randomness import numpy_generator
from leatherens.core.thresholds import SIDES, Group, Labelled, Normals, Threshold
from leatherens.testing.bench import Bench
from leatherens.testing.declaration_checks import PART_CHECKS
from leatherens.testing.reloading import ERRORS_ALLOWED, expect_kept, reloaded


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
    expect_kept(trial, normals(60), normals(30, 1, shift=100), _limits, learn=taught)


def _limits(member: Threshold) -> list[float]:
    return [member.image_, member.pixel_]


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


CHECKS = (
    *PART_CHECKS,
    check_threshold_is_finite,
    check_threshold_follows_the_scores,
    check_threshold_keeps_its_promise,
    check_threshold_is_kept,
    check_threshold_learns_sides_apart,
    check_threshold_says_whether_it_needs_labels,
    check_threshold_says_whether_it_tells_groups,
)
