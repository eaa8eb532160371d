"""The results of each kind of experiment as CSV and Markdown.

The Markdown has the tables of the theses column by column, in percent; the CSV has everything.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from leatherens.ensembles.experiments.columns import (
    COMPLEXITY,
    ENTRANT,
    OF_SETUP,
    STEPS,
    Column,
    Label,
    everything,
    sections,
)
from leatherens.ensembles.experiments.plan import Kind
from leatherens.ensembles.experiments.results import Result


def markdown(kind: Kind, results: Sequence[Result]) -> str:
    """All tables of one kind: by what was learned and tested, then what it costs."""
    blocks = [
        f"### {title}\n\n{_table(columns, group, _labels(kind, group))}"
        for name, group in _tables(kind, results).items()
        for above, columns in sections(kind)
        for title in [f"{name}, {above}" if above else name]
    ]
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


def _tables(kind: Kind, results: Sequence[Result]) -> dict[str, list[Result]]:
    """The results of each table, by its title: of a grid one for each set of members."""
    found: dict[str, list[Result]] = {}
    for (trained, tested), group in _by_pair(results):
        for result in group:
            of = f"{result.cell.entrant.members} on {tested}" if kind is Kind.setup else ""
            found.setdefault(of or f"Learned from {trained}, tested on {tested}", []).append(result)
    return found


def _labels(kind: Kind, results: Sequence[Result]) -> tuple[Label, ...]:
    """What the lines are told apart by; steps where there are checkpoints."""
    if kind is not Kind.setup:
        return (ENTRANT,)
    kept = any(result.cell.step is not None for result in results)
    return tuple(label for label in OF_SETUP if kept or label is not STEPS)


def _by_pair(results: Iterable[Result]) -> list[tuple[tuple[str, str], list[Result]]]:
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        found.setdefault((result.cell.trained.name, result.cell.tested.name), []).append(result)
    return list(found.items())


def _table(columns: Sequence[Column], results: Sequence[Result], labels: Sequence[Label] = (ENTRANT,)) -> str:
    """The results that were made, the best of each percentage in bold."""
    made = [result for result in results if not result.problem]
    best = {column.key: _best(column, made) for column in columns if column.percent}
    lines = [
        _line([label.title for label in labels] + [column.title for column in columns]),
        "|---" * (len(labels) + len(columns)) + "|",
    ]
    for result in made:
        cells = [column.shown(result) for column in columns]
        cells = [
            f"**{cell}**" if best.get(column.key) == column.reads(result) else cell
            for cell, column in zip(cells, columns, strict=True)
        ]
        lines.append(_line([*(label.reads(result) for label in labels), *cells]))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def _best(column: Column, results: Sequence[Result]) -> float:
    """The highest, unless there is nothing to choose."""
    values = {value for result in results if not math.isnan(value := column.reads(result))}
    return max(values) if len(values) > 1 else math.nan


def as_csv(results: Sequence[Result], kind: Kind = Kind.within) -> str:
    """A line for each cell with every number there is, as shares, not percent."""
    columns, labels = everything(kind), OF_SETUP if kind is Kind.setup else ()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys = [part.key for part in (*labels, *columns)]
    writer.writerow(["learned_from", "tested_on", "entrant", *keys, "problem"])
    for result in results:
        cell = result.cell
        values = [column.reads(result) for column in columns]
        numbers = ["" if math.isnan(value) else f"{value:.6g}" for value in values]
        told = [label.reads(result) for label in labels]
        named = cell.entrant.name if kind is not Kind.setup else cell.entrant.members
        writer.writerow([cell.trained.name, cell.tested.name, named, *told, *numbers, result.problem])
    return text.getvalue()
