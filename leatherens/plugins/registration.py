"""Photographs laid over a reference: a camera that somebody nudged shows what it showed before.

The reference is one of the good photographs, or a file. A photograph that cannot be laid over it believably
stays as it is, and the run says so. What the reference shows and a photograph does not is hidden, not black.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from torch import Tensor

from leatherens.core.errors import InputError
from leatherens.core.listing import counted
from leatherens.core.params import Params
from leatherens.core.photographs import Photograph, read_photograph
from leatherens.core.preparation import Comparison, Pictures, Preparation, Prepared
from leatherens.core.progress import Progress
from leatherens.core.registration import (
    Alignment,
    KeyPoints,
    Limits,
    Reference,
    Registration,
    choose_reference,
    warped,
    warped_mask,
)
from leatherens.core.registration.homographies import Homography, resizing
from leatherens.core.registration.key_points import Grey, reduced_grey
from leatherens.core.registration.reference import spread

LEGEND = (
    "The photograph in red over the reference in cyan: what agrees is grey, what has a coloured rim lies "
    "beside it, and what the photograph does not show is faded."
)

_LIMITS = Limits()


class RegistrationPreparation(Preparation):
    """Lays every photograph over one of the good ones by what both show."""

    id = "registration"
    learns: ClassVar[bool] = True

    class Params(Params):
        """How photographs are recognised in one another, and how far a camera may have moved.

        reference: a file to lay them over instead of a good photograph of the data.
        """

        reference: str | None = None
        candidates: PositiveInt = 12
        """Good photographs of which the reference is chosen: the one that most others can be laid over."""
        side: Annotated[int, Field(ge=64)] = 640
        """Longest side in pixels of the grey picture in which key points are looked for."""
        points: Annotated[int, Field(ge=16)] = 1000
        """Key points of a picture, the clearest ones."""
        contrast: PositiveInt = 10
        """Grey levels by which a key point differs from its surroundings, at least."""
        ratio: Annotated[float, Field(gt=0, le=1)] = 0.9
        """How much nearer than the second nearest a match must be."""
        tolerance: PositiveFloat = 3.0
        """Pixels of the grey picture by which matches that agree may miss."""
        refine: bool = False
        """Whether grey levels have the last word (ECC): two to five times as long, and ten times as exact."""
        shift: PositiveFloat = _LIMITS.shift
        """Share of the diagonal by which a corner may move."""
        stretch: Annotated[float, Field(gt=1)] = _LIMITS.stretch
        """How many times longer or shorter anything may get."""
        uncertainty: PositiveFloat = _LIMITS.uncertainty
        """Share of the diagonal by which a corner's place may err, by the matches that hold it."""

        @field_validator("reference")
        @classmethod
        def _absolute(cls, path: str | None) -> str | None:
            """A run is gone on with from anywhere."""
            return path if path is None else str(Path(path).resolve())

    size_: list[int]
    """Height and width of the reference."""
    grey_: Tensor
    """(h, w) uint8, the reference reduced."""
    places_: Tensor
    """(N, 2) float64, x and y of the reference's key points."""
    descriptors_: Tensor
    """(N, 32) uint8, what they look like."""

    def _fit(self, good: Pictures, seed: int, progress: Progress) -> None:
        reference = self._of_a_file() or self._of_the_good(good, progress)
        self.size_ = list(reference.size)
        self.grey_ = torch.from_numpy(reference.grey)
        self.places_ = torch.from_numpy(reference.points.places)
        self.descriptors_ = torch.from_numpy(reference.points.descriptors)

    def align(self, picture: Prepared) -> Alignment:
        """How a picture lies against the reference, in numbers."""
        self.require_fitted("align")
        return self._registration.align(picture.pixels, self._reference)

    def _apply(self, picture: Prepared) -> Prepared:
        alignment = self.align(picture)
        to = (self.size_[0], self.size_[1])
        if alignment.why is not None:
            remark = f"left as photographed ({alignment.why.value})"
            picture = replace(picture, remarks=(*picture.remarks, remark))
        homography = resizing(picture.size, to) if alignment.homography is None else alignment.homography
        if picture.size == to and np.array_equal(homography, np.eye(3)):
            return picture
        return _laid(picture, homography, to)

    def compare(self, picture: Prepared) -> Comparison:
        """The photograph in red over the reference in cyan, before and after."""
        alignment = self.align(picture)
        size = self.grey_.shape[0], self.grey_.shape[1]
        shrinking = resizing((self.size_[0], self.size_[1]), size)
        plain = resizing(picture.size, size)
        laid = plain if alignment.homography is None else shrinking @ alignment.homography
        before, after = (_over(self.grey_.numpy(), picture, homography) for homography in (plain, laid))
        return Comparison(before, after, _told(alignment), LEGEND)

    @property
    def _registration(self) -> Registration:
        options = self.params
        return Registration(
            side=options.side,
            points=options.points,
            contrast=options.contrast,
            ratio=options.ratio,
            tolerance=options.tolerance,
            refine=options.refine,
            limits=Limits(options.shift, options.stretch, options.uncertainty),
        )

    @property
    def _reference(self) -> Reference:
        points = KeyPoints(self.places_.numpy(), self.descriptors_.numpy())
        return Reference((self.size_[0], self.size_[1]), self.grey_.numpy(), points)

    def _of_a_file(self) -> Reference | None:
        if self.params.reference is None:
            return None
        path = Path(self.params.reference)
        reference = self._registration.reference(read_photograph(path))
        if not len(reference.points):
            raise InputError(
                f"{path}: blank or too small, so that nothing can be laid over it; give a photograph of at "
                "least 64 x 64 pixels with edges, marks or print"
            )
        return reference

    def _of_the_good(self, good: Pictures, progress: Progress) -> Reference:
        places = spread(len(good), self.params.candidates)
        with progress.step("registration: choosing the reference", len(places)) as advance:
            candidates = []
            for place in places:
                candidates.append(good[place])
                advance(1)
            chosen = choose_reference(self._registration, [candidate.pixels for candidate in candidates])
        name = candidates[chosen.index].name
        fits = f"{chosen.fits} of {counted(chosen.others, 'other good photograph')} can be laid over it"
        progress.say(f"registration: the reference is {name}; {fits}")
        return chosen.reference


def _laid(picture: Prepared, homography: Homography, to: tuple[int, int]) -> Prepared:
    """A picture and its regions moved, hidden where it shows nothing of the reference."""
    pixels, seen = warped(picture.pixels, homography, to)
    ignored, hidden = (
        None if region is None else warped_mask(region, homography, to)
        for region in (picture.ignored, picture.hidden)
    )
    warp = homography if picture.warp is None else homography @ picture.warp
    moved = replace(picture, pixels=pixels, ignored=ignored, hidden=hidden, warp=warp)
    return moved if seen.all() else moved.hiding(~seen)


def _over(reference: Grey, picture: Prepared, homography: Homography) -> Photograph:
    """(h, w, 3): the reference's grey as cyan, the picture's as red; faded where there is no picture."""
    height, width = reference.shape
    laid, seen = warped(picture.pixels, homography, (height, width))
    red = np.where(seen, reduced_grey(laid, max(height, width)), reference)
    both = np.stack([red, reference, reference], axis=2)
    return np.where(seen[..., None], both, 160 + both // 4)


def _told(alignment: Alignment) -> str:
    """What was found, in numbers."""
    if alignment.why is not None:
        return f"left as photographed: {alignment.why.value} ({alignment.detail})"
    before, after = alignment.likeness or (0.0, 0.0)
    agree = f"{alignment.agreeing} of {alignment.matches} key points agree"
    return f"{agree}; correlation of grey levels {before:.2f} before, {after:.2f} after"
