"""Image scores of another tool, from a CSV file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from leatherens.core.errors import InputError
from leatherens.core.reading import Sample
from leatherens.core.referee.pairing import keys_of
from leatherens.core.texts import read_text

NAMES = ("score", "ensemble")
"""Columns that hold scores; the second is what a run's `scores.csv` calls them."""


def read_image_scores(path: Path, samples: Sequence[Sample]) -> dict[str, float]:
    """By image id, from the columns `image` and `score`; an `InputError` names the line or the first lacking.

    An image may be called as its map may: with or without leading folders and suffix.
    """
    lines = list(csv.DictReader(io.StringIO(read_text(path)[0])))
    columns = list(lines[0]) if lines else []
    column = next((name for name in NAMES if name in columns), None)
    if "image" not in columns or column is None:
        told = ", ".join(map(str, columns)) or "none"
        raise InputError(f"{path}: expected the columns image and score, got {told}")
    scores = {}
    for number, line in enumerate(lines, start=2):
        scores[str(line["image"])] = _number(path, number, line[column])
    return {sample.id: _score_of(path, sample, scores) for sample in samples}


def _number(path: Path, line: int, cell: str | None) -> float:
    try:
        score = float(cell or "")
    except ValueError:
        score = float("nan")
    if math.isnan(score):
        raise InputError(f"{path}: line {line}: expected a number as score, got '{cell or ''}'")
    return score


def _score_of(path: Path, sample: Sample, scores: Mapping[str, float]) -> float:
    found = next((scores[key] for key in keys_of(sample.id) if key in scores), None)
    if found is None:
        raise InputError(f"{path}: no score for {sample.id}; give every image that is measured a line")
    return found
