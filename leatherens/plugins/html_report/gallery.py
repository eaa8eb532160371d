"""The images of the report: which are shown, in which order, and their cards, made one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from leatherens.core.reporting import ScoredImage
from leatherens.plugins.html_report.card import Card, Studio
from leatherens.plugins.html_report.verdict import FALSE_ALARM, MISSED, outcome

Ranked = tuple[int, ScoredImage]


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


def cards(images: Sequence[Ranked], studio: Studio) -> Iterator[Card]:
    """The cards, each made when it is asked for."""
    for rank, image in images:
        yield studio.card(rank, image)
