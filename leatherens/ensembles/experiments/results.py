"""The cells of an experiment on disk: one file each, valid as long as its run and its images are the same."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leatherens.core.artifact import read_json, without_nan, write_json
from leatherens.ensembles.experiments.costs import Cost
from leatherens.ensembles.experiments.data_sets import DataSet
from leatherens.ensembles.experiments.plan import Cell
from leatherens.ensembles.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Result:
    """A cell and what became of it; problem: why there is nothing, in words, empty if there is."""

    cell: Cell
    content: Mapping[str, Any]
    cost: Cost | None = None
    problem: str = ""

    def value(self, *path: str) -> float:
        """A number in the content; NaN where it is undefined or missing."""
        found: Any = self.content
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return math.nan if found is None else float(found)


def mark_of(run: RunFolder, tested: DataSet) -> str:
    """Changes with what the run learned from and how, and with the images it is tested on."""
    facts = run.facts()
    jobs = {job: list(ids) for job, ids in tested.splits.jobs().items()}
    text = json.dumps([facts.data_fingerprint, facts.recipe_fingerprint, tested.data.root, jobs])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write_marked(path: Path, mark: str, content: Mapping[str, Any]) -> None:
    """Write what was measured."""
    write_json(path, without_nan({"mark": mark, **content}))


def read_marked(path: Path, mark: str) -> Mapping[str, Any] | None:
    """What a file holds, unless it is missing or was measured on something else."""
    if not path.exists():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("mark", None) != mark:
        return None
    return content
