"""Threshold rules side by side, as a table on the terminal and as plain values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli.table import print_table
from leatherens.core.listing import counted

if TYPE_CHECKING:
    from leatherens.ensembles.comparing_rules import Comparison, RuleRow


def print_comparison(found: Comparison) -> None:
    """A line for each rule, what the columns rest on, and what is in force."""
    columns = [*_LEARNED, *(_MEASURED if found.labelled else ())]
    lines: list[Sequence[str]] = [["", *(title for title, _ in columns)]]
    lines += [[f"{_mark(row, found)} {row.id}", *(said(row) for _, said in columns)] for row in found.rows]
    print_table(lines)
    images, pixels = found.in_force
    click.echo(f"in force (*): {images}" + (f" for images, {pixels} for pixels" if pixels != images else ""))
    for note in _notes(found):
        click.echo(f"note: {note}")


def as_content(found: Comparison) -> dict[str, Any]:
    """Plain values: the rules by their ids."""
    images, pixels = found.in_force
    return {
        "in_force": {"images": images, "pixels": pixels},
        "across_folds": found.crossed,
        "images": {
            "held_out_good": found.good,
            "test_good": found.tested,
            "labelled": found.labelled,
            "labelled_defective": found.defective,
        },
        "rules": {
            row.id: {key: value for key, value in asdict(row).items() if key != "id"} for row in found.rows
        },
        "definitions": DEFINITIONS,
    }


def _mark(row: RuleRow, found: Comparison) -> str:
    return "*" if row.id in found.in_force else " "


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{100 * value:.3g} %"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


_LEARNED: Sequence[tuple[str, Callable[[RuleRow], str]]] = (
    ("image", lambda row: _number(row.image)),
    ("promised", lambda row: _percent(row.promise)),
    ("held-out flagged", lambda row: _percent(row.held_out)),
    ("test good flagged", lambda row: _percent(row.tested)),
    ("pixel", lambda row: _number(row.pixel)),
    ("good pixels marked", lambda row: _percent(row.good_pixels)),
)
_MEASURED: Sequence[tuple[str, Callable[[RuleRow], str]]] = (
    ("recall", lambda row: _share(row.recall)),
    ("F1", lambda row: _share(row.f1)),
    ("IoU", lambda row: _share(row.iou)),
)

DEFINITIONS = {
    "image": "Image threshold learned from all held-out good images (and labels); defective is score > it.",
    "pixel": "Pixel threshold learned from all of them; marked is score > it.",
    "promise": "False-alarm rate on fresh good images that the rule promises.",
    "held_out": "Share of held-out good images flagged, each by what the rule learns from the others.",
    "tested": "Share of the run's good test images flagged; no rule learned from them.",
    "good_pixels": "Share of held-out good images' pixels marked, by what the rule learns from other images "
    "(5 folds).",
    "recall": "Share of the labelled defective images flagged; rules that learn from labels are learned from "
    "the other folds (at most 5).",
    "f1": "F1 of labelled images, in the same folds.",
    "iou": "TP / (TP + FP + FN) of the pooled pixels of labelled images whose defects are marked, in the "
    "same folds.",
}


def _notes(found: Comparison) -> list[str]:
    notes = [
        f"held-out flagged: {counted(found.good, 'good image')}, each judged by what the others teach; "
        "pixels in 5 folds",
    ]
    if found.crossed:
        notes.append("the good images were scored across folds: what is promised is measured, not guaranteed")
    if found.tested:
        notes.append(f"test good flagged: {counted(found.tested, 'good test image')}")
    if found.labelled:
        good = found.labelled - found.defective
        notes.append(
            f"recall, F1, IoU: {counted(found.labelled, 'labelled image')} ({good} good, {found.defective} "
            "defective); what learns from labels is judged in folds"
        )
    else:
        notes.append("no labelled images: recall, F1 and IoU need --labelled DIR")
    return [*notes, *(remark for row in found.rows for remark in row.remarks)]
