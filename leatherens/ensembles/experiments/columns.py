"""The columns of each kind of experiment: what each reads of a result, and how it is shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from leatherens.ensembles.experiments.measuring import OWN, THEIRS
from leatherens.ensembles.experiments.plan import Kind
from leatherens.ensembles.experiments.results import Result
from leatherens.ensembles.experiments.rules import RULES
from leatherens.ensembles.experiments.setups import Setup

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


@dataclass(frozen=True, slots=True)
class Label:
    """What a line of a table is of, in words."""

    key: str
    title: str
    reads: Callable[[Result], str]


def _metric(key: str, title: str, **kept: int | bool) -> Column:
    return Column(key, title, lambda result: result.value("metrics", key), **kept)  # type: ignore[arg-type]


def _cut(key: str, title: str, whose: str) -> Column:
    name = key if whose == OWN else f"{key}_{whose}"
    return Column(name, title, lambda result: result.value(whose, key))


def _at_rule(rule: str) -> Column:
    return Column(f"accuracy_{rule}", rule, lambda result: result.value("rules", rule, "accuracy"))


def _counted(key: str, title: str) -> Column:
    return Column(f"{key}_counted", title, lambda result: result.value("counted", key))


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

SETUP = (
    *map(_at_rule, RULES),
    _metric("accuracy", "accuracy"),
    _metric("image_auroc", "image AUROC"),
    _metric("pixel_auroc", "pixel AUROC"),
    _metric("pro", "PRO"),
    _metric("iou", "IoU"),
    _metric("pixel_ap", "pixel AP"),
)
"""The line-clearance grid."""

MORE_OF_SETUP = (
    _metric("false_alarms", "false alarms"),
    _metric("image_ap", "image AP"),
    _metric("au_pro", "AU-PRO"),
    *(_counted(key, key) for key in ("pixel_auroc", "pro", "iou", "pixel_ap", "au_pro")),
)
"""In the CSV only."""

ENTRANT = Label("entrant", "", lambda result: result.cell.entrant.name)

STEPS = Label("steps", "steps", lambda result: "last" if result.cell.step is None else str(result.cell.step))

OF_SETUP = (
    Label("mask", "mask", lambda result: _setup(result).masking or "none"),
    Label("registration", "registration", lambda result: "on" if _setup(result).registered else "off"),
    STEPS,
    Label("rule", "rule taken", lambda result: str(result.content.get("rule", ""))),
)


def _setup(result: Result) -> Setup:
    setup = result.cell.entrant.setup
    assert setup is not None, "the entrants of this kind have one"
    return setup


def sections(kind: Kind) -> list[tuple[str, tuple[Column, ...]]]:
    """The tables of a kind, each with what stands above it."""
    if kind is Kind.members:
        return [("", SURVEY)]
    if kind is Kind.setup:
        return [("", SETUP)]
    if kind is Kind.within:
        return [("", thesis_columns(OWN))]
    if kind is Kind.joint:
        return [("T1 of all sets, T2 and T3 of the set tested on", thesis_columns(THEIRS, first=OWN))]
    return [
        ("thresholds of the set learned from", thesis_columns(OWN)),
        ("thresholds learned anew from the set tested on", thesis_columns(THEIRS)),
    ]


def everything(kind: Kind) -> tuple[Column, ...]:
    """The columns of the CSV."""
    if kind is Kind.setup:
        return (*SETUP, *MORE_OF_SETUP)
    found = (*thesis_columns(OWN), *thesis_columns(THEIRS), *MORE, *COMPLEXITY)
    return tuple({column.key: column for column in found}.values())
