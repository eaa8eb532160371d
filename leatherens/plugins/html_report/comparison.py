"""The page of several runs side by side: what differs, how surely, and on which images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leatherens.core.comparison import COMPARED, SHARES, Agreement, ComparedRun, ComparisonView, agreement
from leatherens.core.comparison_words import is_better, signed, value, verdicts, with_interval
from leatherens.core.judged_run import SCORER, pixel_threshold
from leatherens.core.metrics import DEFINITIONS, FPR_LIMIT, precision_recall_curve, roc_curve
from leatherens.core.paired import Difference
from leatherens.core.reporting import ScoredImage, if_there
from leatherens.plugins.html_report.card import room_for
from leatherens.plugins.html_report.colours import ColourScale, colour_scale
from leatherens.plugins.html_report.curves import points, staircase
from leatherens.plugins.html_report.histogram import round_numbers
from leatherens.plugins.html_report.level_maps import level_map_uri
from leatherens.plugins.html_report.pictures import Regions, jpeg_uri, regions, shrink, small_size
from leatherens.plugins.html_report.verdict import Outcome, outcome

WORDS = {True: "better", False: "worse", None: "not certain"}
"""Of the other run against the first, by `is_better`."""


@dataclass(frozen=True, slots=True)
class DifferenceCell:
    """A value and its difference as written; word: one of `WORDS`, "" without an interval."""

    value: str
    difference: str
    interval: str
    word: str


@dataclass(frozen=True, slots=True)
class Line:
    """One metric in the table: of the first run, and of each other."""

    key: str
    title: str
    first: str
    others: tuple[DifferenceCell, ...]


@dataclass(frozen=True, slots=True)
class Whisker:
    """One difference drawn: its middle and ends in 0..1, 0.5 no difference, further right better."""

    title: str
    label: str
    at: float
    low: float
    high: float
    word: str


@dataclass(frozen=True, slots=True)
class Forest:
    """All differences of one run to the first; ticks: places in 0..1 and the differences there."""

    name: str
    ticks: tuple[tuple[float, float], ...]
    whiskers: tuple[Whisker, ...]


@dataclass(frozen=True, slots=True)
class OverlaidCurve:
    """One run's curve: SVG points, and the number in its legend."""

    name: str
    points: str
    number: str


@dataclass(frozen=True, slots=True)
class OverlaidChart:
    """One kind of curve of all runs; x_end: the value at the right end of the horizontal axis."""

    title: str
    about: str
    x_title: str
    y_title: str
    x_end: float
    curves: tuple[OverlaidCurve, ...]


@dataclass(frozen=True, slots=True)
class SideBySide:
    """What one run says of an image: its verdict, map and outline; no map and outline where it is gone."""

    name: str
    image: ScoredImage
    outcome: Outcome
    score_map: str = ""
    predicted: Regions | None = None


@dataclass(frozen=True, slots=True)
class DisputedCard:
    """An image on which verdicts differ, in small pixels; photograph: "" where that is gone."""

    number: int
    image: ScoredImage
    width: int
    height: int
    photograph: str
    truth: Regions | None
    sides: tuple[SideBySide, ...]


@dataclass(frozen=True, slots=True)
class Pages:
    """How pictures are made: longest side in pixels, JPEG quality; and how many images are shown at most."""

    longest: int
    quality: int
    most: int


def comparison_content(comparison: ComparisonView, pages: Pages) -> dict[str, Any]:
    """Everything the page shows; the cards are made while it is written."""
    disputed = ordered(list(comparison.disputed))
    runs, first = comparison.runs, comparison.first
    scales = [_scale(run) for run in runs] if disputed else []
    images, shown = first.view.images, list(lines(comparison))
    return {
        "comparison": comparison,
        "images": len(images),
        "good": int((~first.judged.defective).sum()),
        "defective": int(first.judged.defective.sum()),
        "verdicts": verdicts(comparison),
        "shares": [(run.name, shares(run)) for run in runs[1:]],
        "lines": shown,
        "forests": [forest(run) for run in runs[1:]],
        "agreements": [(run.name, agreements(first, run)) for run in runs[1:]],
        "definitions": {line.key: DEFINITIONS[line.key] for line in shown if line.key in DEFINITIONS},
        "titles": COMPARED,
        "charts": charts(runs),
        "costs": costs(runs),
        "disputed": len(disputed),
        "shown": min(len(disputed), pages.most),
        "cards": cards(disputed[: pages.most], runs, scales, pages),
        "scales": list(zip([run.name for run in runs], scales, strict=False)),
    }


def _scale(run: ComparedRun) -> ColourScale:
    """The colours of a run's maps, of those that are still there."""
    there = [image for image in run.view.images if if_there(image.score_map) is not None]
    return colour_scale(there, run.view.decisions[SCORER].pixel)


def lines(comparison: ComparisonView) -> Iterator[Line]:
    """The metrics that are defined for one of the runs at least."""
    for key, title in COMPARED.items():
        first = comparison.first.judged.values.get(key, math.nan)
        found = [run.differences[key] for run in comparison.runs[1:]]
        if not all(math.isnan(each) for each in (first, *(difference.other for difference in found))):
            yield Line(key, title, value(key, first), tuple(_cell(key, each) for each in found))


def _cell(key: str, found: Difference) -> DifferenceCell:
    known = not math.isnan(found.low)
    unit = " points" if key in SHARES and not math.isnan(found.value) else ""
    return DifferenceCell(
        value(key, found.other),
        signed(key, found.value) + unit,
        f"{signed(key, found.low)} to {signed(key, found.high)}" if known else "",
        WORDS[is_better(key, found)] if known else "",
    )


def shares(run: ComparedRun) -> list[str]:
    """Missed and false alarms against the first run, a sentence each."""
    found = [(COMPARED[key], key, run.differences[key]) for key in SHARES]
    return [
        f"{title[0].upper()}{title[1:]}: {value(key, each.other)} against {value(key, each.first)}, "
        f"{with_interval(key, each)}."
        for title, key, each in found
        if not math.isnan(each.value)
    ]


def forest(run: ComparedRun) -> Forest:
    """The differences that have an interval, on one axis, turned so that right is better."""
    found = {key: each for key, each in run.differences.items() if not math.isnan(each.low)}
    reach = max((abs(end) for each in found.values() for end in (each.low, each.high)), default=1.0) or 1.0

    def place(key: str, number: float) -> float:
        return 0.5 + (-number if key in SHARES else number) / reach / 2

    def drawn(key: str, each: Difference) -> Whisker:
        low, high = sorted((place(key, each.low), place(key, each.high)))
        label, word = with_interval(key, each), WORDS[is_better(key, each)]
        return Whisker(COMPARED[key], label, place(key, each.value), low, high, word)

    ticks = tuple((0.5 + tick / reach / 2, abs(tick)) for tick in round_numbers(-reach, reach))
    return Forest(run.name, ticks, tuple(drawn(key, each) for key, each in found.items()))


def agreements(first: ComparedRun, other: ComparedRun) -> list[tuple[str, Agreement]]:
    """How verdicts agree on defective and on good images, those without a label left out."""
    kinds = (("defective", True), ("good", False))
    found = [(name, agreement(first.view, other.view, defective=label)) for name, label in kinds]
    return [(name, counts) for name, counts in found if counts.total]


def charts(runs: Sequence[ComparedRun]) -> list[OverlaidChart]:
    """ROC and precision-recall of images, PRO of pixels, of all runs; none where a class is missing."""
    defective = runs[0].judged.defective
    found = []
    if defective.any() and not defective.all():
        rates, precisions = [], []
        for run in runs:
            scores = run.judged.judged.scores
            precision, recall = precision_recall_curve(scores, defective)
            rates.append(points(*roc_curve(scores, defective)))
            precisions.append(points(*staircase(recall, precision)))
        found += [
            OverlaidChart(
                "ROC",
                "defective images found against good images lost",
                "false-alarm rate",
                "share of defective images found",
                1.0,
                _curves(runs, rates, "image_auroc", "AUROC"),
            ),
            OverlaidChart(
                "Precision and recall",
                "how many flagged images are defective",
                "recall (share of defective images found)",
                "precision",
                1.0,
                _curves(runs, precisions, "image_ap", "AP"),
            ),
        ]
    if all(not math.isnan(run.judged.values.get("au_pro", math.nan)) for run in runs):
        overlaps = [points(*_until_limit(*run.judged.pro_curve)) for run in runs]
        found.append(
            OverlaidChart(
                "PRO",
                "overlap with the marked defects against good pixels marked",
                "false-positive rate of good pixels",
                "mean overlap with the defects",
                FPR_LIMIT,
                _curves(runs, overlaps, "au_pro", "AU-PRO"),
            )
        )
    return found


def _until_limit(rate: Any, overlap: Any) -> tuple[Any, Any]:
    """A PRO curve up to the limit of its area, the rate as a share of that limit."""
    inside = rate <= FPR_LIMIT
    at_limit = np.interp(FPR_LIMIT, rate, overlap)
    return np.append(rate[inside], FPR_LIMIT) / FPR_LIMIT, np.append(overlap[inside], at_limit)


def _curves(
    runs: Sequence[ComparedRun], drawn: Sequence[str], key: str, title: str
) -> tuple[OverlaidCurve, ...]:
    return tuple(
        OverlaidCurve(run.name, points, f"{title} {value(key, run.judged.values.get(key, math.nan))}")
        for run, points in zip(runs, drawn, strict=True)
    )


def costs(runs: Sequence[ComparedRun]) -> list[tuple[str, list[str]]]:
    """By what it is, each run's cost as written, a dash where it is not known."""
    titles = dict.fromkeys(title for run in runs for title in run.costs)
    return [(title, [_cost(run.costs.get(title, math.nan)) for run in runs]) for title in titles]


def _cost(number: float) -> str:
    """Three digits, whole numbers in full.

    >>> _cost(1234567.0), _cost(38.34), _cost(0.0123), _cost(math.nan)
    ('1,234,567', '38.3', '0.0123', '–')
    """
    if math.isnan(number):
        return "–"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def ordered(disputed: Sequence[tuple[ScoredImage, ...]]) -> list[tuple[ScoredImage, ...]]:
    """Defective images first, then good ones, then those without a label; by name."""
    rank = {True: 0, False: 1, None: 2}
    return sorted(disputed, key=lambda seen: (rank[seen[0].defective], seen[0].id))


def cards(
    disputed: Sequence[tuple[ScoredImage, ...]],
    runs: Sequence[ComparedRun],
    scales: Sequence[ColourScale],
    pages: Pages,
) -> Iterator[DisputedCard]:
    """The cards, each made when it is asked for."""
    most = room_for(len(disputed)) // (1 + len(runs))
    for number, seen in enumerate(disputed, start=1):
        photograph, truth = if_there(seen[0].photograph), if_there(seen[0].truth)
        maps = [if_there(image.score_map) for image in seen]
        shapes = [pixels.shape for pixels in (photograph, *maps) if pixels is not None]
        height, width = small_size(shapes[0] if shapes else (1, 1), pages.longest)
        small = None if photograph is None else shrink(photograph, pages.longest)
        yield DisputedCard(
            number,
            seen[0],
            width=width,
            height=height,
            photograph="" if small is None else jpeg_uri(small, pages.quality, most),
            truth=None if truth is None else regions(truth, pages.longest),
            sides=tuple(
                _side(run, image, scores, scale, pages.longest, most)
                for run, image, scores, scale in zip(runs, seen, maps, scales, strict=True)
            ),
        )


def _side(
    run: ComparedRun,
    image: ScoredImage,
    scores: NDArray[np.float32] | None,
    scale: ColourScale,
    longest: int,
    most: int,
) -> SideBySide:
    """most: characters of the map."""
    if scores is None:
        return SideBySide(run.name, image, outcome(image))
    valid = image.valid()
    above = scores > pixel_threshold(image, run.view.decisions[SCORER])
    marked = regions(above if valid is None else above & valid, longest)
    drawn = level_map_uri(scores, scale, (longest,), most)
    return SideBySide(run.name, image, outcome(image), drawn, marked)
