"""Every entrant as a line of dots: image and pixel AUROC, a panel for each set learned from and tested on.

Of a grid of set-ups a line for each of them, in its order and with accuracy, a panel for each detector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leatherens.core.artifact import written_whole
from leatherens.ensembles.experiments.results import Result

DOTS = (("image_auroc", "#1f6feb", "o", "image AUROC"), ("pixel_auroc", "#bf8700", "D", "pixel AUROC"))
"""Metric, colour, mark and title."""

OF_SETUP = (("accuracy", "#1a7f37", "s", "accuracy"), *DOTS)


def draw(path: Path, results: Sequence[Result]) -> bool:
    """Write the picture as SVG; whether there was anything to draw."""
    panels: dict[str, list[Result]] = {}
    for result in results:
        if not result.problem:
            panels.setdefault(_title(result), []).append(result)
    if not panels:
        return False
    import matplotlib
    from matplotlib.figure import Figure

    tallest = max(map(len, panels.values()))
    with matplotlib.rc_context({"svg.hashsalt": "leatherens", "font.size": 9}):
        figure = Figure(figsize=(4.6 * len(panels), 1.4 + 0.24 * tallest), layout="constrained")
        for place, (title, shown) in enumerate(panels.items(), start=1):
            _panel(figure.add_subplot(1, len(panels), place), title, shown)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), frameon=False)
        with written_whole(path) as beside:
            figure.savefig(beside, format="svg", metadata={"Date": None})
    return True


def _title(result: Result) -> str:
    cell = result.cell
    if cell.entrant.setup is not None:
        return f"{cell.entrant.members}\n{cell.tested.name}"
    return f"{cell.trained.name}\n→ {cell.tested.name}"


def _name(result: Result) -> str:
    """What stands beside a line."""
    setup, step = result.cell.entrant.setup, result.cell.step
    if setup is None:
        return result.cell.entrant.name
    return setup.title if step is None else f"{setup.title}, {step} steps"


def _panel(axes: Any, title: str, results: Sequence[Result]) -> None:
    """One line an entrant, the best at the top; one a set-up, the first at the top."""
    grid = results[0].cell.entrant.setup is not None
    by_worth = sorted(results, key=lambda result: _sortable(result.value("metrics", "image_auroc")))
    ordered = list(reversed(results)) if grid else by_worth
    lines = range(len(ordered))
    for metric, colour, mark, name in OF_SETUP if grid else DOTS:
        axes.scatter(
            [result.value("metrics", metric) for result in ordered],
            lines,
            c=colour,
            marker=mark,
            s=26,
            label=name,
            zorder=3,
        )
    axes.set_yticks(lines, [_name(result) for result in ordered])
    axes.axvline(0.5, color="#afb8c1", linewidth=1)
    axes.set_title(title, fontsize=9)
    axes.set_xlim(right=1.01)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.grid(alpha=0.25, linewidth=0.5)


def _sortable(value: float) -> float:
    return -1.0 if math.isnan(value) else value
