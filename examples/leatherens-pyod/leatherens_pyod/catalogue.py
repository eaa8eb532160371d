"""Which detectors the installed PyOD has and which options they take, read from its files.

Importing all of `pyod.models` would need every optional package that one of its detectors needs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, util
from pathlib import Path
from typing import Any

from leatherens.core.errors import did_you_mean

BASES = {"BaseDetector", "BaseDeepLearningDetector"}
NOT_OF_ROWS = ("audio_", "base", "devnet", "embedding", "pyg_", "ts_", "xgbod")
"""Modules whose detectors want sound, text, graphs, time series or labels."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A detector: its module and the names of its options."""

    module: str
    options: tuple[str, ...]

    def load(self, name: str) -> Any:
        """The class, imported now."""
        return getattr(import_module(f"pyod.models.{self.module}"), name)


@lru_cache
def detectors() -> dict[str, Listed]:
    """Every detector of rows by class name, sorted."""
    spec = util.find_spec("pyod")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    files = [f for folder in folders for f in sorted((Path(folder) / "models").glob("*.py"))]
    found: dict[str, Listed] = {}
    for file in files:
        if not file.stem.startswith(NOT_OF_ROWS):
            found = dict(_in_file(file)) | found  # the first module that has a name keeps it
    return dict(sorted(found.items()))


def _in_file(file: Path) -> Iterator[tuple[str, Listed]]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and any(getattr(b, "id", "") in BASES for b in node.bases):
            yield node.name, Listed(file.stem, _options(node))


def _options(node: ast.ClassDef) -> tuple[str, ...]:
    made = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    if made is None:
        return ()
    return tuple(a.arg for a in (*made.args.args, *made.args.kwonlyargs) if a.arg != "self")


def known(name: str) -> Listed:
    """The detector of this class name; a `ValueError` with the nearest name where there is none."""
    listed = detectors()
    if name not in listed:
        by_small = {one.lower(): one for one in listed}
        near = by_small.get(name.lower())
        hint = f"; did you mean '{near}'?" if near else did_you_mean(name, listed)
        raise ValueError(f"pyod.models has no '{name}'{hint} (it has: {', '.join(listed) or 'nothing'})")
    return listed[name]
