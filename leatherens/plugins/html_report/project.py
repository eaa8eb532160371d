"""The page of a project: what its views say of every part, and the worst parts from all sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from leatherens.core.reporting import ProjectView, ScoredImage, ScoredPart, ScoredView
from leatherens.core.views import Verdict
from leatherens.plugins.html_report.card import if_readable
from leatherens.plugins.html_report.pictures import Regions, jpeg_uri, regions, shrink, small_size
from leatherens.plugins.html_report.table import percent, places
from leatherens.plugins.html_report.verdict import FALSE_ALARM, MISSED, Outcome, observed, outcome, tally

INCOMPLETE = Outcome("incomplete", "a view is missing", "?")

_VIEW_COLUMNS = (
    ("image AUROC", "image_auroc", places(3)),
    ("pixel AUROC", "pixel_auroc", places(3)),
    ("AU-PRO", "au_pro", places(3)),
    ("F1", "image_f1", places(3)),
    ("false-alarm rate", "false_alarm_rate", percent),
)
_PART_COLUMNS = (
    ("AUROC", "part_auroc", places(3)),
    ("F1", "part_f1", places(3)),
    ("false-alarm rate", "false_alarm_rate", percent),
    ("missed", "missed_rate", percent),
)


@dataclass(frozen=True, slots=True)
class PartStudio:
    """How pictures are made: longest side in pixels, JPEG quality."""

    longest: int
    quality: int


@dataclass(frozen=True, slots=True)
class RankedPart:
    """One part in the table, and what its verdict was worth."""

    rank: int
    part: ScoredPart
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Panel:
    """One view of a part: nothing but its name where the view has no image.

    photograph: "" where it cannot be read; then `unreadable` says why.
    """

    view: str
    image: ScoredImage | None = None
    severity: float = float("nan")
    width: int = 1
    height: int = 1
    photograph: str = ""
    unreadable: str = ""
    predicted: Regions | None = None
    truth: Regions | None = None


@dataclass(frozen=True, slots=True)
class PartCard:
    """One part as shown, a panel for each view."""

    ranked: RankedPart
    panels: tuple[Panel, ...]


def project_content(project: ProjectView, studio: PartStudio, limit: int) -> dict[str, Any]:
    """Everything the page shows; the cards are made while it is written."""
    ranked = ranked_parts(project.parts)
    whole = [part for part in project.parts if not part.severities.missing]
    shown = chosen_parts(ranked, limit)
    views = project.metrics["views"]
    return {
        "project": project,
        "ranked": ranked,
        "whole": len(whole),
        "tally": tally(whole, "part"),
        "incomplete": [one for one in ranked if one.outcome is INCOMPLETE],
        "mistakes": {
            kind: found
            for kind in (MISSED, FALSE_ALARM)
            if (found := [one for one in ranked if one.outcome is kind])
        },
        "observed": observed(whole, project.promise),
        "view_headings": [heading for heading, _, _ in _VIEW_COLUMNS],
        "view_rows": [
            (view, [write(views[view.name]["images"][key]) for _, key, write in _VIEW_COLUMNS])
            for view in project.views
        ],
        "part_headings": [heading for heading, _, _ in _PART_COLUMNS],
        "part_rows": [
            *((f"{view.name} alone", _cells(views[view.name]["parts"])) for view in project.views),
            ("all views", _cells(project.metrics["parts"])),
        ],
        "shown": len(shown),
        "cards": cards(shown, project.views, studio),
        "pictured": {one.rank for one in shown},
    }


def ranked_parts(parts: Sequence[ScoredPart]) -> list[RankedPart]:
    """Parts with their rank from 1, the most severe first, equal ones by name."""
    ordered = sorted(parts, key=lambda part: (-part.severities.worst, part.id))
    return [RankedPart(rank, part, _outcome(part)) for rank, part in enumerate(ordered, start=1)]


def chosen_parts(ranked: Sequence[RankedPart], limit: int) -> list[RankedPart]:
    """At most `limit` parts, in rank order: mistakes first, then the most severe."""
    telling = sorted(ranked, key=lambda one: (one.outcome not in (MISSED, FALSE_ALARM), one.rank))
    return sorted(telling[:limit], key=lambda one: one.rank)


def cards(parts: Sequence[RankedPart], views: Sequence[ScoredView], studio: PartStudio) -> Iterator[PartCard]:
    """The cards, each made when it is asked for."""
    for one in parts:
        yield PartCard(one, tuple(_panel(one.part, view, studio) for view in views))


def _outcome(part: ScoredPart) -> Outcome:
    return INCOMPLETE if part.severities.verdict is Verdict.incomplete else outcome(part)


def _panel(part: ScoredPart, view: ScoredView, studio: PartStudio) -> Panel:
    image = part.images.get(view.name)
    if image is None:
        return Panel(view.name)
    scores = image.score_map()
    photograph, unreadable = if_readable(image.photograph)
    truth, _ = if_readable(image.truth)
    height, width = small_size(scores.shape if photograph is None else photograph.shape, studio.longest)
    return Panel(
        view.name,
        image,
        part.severities.by_view[view.name],
        width,
        height,
        "" if photograph is None else jpeg_uri(shrink(photograph, studio.longest), studio.quality),
        unreadable,
        predicted=regions(scores > view.decision.pixel, studio.longest),
        truth=None if truth is None else regions(truth, studio.longest),
    )


def _cells(row: dict[str, float]) -> list[str]:
    return [write(row[key]) for _, key, write in _PART_COLUMNS]
