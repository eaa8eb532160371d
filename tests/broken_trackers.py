"""Trackers that each break one promise, named for their sin."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from leatherens.core.hookspecs import hookimpl
from leatherens.core.tracking import Tracker


class Diary(Tracker):
    """Keeps the contract: a line a hook, in a file of its own."""

    id = "diary"

    @hookimpl
    def run_started(self, folder: Path, recipe: Mapping[str, Any], resumed: bool) -> None:
        self._file = folder / self.id / "diary.jsonl"
        self._file.parent.mkdir(exist_ok=True)
        self.note("started", members=sorted(recipe["members"]), resumed=resumed)

    @hookimpl
    def epoch_ended(self, member: str, task: str, step: int, losses: Sequence[float]) -> None:
        self.note("epoch", member=member, task=task, step=step, losses=list(losses))

    @hookimpl
    def run_finished(self, metrics: Mapping[str, Any], report: Path | None) -> None:
        self.note("finished", metrics=metrics["ensemble"], report=report and report.name)

    @hookimpl
    def run_stopped(self, reason: str) -> None:
        self.note("stopped", reason=reason)

    def note(self, what: str, **facts: Any) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, **facts}) + "\n")


class Misspells(Diary):
    @hookimpl
    def run_finnished(self, metrics: Mapping[str, Any]) -> None: ...


class ForgetsTheMarker(Diary):
    def member_fitted(self, member: str) -> None: ...


class WantsMore(Diary):
    @hookimpl
    def member_fitted(self, member: str, colour: str) -> None: ...


class SeedsEverything(Diary):
    @hookimpl
    def member_fitted(self, member: str) -> None:
        torch.manual_seed(0)


class FillsADatabaseAnew(Diary):
    @hookimpl
    def run_started(self, folder: Path) -> None:  # type: ignore[override]
        self._file = folder / self.id / "diary.jsonl"
        self._file.parent.mkdir()


class CountsOnMetrics(Diary):
    @hookimpl
    def run_finished(self, metrics: Mapping[str, Any]) -> None:  # type: ignore[override]
        self.note("finished", auroc=round(metrics["ensemble"]["image_auroc"], 3))


class LittersTheRun(Diary):
    @hookimpl
    def run_started(self, folder: Path) -> None:  # type: ignore[override]
        self._file = folder / "diary.jsonl"


class NotInstalled(Diary):
    """Keeps the contract where its package is there; it is not."""

    id = "not-installed"
    needs = {"a_package_of_nobody": "leatherens-nobody"}  # noqa: RUF012
