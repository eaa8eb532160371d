"""The rows of an ablation: a line each as soon as it is finished, and the tables made of them in the end."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leatherens.configs.recipe import Mode
from leatherens.core.artifact import without_nan, write_text
from leatherens.core.bootstrap import interval
from leatherens.core.errors import ArtifactError
from leatherens.core.score_counts import FloatArray
from leatherens.ensembles.ablation.measuring import RESAMPLED, Measured
from leatherens.ensembles.ablation.plan import Variant

METRICS = ("image_auroc", "pixel_ap", "au_pro", "false_alarm_rate")
"""The metrics of the table, in its order; milliseconds follow."""

DIGITS = 6
"""Of a resampled value, so that a variant is the same when it is read back."""


@dataclass(frozen=True, slots=True)
class Row:
    """A variant and what became of it; problem: why it could not be made, in words, empty if it could."""

    variant: Variant
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    resampled: Mapping[str, FloatArray]
    problem: str = ""

    def value(self, metric: str) -> float:
        """A metric; NaN where it is undefined."""
        return self.metrics.get(metric, float("nan"))

    def parts(self) -> dict[str, str]:
        """What is fused how, in plain words; empty where nothing is."""
        recipe, mode = self.variant.recipe, self.variant.mode
        featured = mode is not Mode.score
        voters = (len(recipe.members) if mode is not Mode.feature else 0) + featured
        components = recipe.block.options.get("components")
        return {
            "block": recipe.block.id if featured else "",
            "components": str(components) if featured and components is not None else "",
            "head": recipe.head.id if featured else "",
            "score_fusion": recipe.score_fusion.id if voters > 1 else "",
        }


def made(variant: Variant, measured: Measured) -> Row:
    """The row of a measured variant."""
    rounded = {name: np.round(values, DIGITS) for name, values in measured.resampled.items()}
    ends = {name: interval(values) for name, values in rounded.items()}
    return Row(variant, measured.metrics, ends, rounded)


def failed(variant: Variant, problem: str) -> Row:
    """The row of a variant that could not be made."""
    return Row(variant, {}, {}, {}, problem)


@dataclass(frozen=True, slots=True)
class Finished:
    """The file of finished variants: one JSON line each, so that an interruption loses at most one."""

    path: Path

    def add(self, row: Row) -> None:
        """Append a row; those that failed are tried again another time."""
        if row.problem:
            return
        resampled = {name: values.tolist() for name, values in row.resampled.items()}
        line = {"key": row.variant.key, "metrics": dict(row.metrics), "resampled": resampled}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(without_nan(line)) + "\n")
        except OSError as error:
            raise ArtifactError(
                f"{self.path}: cannot be written ({error.strerror}); free some space or choose another --out"
            ) from error

    def rows(self, variants: Sequence[Variant]) -> dict[str, Row]:
        """By key, the rows of these variants that are there; a line that an interruption cut is dropped."""
        if not self.path.exists():
            return {}
        whole = self.path.read_text(encoding="utf-8").rpartition("\n")[0]
        write_text(self.path, whole + "\n" if whole else "")
        lines = {line["key"]: line for line in map(json.loads, whole.splitlines())}
        return {v.key: _row(v, lines[v.key]) for v in variants if v.key in lines}


def _row(variant: Variant, line: Mapping[str, Any]) -> Row:
    def number(value: float | None) -> float:
        return float("nan") if value is None else value

    metrics = {name: number(value) for name, value in line["metrics"].items()}
    resampled = {name: np.array([number(v) for v in values]) for name, values in line["resampled"].items()}
    return made(variant, Measured(metrics, resampled))


def row_content(row: Row) -> dict[str, Any]:
    """A row as plain values."""
    variant = row.variant
    return {
        "varies": variant.varies,
        "variant": variant.name,
        "members": list(variant.members),
        "mode": variant.mode.value,
        **row.parts(),
        **{name: row.value(name) for name in (*METRICS, "ms_per_image")},
        "intervals": {name: list(ends) for name, ends in row.intervals.items()},
        "problem": row.problem,
    }


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line a variant; each metric followed by the ends of its interval."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    parts = ("block", "components", "head", "score_fusion")
    measured = [column for name in RESAMPLED for column in (name, f"{name}_low", f"{name}_high")]
    writer.writerow(["varies", "variant", "members", "mode", *parts, *measured, "ms_per_image", "problem"])
    for row in rows:
        content, kept = row_content(row), row.parts()
        numbers = [
            v for name in RESAMPLED for v in (row.value(name), *row.intervals.get(name, (np.nan,) * 2))
        ]
        writer.writerow(
            [
                *(content[key] for key in ("varies", "variant")),
                "+".join(content["members"]),
                content["mode"],
                *(kept[key] for key in parts),
                *("" if np.isnan(v) else f"{v:.6g}" for v in (*numbers, row.value("ms_per_image"))),
                row.problem,
            ]
        )
    write_text(path, text.getvalue())
