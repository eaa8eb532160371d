"""The images of the report: which are shown, in which order, and the pictures of each, made one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from leatherens.core.reporting import ScoredImage
from leatherens.plugins.html_report.colours import ColourScale, palette
from leatherens.plugins.html_report.level_maps import level_map_uri
from leatherens.plugins.html_report.pictures import (
    Regions,
    jpeg_uri,
    regions,
    shrink,
    shrink_keeping_peaks,
)
from leatherens.plugins.html_report.verdict import FALSE_ALARM, MISSED, Outcome, outcome

Ranked = tuple[int, ScoredImage]


@dataclass(frozen=True, slots=True)
class Card:
    """One image as shown: width and height in small pixels, truth `None` where there is no mask.

    reconstructions: by member that makes one.
    ignored: what is not inspected, `None` where everything is.
    """

    rank: int
    image: ScoredImage
    outcome: Outcome
    width: int
    height: int
    photograph: str
    reconstructions: Mapping[str, str]
    score_map: str
    peak: float
    truth: Regions | None
    predicted: Regions
    ignored: Regions | None


def ranked(images: Sequence[ScoredImage]) -> list[Ranked]:
    """Images with their rank from 1, highest ensemble score first, equal scores by id."""
    return list(enumerate(sorted(images, key=lambda i: (-i.scores["ensemble"], i.id)), start=1))


def chosen(images: Sequence[Ranked], threshold: float, limit: int) -> list[Ranked]:
    """At most `limit` images, in rank order: mistakes first, then those nearest to the threshold."""

    def least_telling(entry: Ranked) -> tuple[bool, float]:
        _, image = entry
        return outcome(image) not in (MISSED, FALSE_ALARM), abs(image.scores["ensemble"] - threshold)

    return sorted(sorted(images, key=least_telling)[:limit], key=lambda entry: entry[0])


def close_calls(images: Sequence[Ranked], threshold: float, limit: int = 6) -> list[Ranked]:
    """Right verdicts nearest to the threshold, nearest first: what to look at after the mistakes."""
    right = [entry for entry in images if outcome(entry[1]) not in (MISSED, FALSE_ALARM)]
    if not math.isfinite(threshold):
        return []
    return sorted(right, key=lambda entry: abs(entry[1].scores["ensemble"] - threshold))[:limit]


@dataclass(frozen=True, slots=True)
class Studio:
    """How every picture of a run is made: colours, pixel threshold, longest side, JPEG quality."""

    scale: ColourScale
    threshold: float
    longest: int
    quality: int


def cards(images: Sequence[Ranked], studio: Studio) -> Iterator[Card]:
    """The cards, each made when it is asked for."""
    for rank, image in images:
        yield _card(rank, image, studio)


def _card(rank: int, image: ScoredImage, studio: Studio) -> Card:
    longest, quality = studio.longest, studio.quality
    photograph, scores, truth = shrink(image.photograph(), longest), image.score_map(), image.truth()
    beside = {id: shrink(read(), longest) for id, read in image.reconstructions.items()}
    valid = image.valid()
    above = scores > studio.threshold
    return Card(
        rank,
        image,
        outcome(image),
        width=photograph.shape[1],
        height=photograph.shape[0],
        photograph=jpeg_uri(photograph, quality),
        reconstructions={id: jpeg_uri(picture, quality) for id, picture in beside.items()},
        score_map=level_map_uri(studio.scale.levels(shrink_keeping_peaks(scores, longest)), palette()),
        peak=float(scores.max()),
        truth=None if truth is None else regions(truth, longest),
        predicted=regions(above if valid is None else above & valid, longest),
        ignored=None if valid is None or valid.all() else regions(~valid, longest),
    )
