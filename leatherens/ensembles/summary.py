"""The results of several runs side by side: a line for each category, then their means."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leatherens.core.errors import CategoriesFailed
from leatherens.core.metrics import DEFINITIONS
from leatherens.ensembles.ensemble import ENSEMBLE

COLUMNS = (
    ("image_auroc", "image AUROC"),
    ("pixel_auroc", "pixel AUROC"),
    ("pixel_ap", "pixel AP"),
    ("au_pro", "AU-PRO"),
    ("image_f1", "F1"),
    ("false_alarm_rate", "false alarms"),
    ("ms_per_image", "ms/image"),
)
"""The metrics that tables show, and their titles."""

Row = Mapping[str, float]
"""A scorer's metrics."""


def shown(metric: str, value: float | None) -> str:
    """A metric in a table's cell.

    >>> shown("au_pro", 0.98765), shown("ms_per_image", 12.3), shown("au_pro", None)
    ('0.988', '12', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.0f}" if metric == "ms_per_image" else f"{value:.3f}"


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of every category.

    measured: by category the content of its run's metrics.json. failures: the reasons of the others.
    """

    measured: Mapping[str, Mapping[str, Any]]
    failures: Mapping[str, str]

    @property
    def members(self) -> tuple[str, ...]:
        """The members of the ensemble, where it has several."""
        found = {member for content in self.measured.values() for member in content["members"]}
        return tuple(sorted(found)) if len(found) > 1 else ()

    def rows(self, scorer: str) -> dict[str, Row]:
        """A scorer's metrics by category; NaN where undefined."""
        contents = {name: _scorers(content) for name, content in self.measured.items()}
        return {name: found[scorer] for name, found in contents.items() if scorer in found}

    def mean(self, scorer: str) -> Row:
        """A scorer's metrics, each the mean over the categories where it is defined."""
        rows = self.rows(scorer).values()
        return {metric: _mean(row[metric] for row in rows) for metric in DEFINITIONS}

    def table(self) -> list[list[str]]:
        """The cells of the table, header first: categories, their mean, and that of each member alone."""
        rows: dict[str, Row] = {**self.rows(ENSEMBLE), **{name: {} for name in self.failures}}
        lines = [["", *(title for _, title in COLUMNS)]]
        lines += [[name, *_cells(row)] for name, row in sorted(rows.items())]
        if self.measured:
            lines.append([self._mean_title, *_cells(self.mean(ENSEMBLE))])
            lines += [[f"mean, {member} alone", *_cells(self.mean(member))] for member in self.members]
        return lines

    def require_whole(self, remedy: str) -> None:
        """Raise if a category was not made, with each reason once and what to do."""
        if not self.failures:
            return
        by_reason: dict[str, list[str]] = defaultdict(list)
        for category, reason in self.failures.items():
            by_reason[reason].append(category)
        told = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())
        total = len(self.measured) + len(self.failures)
        raise CategoriesFailed(
            f"{len(self.failures)} of {total} categories were not made: {told}. When the cause is mended, "
            f"{remedy}",
            failures=self.failures,
        )

    @property
    def _mean_title(self) -> str:
        total = len(self.measured) + len(self.failures)
        return f"mean of {len(self.measured)}" + (f" (of {total})" if self.failures else "")

    def notes(self) -> list[str]:
        """What the table does not show: means over fewer categories, and what failed."""
        rows = self.rows(ENSEMBLE)
        notes = []
        for metric, title in COLUMNS:
            defined = sum(not math.isnan(row[metric]) for row in rows.values())
            if 0 < defined < len(rows):
                notes.append(f"{title}: the mean is over the {defined} categories where it is defined")
        return notes + [f"{name} was not made: {reason}" for name, reason in self.failures.items()]

    def as_markdown(self) -> str:
        """The table and its notes, for a page."""
        header, *lines = self.table()
        rule = ["---", *("---:" for _ in header[1:])]
        text = "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))
        return text + "\n" + "".join(f"\n{note}\n" for note in self.notes())

    def as_csv(self) -> str:
        """A line for each category and scorer, then the means; empty where undefined."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["category", "scorer", *DEFINITIONS])
        writer.writerows(self._csv_lines())
        return text.getvalue()

    def _csv_lines(self) -> Iterator[list[str]]:
        scorers = (ENSEMBLE, *sorted({m for content in self.measured.values() for m in content["members"]}))
        for name in self.measured:
            yield from ([name, scorer, *_plain(self.rows(scorer)[name])] for scorer in scorers)
        if self.measured:
            yield from (["mean", scorer, *_plain(self.mean(scorer))] for scorer in scorers)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        scorers = (ENSEMBLE, *self.members)
        return {
            "categories": dict(self.measured),
            "mean": {scorer: self.mean(scorer) for scorer in scorers} if self.measured else {},
            "failures": dict(self.failures),
            "definitions": dict(DEFINITIONS),
        }


def _scorers(content: Mapping[str, Any]) -> dict[str, Row]:
    rows = {ENSEMBLE: content["ensemble"], **content["members"]}
    return {scorer: {m: _number(row.get(m)) for m in DEFINITIONS} for scorer, row in rows.items()}


def _number(value: float | None) -> float:
    """JSON has no NaN and holds null instead."""
    return math.nan if value is None else value


def _mean(values: Iterable[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _cells(row: Row) -> list[str]:
    return [shown(metric, row.get(metric)) for metric, _ in COLUMNS]


def _plain(row: Row) -> Sequence[str]:
    return ["" if math.isnan(row[metric]) else f"{row[metric]:.9g}" for metric in DEFINITIONS]
