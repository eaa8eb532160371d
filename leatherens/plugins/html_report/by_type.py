"""Scores by type of defect: a strip of bars for each on the histogram's axis, so that many types fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from leatherens.core.reporting import ScoredImage
from leatherens.plugins.html_report.histogram import Bar, Group, Histogram, group_of
from leatherens.plugins.html_report.number_table import NumberTable
from leatherens.plugins.html_report.table import number

GOOD, UNNAMED, UNLABELLED = "good", "defective, type not told", "without a label"


@dataclass(frozen=True, slots=True)
class Strip:
    """The images of one type: bars on the common axis, the tallest of them, and how many are flagged."""

    name: str
    key: str
    total: int
    flagged: int
    bars: tuple[Bar, ...]
    tallest: float


@dataclass(frozen=True, slots=True)
class Strips:
    """Good images first, then the types by rising median score: the hardest ones stand on top."""

    strips: tuple[Strip, ...]
    numbers: NumberTable


def strips(images: Sequence[ScoredImage], histogram: Histogram | None) -> Strips | None:
    """The strips on the histogram's axis; `None` with fewer than two types, which that shows already."""
    by_name: dict[str, list[ScoredImage]] = {}
    for image in images:
        by_name.setdefault(_name(image), []).append(image)
    if histogram is None or sum(found[0].defective is True for found in by_name.values()) < 2:
        return None
    names = sorted(by_name, key=lambda name: (name != GOOD, name == UNLABELLED, _middle(by_name[name]), name))
    return Strips(tuple(_strip(name, by_name[name], histogram) for name in names), _numbers(names, by_name))


def _name(image: ScoredImage) -> str:
    if image.defective is None:
        return UNLABELLED
    return image.defect or UNNAMED if image.defective else GOOD


def _scores(images: Sequence[ScoredImage]) -> list[float]:
    return [image.scores["ensemble"] for image in images]


def _middle(images: Sequence[ScoredImage]) -> float:
    return median(_scores(images))


def _strip(name: str, images: Sequence[ScoredImage], histogram: Histogram) -> Strip:
    key = {GOOD: "good", UNLABELLED: "unlabelled"}.get(name, "defective")
    found: Group = group_of(key, np.array(_scores(images)), histogram.axis)
    return Strip(
        name,
        key,
        found.total,
        sum(image.flagged for image in images),
        found.bars,
        max(bar.share for bar in found.bars),
    )


def _numbers(names: Sequence[str], by_name: dict[str, list[ScoredImage]]) -> NumberTable:
    rows = []
    for name in names:
        scores = _scores(by_name[name])
        flagged = sum(image.flagged for image in by_name[name])
        ends = (number(value) for value in (min(scores), median(scores), max(scores)))
        rows.append((name, str(len(scores)), str(flagged), *ends))
    return NumberTable(
        "scores of the ensemble by type",
        ("type", "images", "flagged", "lowest", "median", "highest"),
        tuple(rows),
    )
