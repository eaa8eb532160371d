"""The columns of each kind of experiment, and its results as CSV and Markdown.

The Markdown has the tables of the leather thesis column by column, in percent; the CSV has everything.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from leatherens.ensembles.experiments.measuring import OWN, THEIRS
from leatherens.ensembles.experiments.plan import Kind
from leatherens.ensembles.experiments.results import Result

Reads = Callable[[Result], float]


@dataclass(frozen=True, slots=True)
class Column:
    """One number of a result. percent: shown so in Markdown; digits: after the point there."""

    key: str
    title: str
    reads: Reads
    percent: bool = True
    digits: int = 1

    def shown(self, result: Result) -> str:
        """The number as text; a dash where it is undefined."""
        value = self.reads(result) * (100 if self.percent else 1)
        return "–" if math.isnan(value) else f"{value:.{self.digits}f}"


def _metric(key: str, title: str, **kept: int | bool) -> Column:
    return Column(key, title, lambda result: result.value("metrics", key), **kept)  # type: ignore[arg-type]


def _cut(key: str, title: str, whose: str) -> Column:
    name = key if whose == OWN else f"{key}_{whose}"
    return Column(name, title, lambda result: result.value(whose, key))


def _cost(key: str, title: str, digits: int, scale: float = 1.0) -> Column:
    def reads(result: Result) -> float:
        value = None if result.cost is None else getattr(result.cost, key)
        return math.nan if value is None else value * scale

    return Column(key, title, reads, percent=False, digits=digits)


def thesis_columns(whose: str, *, first: str | None = None) -> tuple[Column, ...]:
    """Localisation, then detection; `whose` images the thresholds come from, T1 apart if `first` says so."""
    t1 = whose if first is None else first
    return (
        _cut("iou_t1", "IoU T1", t1),
        _cut("iou_t2", "IoU T2", whose),
        _cut("pro_t1", "PRO T1", t1),
        _cut("pro_t2", "PRO T2", whose),
        _metric("pixel_auroc", "pixel AUROC"),
        _cut("f1_t1", "F1 T1", t1),
        _cut("f1_t3", "F1 T3", whose),
        _metric("image_auroc", "image AUROC"),
    )


COMPLEXITY = (
    _cost("ms_per_image", "inference ms", 1),
    _cost("images_per_second", "images/s", 1),
    _cost("peak_mb", "memory MB", 0),
    _cost("parameters", "parameters M", 2, 1e-6),
    _cost("disk_mb", "on disk MB", 1),
)

SURVEY = (
    _metric("image_auroc", "image AUROC"),
    _metric("pixel_auroc", "pixel AUROC"),
    _metric("au_pro", "AU-PRO"),
    _metric("pixel_ap", "pixel AP"),
    *COMPLEXITY,
)

MORE = (
    _metric("image_ap", "image AP"),
    _metric("pixel_ap", "pixel AP"),
    _metric("au_pro", "AU-PRO"),
    _cut("false_alarms", "false alarms", OWN),
    _cut("promise", "promised", OWN),
    _cut("false_alarms", "false alarms", THEIRS),
    _cut("promise", "promised", THEIRS),
)
"""What the thesis does not have; in the CSV only."""


def sections(kind: Kind) -> list[tuple[str, tuple[Column, ...]]]:
    """The tables of a kind, each with what stands above it."""
    if kind is Kind.members:
        return [("", SURVEY)]
    if kind is Kind.within:
        return [("", thesis_columns(OWN))]
    if kind is Kind.joint:
        return [("T1 of all sets, T2 and T3 of the set tested on", thesis_columns(THEIRS, first=OWN))]
    return [
        ("thresholds of the set learned from", thesis_columns(OWN)),
        ("thresholds learned anew from the set tested on", thesis_columns(THEIRS)),
    ]


def markdown(kind: Kind, results: Sequence[Result]) -> str:
    """All tables of one kind: by what was learned and tested, then what it costs."""
    blocks = []
    for (trained, tested), group in _by_pair(results):
        for above, columns in sections(kind):
            told = f", {above}" if above else ""
            blocks.append(f"### {_of(trained, tested)}{told}\n\n{_table(columns, group)}")
    if kind is not Kind.members:
        blocks += [
            f"### Complexity on {tested}\n\n{_table(COMPLEXITY, group)}"
            for (trained, tested), group in _by_pair(results)
            if any(result.cost for result in group)
        ]
    problems = [f"- {r.cell.entrant.name}, {r.cell.trained.name}: {r.problem}" for r in results if r.problem]
    if problems:
        blocks.append("### Not made\n\n" + "\n".join(dict.fromkeys(problems)))
    return "\n\n".join(blocks) + "\n"


def _of(trained: str, tested: str) -> str:
    return f"Learned from {trained}, tested on {tested}"


def _by_pair(results: Iterable[Result]) -> list[tuple[tuple[str, str], list[Result]]]:
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        found.setdefault((result.cell.trained.name, result.cell.tested.name), []).append(result)
    return list(found.items())


def _table(columns: Sequence[Column], results: Sequence[Result]) -> str:
    """The results that were made, the best of each percentage in bold."""
    made = [result for result in results if not result.problem]
    best = {column.key: _best(column, made) for column in columns if column.percent}
    lines = [
        "| | " + " | ".join(column.title for column in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for result in made:
        cells = [column.shown(result) for column in columns]
        cells = [
            f"**{cell}**" if best.get(column.key) == column.reads(result) else cell
            for cell, column in zip(cells, columns, strict=True)
        ]
        lines.append(f"| {result.cell.entrant.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _best(column: Column, results: Sequence[Result]) -> float:
    values = [value for result in results if not math.isnan(value := column.reads(result))]
    return max(values, default=math.nan) if len(values) > 1 else math.nan


def as_csv(results: Sequence[Result]) -> str:
    """A line for each cell with every number there is, as shares, not percent."""
    columns = list(
        {c.key: c for c in (*thesis_columns(OWN), *thesis_columns(THEIRS), *MORE, *COMPLEXITY)}.values()
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["learned_from", "tested_on", "entrant", *(c.key for c in columns), "problem"])
    for result in results:
        cell = result.cell
        values = [column.reads(result) for column in columns]
        numbers = ["" if math.isnan(value) else f"{value:.6g}" for value in values]
        writer.writerow([cell.trained.name, cell.tested.name, cell.entrant.name, *numbers, result.problem])
    return text.getvalue()
