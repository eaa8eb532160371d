"""Which of the good photographs the others are laid over: the one that most of the others fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from leatherens.core.errors import InputError
from leatherens.core.photographs import Photograph
from leatherens.core.registration.aligning import Reference, Registration
from leatherens.core.registration.key_points import LEAST_SIDE


@dataclass(frozen=True, slots=True)
class Chosen:
    """The reference among candidates.

    index: its place among them; fits: how many of the `others` can be laid over it.
    """

    index: int
    reference: Reference
    fits: int
    others: int


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, evenly spread, the first among them.

    >>> spread(10, 3), spread(2, 3)
    ([0, 3, 6], [0, 1])
    """
    return [number * count // min(count, most) for number in range(min(count, most))]


def choose_reference(registration: Registration, candidates: Sequence[Photograph]) -> Chosen:
    """The medoid: the candidate that most others can be laid over by key points, with most that agree.

    Equals are settled by their order. Every pair is tried: with n candidates n (n - 1) times.
    """
    found = [registration.reference(photograph) for photograph in candidates]
    if not any(len(reference.points) for reference in found):
        _refuse(found)
    best = max(range(len(found)), key=lambda index: (*_fit(registration, found, index), -index))
    return Chosen(best, found[best], _fit(registration, found, best)[0], len(found) - 1)


def _fit(registration: Registration, found: Sequence[Reference], index: int) -> tuple[int, int, int]:
    """How many others fit over this one, how many of their key points agree, how many points it has."""
    alignments = [
        registration.matched(other.points, other.size, found[index])
        for place, other in enumerate(found)
        if place != index
    ]
    fitting = [alignment for alignment in alignments if alignment.homography is not None]
    return len(fitting), sum(alignment.agreeing for alignment in fitting), len(found[index].points)


def _refuse(found: Sequence[Reference]) -> NoReturn:
    height, width = found[0].size
    if all(min(reference.grey.shape) < LEAST_SIDE for reference in found):
        raise InputError(
            f"registration: the good photographs are {height} x {width} pixels, at least {LEAST_SIDE} x "
            f"{LEAST_SIDE} are needed to recognise anything; leave registration out"
        )
    raise InputError(
        "registration: the good photographs are blank, nothing in them can be recognised; lower "
        "registration.contrast, or leave registration out"
    )
