"""A photograph against a reference: the homography that lays it over, or why it is better left as it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from leatherens.core.photographs import Photograph
from leatherens.core.registration.estimating import agreed_homography, likeness, refined_homography
from leatherens.core.registration.homographies import (
    Homography,
    Limits,
    Size,
    folded,
    resizing,
    shift_of,
    stretch_of,
    uncertainty_of,
)
from leatherens.core.registration.key_points import Grey, KeyPoints, key_points, reduced_grey
from leatherens.core.registration.matches import matches

ALONE, SHARE = 8.0, 0.3
"""More than 8 and 0.3 of the matches must agree: the odds of a right homography against an accident (Brown
and Lowe, "Automatic panoramic image stitching", IJCV 2007, section 3.2)."""


class Why(str, Enum):
    """Why a photograph is left as it is."""

    too_few = "too few key points agree"
    folded = "it would be folded or mirrored"
    shifted = "it would be shifted too far"
    stretched = "it would be stretched too much"
    uncertain = "the key points that agree lie too close together"
    no_better = "it would be no more like the reference"


@dataclass(frozen=True, slots=True)
class Alignment:
    """What was found for one photograph.

    found: what most matches agree on, plausible or not; `None` where nothing was found.
    why: it is left as it is, `None` where `found` is used; detail: the same in numbers.
    matches, agreeing: key points seen in both pictures, and how many of them agree with `found`.
    likeness: correlation of grey levels with the reference, as it was and as `found` lays it; `None` where
        it was not asked for.
    """

    found: Homography | None
    why: Why | None = None
    detail: str = ""
    matches: int = 0
    agreeing: int = 0
    likeness: tuple[float, float] | None = None

    @property
    def homography(self) -> Homography | None:
        """Photograph to reference; `None` where the photograph is left as it is."""
        return None if self.why else self.found


@dataclass(frozen=True, slots=True)
class Reference:
    """The photograph that others are laid over: its size, its reduced grey picture, its key points."""

    size: Size
    grey: Grey
    points: KeyPoints


@dataclass(frozen=True, slots=True)
class Registration:
    """How photographs are laid over one another.

    side: longest side in pixels of the reduced picture in which points are looked for.
    points, contrast, ratio: of key points and matches, see `key_points` and `matches`.
    tolerance: by how many pixels of the reduced reference an agreeing match may miss.
    refine: whether grey levels have the last word (ECC).
    """

    side: int = 640
    points: int = 1000
    contrast: int = 10
    ratio: float = 0.9
    tolerance: float = 3.0
    refine: bool = False
    limits: Limits = field(default_factory=Limits)

    def reference(self, photograph: Photograph) -> Reference:
        """A photograph (H, W, 3) as a reference."""
        size = photograph.shape[0], photograph.shape[1]
        grey = reduced_grey(photograph, self.side)
        return Reference(size, grey, self._points(grey, size))

    def align(self, photograph: Photograph, reference: Reference) -> Alignment:
        """How a photograph (h, w, 3) lies against a reference."""
        size = photograph.shape[0], photograph.shape[1]
        grey = reduced_grey(photograph, self.side)
        alignment = self.matched(self._points(grey, size), size, reference)
        hopeful = alignment.why is None or (self.refine and alignment.why is Why.uncertain)
        return self._seen(alignment, grey, size, reference) if hopeful else alignment

    def matched(self, points: KeyPoints, size: Size, reference: Reference) -> Alignment:
        """The same for the key points of a picture of `size` alone, without a look at the grey levels."""
        pairs = matches(points, reference.points, ratio=self.ratio)
        sources, targets = points.places[pairs[:, 0]], reference.points.places[pairs[:, 1]]
        found, agree = agreed_homography(sources, targets, tolerance=self._tolerance(reference))
        counts = len(pairs), int(agree.sum())
        needed = ALONE + SHARE * len(pairs)
        if found is None or counts[1] <= needed:
            detail = f"{counts[1]} of {counts[0]} matches agree, more than {needed:.1f} are needed"
            return Alignment(None, Why.too_few, detail, *counts)
        why, detail = self._implausible(found, size, reference.size)
        if why is None:
            error = uncertainty_of(found, sources[agree], targets[agree], size, reference.size)
            if error > self.limits.uncertainty:
                why = Why.uncertain
                detail = (
                    f"a corner's error is {error:.1%} of the diagonal, {self.limits.uncertainty:.1%} may be"
                )
        return Alignment(found, why, detail, *counts)

    def _points(self, grey: Grey, size: Size) -> KeyPoints:
        return key_points(grey, size, count=self.points, contrast=self.contrast)

    def _tolerance(self, reference: Reference) -> float:
        return float(self.tolerance * max(reference.size) / max(reference.grey.shape))

    def _implausible(self, homography: Homography, size: Size, to: Size) -> tuple[Why | None, str]:
        if folded(homography, size):
            return Why.folded, "a part of it would be turned inside out"
        shift, stretch = shift_of(homography, size, to), stretch_of(homography, size, to)
        if shift > self.limits.shift:
            return (
                Why.shifted,
                f"a corner moves by {shift:.0%} of the diagonal, {self.limits.shift:.0%} may be",
            )
        if stretch > self.limits.stretch:
            return Why.stretched, f"a length changes {stretch:.2f} times, {self.limits.stretch:g} may be"
        return None, ""

    def _seen(self, alignment: Alignment, grey: Grey, size: Size, reference: Reference) -> Alignment:
        """After a look at the grey levels: refined if asked for, and dropped if it does no good."""
        assert alignment.found is not None
        frame = _Frame(size, grey, reference)
        before, after = frame.likeness(resizing(size, reference.size)), frame.likeness(alignment.found)
        if self.refine:
            refined = frame.refined(alignment.found)
            if refined is not None and self._implausible(refined, size, reference.size)[0] is None:
                better = frame.likeness(refined)
                if better > after:
                    alignment, after = replace(alignment, found=refined, why=None, detail=""), better
        alignment = replace(alignment, likeness=(before, after))
        return alignment if alignment.why or after > before else self._no_better(alignment, size, reference)

    def _no_better(self, alignment: Alignment, size: Size, reference: Reference) -> Alignment:
        """Where next to nothing moves the camera stood still, and the photograph is where it should be."""
        assert alignment.found is not None
        moves = shift_of(alignment.found, size, reference.size) * float(np.hypot(*reference.size))
        if moves <= self._tolerance(reference):
            return replace(alignment, found=resizing(size, reference.size))
        before, after = alignment.likeness or (0.0, 0.0)
        detail = f"the correlation of grey levels would go from {before:.2f} to {after:.2f}"
        return replace(alignment, why=Why.no_better, detail=detail)


class _Frame:
    """Homographies between whole pictures, as their reduced grey pictures see them."""

    def __init__(self, size: Size, grey: Grey, reference: Reference) -> None:
        self.grey, self.reference = grey, reference.grey
        self.enlarging = resizing((grey.shape[0], grey.shape[1]), size)
        self.shrinking = resizing(reference.size, (reference.grey.shape[0], reference.grey.shape[1]))

    def likeness(self, homography: Homography) -> float:
        return likeness(self.grey, self.reference, self.shrinking @ homography @ self.enlarging)

    def refined(self, homography: Homography) -> Homography | None:
        found = refined_homography(self.grey, self.reference, self.shrinking @ homography @ self.enlarging)
        return (
            None if found is None else np.linalg.inv(self.shrinking) @ found @ np.linalg.inv(self.enlarging)
        )
