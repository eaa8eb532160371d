"""Reporters that each break one promise, named for their sin."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

from leatherens.core.artifact import write_text
from leatherens.core.comparison import ComparisonView
from leatherens.core.reporting import Reporter, RunView


class Listing(Reporter):
    """Keeps the contract: a line an image."""

    id = "listing"

    def write(self, run: RunView, folder: Path) -> Path:
        path = folder / "listing.txt"
        write_text(path, "\n".join(self.lines(run)))
        return path

    def lines(self, run: RunView) -> list[str]:
        return [f"{image.id} {image.photograph().shape} {image.flagged}" for image in run.images]


class WritesElsewhere(Listing):
    def write(self, run: RunView, folder: Path) -> Path:
        path = Path(gettempdir()) / "leatherens-listing.txt"
        path.write_text("elsewhere", encoding="utf-8")
        return path


class ReturnsText(Listing):
    def write(self, run: RunView, folder: Path) -> Any:
        return str(super().write(run, folder))


class WritesNothing(Listing):
    def lines(self, run: RunView) -> list[str]:
        return []


class CountsOnLabels(Listing):
    def lines(self, run: RunView) -> list[str]:
        wrong = sum(image.flagged != image.defective for image in run.images if image.defective is not None)
        return [f"{wrong / sum(image.defective is not None for image in run.images):.0%} wrong"]


class NamesItAnew(Listing):
    def lines(self, run: RunView) -> list[str]:
        return [str(uuid4()), *super().lines(run)]


class WritesLineByLine(Listing):
    def write(self, run: RunView, folder: Path) -> Path:
        path = folder / "listing.txt"
        with path.open("w", encoding="utf-8") as file:
            file.write(f"{run.name}\n")
            for image in run.images:
                file.write(f"{image.id} {image.photograph().shape}\n")
        return path


class ComparesElsewhere(Listing):
    def write_comparison(self, comparison: ComparisonView, folder: Path) -> Path:
        path = Path(gettempdir()) / "leatherens-comparison.txt"
        path.write_text("elsewhere", encoding="utf-8")
        return path
