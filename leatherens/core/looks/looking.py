"""From samples to a `Look`: some of the images are drawn, each is opened once, all measures are taken."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leatherens.core.colours import Lab, colour_clusters, image_colour
from leatherens.core.errors import InputError
from leatherens.core.looks.details import contrast_left, detail_width, grey_of, middle_of
from leatherens.core.looks.look import Details, Look, Size
from leatherens.core.looks.places import Places, likeness_in_place, share_that_fits
from leatherens.core.looks.surface import unevenness
from leatherens.core.looks.view_names import named_views
from leatherens.core.photographs import read_at_least, read_photograph, resize_photograph
from leatherens.core.progress import Progress, Silent
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import Sample

if TYPE_CHECKING:
    from leatherens.core.photographs import Photograph

DRAWN = 100
"""Images that are looked at, at most: enough for a median, and seconds."""

CLOSELY = 16
"""Of them, those that are read at their own resolution, for the details; the others no larger than needed."""

_KEPT = 320
"""Pixels of a side at which a photograph is kept to be compared with the others."""

_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One image, measured. picture: made small; detail, left: `None` where it was not read closely."""

    size: Size
    colour: Lab
    unevenness: float
    picture: Photograph
    detail: float | None
    left: float | None


def look_at(samples: Sequence[Sample], *, size: Size, progress: Progress | None = None) -> Look:
    """What good samples look like; `InputError` where there are none, or none can be read.

    size: height and width that a run would bring images to. The same samples give the same look.
    """
    if not samples:
        raise InputError("there are no images to look at")
    drawn = drawn_from(samples)
    found: list[_Seen | InputError] = []
    reporting = (progress or Silent()).step("looking at the images", len(drawn))
    with reporting as advance, ThreadPoolExecutor(_THREADS) as pool:
        for one in pool.map(lambda number: _seen(drawn[number], size, number < CLOSELY), range(len(drawn))):
            found.append(one)
            advance(1)
    seen = [one for one in found if isinstance(one, _Seen)]
    failed = [one for one in found if isinstance(one, InputError)]
    if not seen:
        raise InputError(
            f"none of the {len(drawn)} good images looked at can be read; the first: {failed[0]}"
        )
    unreadable = [s.id for s, one in zip(drawn, found, strict=True) if isinstance(one, InputError)]
    return _look(samples, seen, tuple(unreadable), size)


def _look(samples: Sequence[Sample], seen: Sequence[_Seen], unreadable: tuple[str, ...], size: Size) -> Look:
    uneven = float(np.median([one.unevenness for one in seen]))
    sizes = sorted((one.size for one in seen), key=lambda one: (one[0] * one[1], one))
    look = Look(
        images=len(samples),
        seen=len(seen),
        unreadable=unreadable,
        smallest=sizes[0],
        largest=sizes[-1],
        colours=colour_clusters(np.array([one.colour for one in seen])),
        unevenness=uneven,
        details=_details(seen, size),
        places=Places(likeness_in_place([one.picture for one in seen])),
        views=_views(samples),
    )
    return look if look.surface == "texture" or look.places.still else _registered(look, seen)


def _registered(look: Look, seen: Sequence[_Seen]) -> Look:
    """The same of an object that moves: whether its images could be laid over one another."""
    from dataclasses import replace

    fitting = share_that_fits([one.picture for one in seen])
    return replace(look, places=Places(look.places.alike, fitting))


def _details(seen: Sequence[_Seen], size: Size) -> Details:
    closely = [one for one in seen if one.detail is not None] or list(seen)
    width = float(np.median([one.detail or 0.0 for one in closely]))
    left = float(np.median([1.0 if one.left is None else one.left for one in closely]))
    shrink = float(np.median([math.sqrt(one.size[0] * one.size[1] / (size[0] * size[1])) for one in closely]))
    return Details(width, shrink, left, size)


def _views(samples: Sequence[Sample]) -> tuple[str, ...]:
    """What the reader says, else what the names do."""
    told = sorted({sample.view for sample in samples if sample.view})
    return tuple(told) if len(told) > 1 else named_views([sample.id for sample in samples])


def drawn_from(samples: Sequence[Sample]) -> list[Sample]:
    """At most `DRAWN` of them, by a seed of their own, in random order, so that the first are anybody."""
    order: Any = numpy_generator(0, "looks").permutation(len(samples))
    return [samples[int(place)] for place in order[:DRAWN]]


def _seen(sample: Sample, size: Size, closely: bool) -> _Seen | InputError:
    try:
        if closely:
            pixels = read_photograph(sample.path)
            original = (pixels.shape[0], pixels.shape[1])
        else:
            pixels, original = read_at_least(sample.path, (_KEPT, _KEPT))
    except InputError as error:
        return error
    middle = middle_of(pixels)
    scale = max(1.0, max(pixels.shape[:2]) / _KEPT)
    height, width = (max(1, round(side / scale)) for side in pixels.shape[:2])
    return _Seen(
        size=original,
        colour=image_colour(pixels),
        unevenness=unevenness(pixels),
        picture=resize_photograph(pixels, (height, width)),
        detail=detail_width(grey_of(middle)) if closely else None,
        left=contrast_left(middle, _shrunk(middle, original, size)) if closely else None,
    )


def _shrunk(middle: Photograph, original: Size, size: Size) -> Size:
    """What the window of a photograph becomes when the photograph is brought to the working size."""
    height, width = (
        max(1, round(side * min(1.0, wanted / whole)))
        for side, wanted, whole in zip(middle.shape[:2], size, original, strict=True)
    )
    return height, width
