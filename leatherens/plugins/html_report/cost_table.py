"""The table of what members cost, and what they share: the sum of rows is not the cost of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from leatherens.core.details import Costs, PartCost
from leatherens.core.listing import named
from leatherens.plugins.html_report.number_table import NumberTable
from leatherens.plugins.html_report.table import DASH, number, places

JOINT = "block, head and score fusion"

HEAD = ("", "ms per image", "parameters", "state, MB", "backbones", "backbones, MB", "time to fit")


@dataclass(frozen=True, slots=True)
class CostTable:
    """The table, sentences on the backbones that several members read, and where milliseconds come from."""

    table: NumberTable
    shared: tuple[str, ...]
    machine: str


def cost_table(costs: Costs | None, metrics: Mapping[str, Any]) -> CostTable | None:
    """The whole ensemble first; `None` by a run of an older version."""
    if costs is None:
        return None
    parts = [*costs.members.values(), *([costs.joint] if costs.joint else [])]
    timed = [part.seconds for part in parts]
    known = [seconds for seconds in timed if seconds is not None]
    whole = PartCost(
        parameters=sum(part.parameters for part in parts),
        disk_mb=sum(part.disk_mb for part in parts),
        backbones=tuple(costs.backbones),
        seconds=sum(known) if len(known) == len(timed) else None,
    )
    rows = [_row("ensemble", whole, costs, metrics["ensemble"].get("ms_per_image"))]
    for id, part in sorted(costs.members.items()):
        rows.append(_row(id, part, costs, metrics["members"].get(id, {}).get("ms_per_image")))
    if costs.joint is not None:
        rows.append(_row(JOINT, costs.joint, costs, None))
    return CostTable(
        NumberTable("what members cost", HEAD, tuple(rows)), tuple(_shared(costs)), costs.machine
    )


def _row(name: str, part: PartCost, costs: Costs, milliseconds: float | None) -> tuple[str, ...]:
    models = [costs.backbones[model] for model in part.backbones if model in costs.backbones]
    return (
        name,
        places(1)(milliseconds),
        counted_numbers(part.parameters + sum(model.parameters for model in models)),
        megabytes(part.disk_mb),
        ", ".join(part.backbones) or "none",
        megabytes(sum(model.mb for model in models)),
        duration(part.seconds),
    )


def _shared(costs: Costs) -> Iterable[str]:
    for model, cost in costs.backbones.items():
        readers = [id for id, part in sorted(costs.members.items()) if model in part.backbones]
        if len(readers) > 1:
            yield (
                f"{named(readers)} share {model} ({counted_numbers(cost.parameters)} parameters, "
                f"{megabytes(cost.mb)} MB): it is held once and runs once per image, so that their rows add "
                "up to more than the whole."
            )


def counted_numbers(count: int) -> str:
    """Three digits and a unit.

    >>> counted_numbers(950), counted_numbers(366_119), counted_numbers(41_373_796)
    ('950', '366 k', '41.4 M')
    """
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{number(count / size, 3)} {unit}"
    return str(count)


def megabytes(value: float) -> str:
    """Three digits, or all before the point.

    >>> megabytes(1.39988), megabytes(1234.5)
    ('1.4', '1234')
    """
    return number(value, 3) if value < 1000 else f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """As people say it.

    >>> duration(0.42), duration(75), duration(7300), duration(None)
    ('0.4 s', '1 min 15 s', '2 h 1 min', '–')
    """
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
