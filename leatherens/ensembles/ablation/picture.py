"""Accuracy against cost: a point for every variant, and the line of those that nothing cheaper beats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leatherens.core.artifact import written_whole
from leatherens.ensembles.ablation.conclusions import TITLES
from leatherens.ensembles.ablation.plan import MEMBER, WHOLE
from leatherens.ensembles.ablation.results import Row

DRAWN = ("image_auroc", "au_pro")

LOOKS = {
    MEMBER: ("#1f6feb", "o", "member alone"),
    WHOLE: ("#d1242f", "*", "the recipe"),
    "mode": ("#8250df", "D", "mode"),
    "fusion": ("#bf8700", "s", "score fusion"),
    "head": ("#1a7f37", "^", "head"),
    "block": ("#1b7c83", "v", "block, components"),
    "without": ("#57606a", "x", "one left out"),
    "subset": ("#8c959f", ".", "subset"),
}
"""Colour, mark and title by what varies."""


def draw(path: Path, rows: Sequence[Row]) -> bool:
    """Write the picture as SVG; whether there was anything to draw."""
    panels = [metric for metric in DRAWN if any(_defined(row, metric) for row in rows)]
    if not panels:
        return False
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "leatherens", "font.size": 9}):
        figure = Figure(figsize=(6.2 * len(panels), 5), layout="constrained")
        for place, metric in enumerate(panels, start=1):
            axes = figure.add_subplot(1, len(panels), place)
            _panel(axes, [row for row in rows if _defined(row, metric)], metric)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(LOOKS), frameon=False)
        with written_whole(path) as beside:
            figure.savefig(beside, format="svg", metadata={"Date": None})
    return True


def _panel(axes: Any, rows: Sequence[Row], metric: str) -> None:
    for varies, (colour, mark, title) in LOOKS.items():
        shown = [row for row in rows if row.variant.varies == varies]
        if not shown:
            continue
        cost, value = [row.value("ms_per_image") for row in shown], [row.value(metric) for row in shown]
        size = {WHOLE: 170, MEMBER: 45}.get(varies, 28)
        axes.scatter(cost, value, c=colour, marker=mark, s=size, label=title, zorder=3)
        if varies in (MEMBER, WHOLE):
            spread = np.array([row.intervals[metric] for row in shown]).T
            lengths = np.abs(spread - value)
            axes.errorbar(
                cost, value, lengths, fmt="none", ecolor=colour, elinewidth=0.8, alpha=0.5, zorder=2
            )
        if varies == MEMBER:
            _name(axes, sorted(zip(cost, value, [row.variant.name for row in shown], strict=True)))
    best = frontier([(row.value("ms_per_image"), row.value(metric)) for row in rows])
    axes.step(*zip(*best, strict=True), where="post", color="#afb8c1", linewidth=1, zorder=1)
    axes.set(xscale="log", xlabel="milliseconds per image", ylabel=f"{TITLES[metric]} (95 % intervals)")
    axes.grid(alpha=0.25, which="both", linewidth=0.5)


def _name(axes: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """Names beside points, below and above in turn: members of equal cost and worth stand close together."""
    for number, (x, y, name) in enumerate(points):
        offset = (5, 4 if number % 2 else -9)
        axes.annotate(name, (x, y), xytext=offset, textcoords="offset points", fontsize=7)


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """(cost, value) of the points that no cheaper one equals, by rising cost.

    >>> frontier([(1, 0.5), (2, 0.4), (3, 0.9), (3, 0.7)])
    [(1, 0.5), (3, 0.9)]
    """
    kept: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or value > kept[-1][1]:
            kept.append((cost, value))
    return kept


def _defined(row: Row, metric: str) -> bool:
    return not np.isnan(row.value(metric)) and row.value("ms_per_image") > 0
