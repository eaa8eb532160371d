"""scores.csv read back: what a finished run said of every test image."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leatherens.core.errors import ArtifactError
from leatherens.ensembles.ensemble import ENSEMBLE

_LABELS = {"": None, "0": False, "1": True}


@dataclass(frozen=True, slots=True)
class ScoredLine:
    """One test image. scores: by scorer, the ensemble first; flagged: the verdict; colour: "" if unknown."""

    id: str
    defect: str
    defective: bool | None
    scores: Mapping[str, float]
    flagged: bool
    colour: str


def read_scored(path: Path) -> tuple[ScoredLine, ...]:
    """The lines in the order they were written; nine digits hold a float32 as it was."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines)
            scorers = header[header.index(ENSEMBLE) : header.index("calibrated")]
            return tuple(_line(dict(zip(header, cells, strict=True)), scorers) for cells in lines)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: missing") from None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from None
    except (KeyError, ValueError, StopIteration, csv.Error):
        raise ArtifactError(f"{path}: damaged, expected a line per image with its scores") from None


def _line(cells: Mapping[str, str], scorers: list[str]) -> ScoredLine:
    return ScoredLine(
        id=cells["image"],
        defect=cells["defect"],
        defective=_LABELS[cells["defective"]],
        scores={scorer: float(np.float32(cells[scorer])) for scorer in scorers},
        flagged={"0": False, "1": True}[cells["flagged"]],
        colour=cells.get("colour", ""),
    )
