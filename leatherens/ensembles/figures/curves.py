"""Curves of a run for print: ROC, precision-recall, PRO, IoU over the threshold; and the score histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leatherens.core.judged_run import SCORER, JudgedRun
from leatherens.core.metrics import FPR_LIMIT, image_ap, image_auroc, precision_recall_curve, roc_curve
from leatherens.core.reporting import RunView, ScoredImage
from leatherens.ensembles.figures.limits import Limit
from leatherens.ensembles.figures.style import BLACK, BLUE, COLUMN, LINES, VERMILION, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT = 2.7
BINS = 30

Floats = NDArray[np.float64]
Scorers = dict[str, tuple[Floats, NDArray[np.bool_]]]
"""By scorer the scores (n,) and labels (n,) of the labelled images."""


def labelled_scores(view: RunView) -> Scorers:
    """Every scorer's, the ensemble first; a single member that is the ensemble is left out."""
    images = [image for image in view.images if image.defective is not None]
    labels = np.array([image.defective for image in images], dtype=np.bool_)
    scorers = sorted(view.images[0].scores, key=lambda scorer: (scorer != SCORER, scorer)) if images else []
    if len(scorers) == 2:
        scorers = [SCORER]
    return {s: (np.array([image.scores[s] for image in images], dtype=np.float64), labels) for s in scorers}


def roc(view: RunView, scorers: Scorers) -> Figure:
    """Defective images found over good images flagged."""
    figure, axes = _square("false-positive rate", "true-positive rate")
    axes.plot([0, 1], [0, 1], color="#888888", linestyle=":", linewidth=0.8)
    for (scorer, (scores, labels)), (colour, dashes) in zip(scorers.items(), _lines(scorers), strict=True):
        label = f"{_name(view, scorer, scorers)} ({image_auroc(scores, labels):.3f})"
        axes.plot(*roc_curve(scores, labels), color=colour, linestyle=dashes, label=label)
    _legend(axes, "lower right", "AUROC")
    return figure


def precision_recall(view: RunView, scorers: Scorers) -> Figure:
    """Precision over recall, in the steps whose area is the average precision."""
    figure, axes = _square("recall", "precision")
    for (scorer, (scores, labels)), (colour, dashes) in zip(scorers.items(), _lines(scorers), strict=True):
        precision, recall = precision_recall_curve(scores, labels)
        label = f"{_name(view, scorer, scorers)} ({image_ap(scores, labels):.3f})"
        axes.step(recall, precision, where="pre", color=colour, linestyle=dashes, label=label)
    _legend(axes, "lower left", "AP")
    return figure


def pro(judged: JudgedRun) -> Figure:
    """Mean overlap with the defect regions over the false-positive rate of good pixels."""
    figure, axes = _square("false-positive rate of good pixels", "mean overlap with the defects (PRO)")
    rate, overlap = judged.pro_curve
    axes.plot(rate, overlap, color=BLACK, label=f"AU-PRO {judged.values['au_pro']:.3f}")
    inside = rate <= FPR_LIMIT
    x = np.append(rate[inside], FPR_LIMIT)
    y = np.append(overlap[inside], np.interp(FPR_LIMIT, rate, overlap))
    axes.fill_between(x, y, color=BLUE, alpha=0.15, linewidth=0)
    axes.axvline(FPR_LIMIT, color="#888888", linestyle=":", linewidth=0.8)
    _legend(axes, "lower right", None)
    return figure


def iou_over_threshold(judged: JudgedRun, limits: Sequence[Limit]) -> Figure:
    """IoU of pooled pixels over the pixel threshold, and where the thresholds lie."""
    figure = new_figure(COLUMN, HEIGHT)
    axes = figure.add_subplot()
    thresholds, values = judged.iou_curve
    wanted = thresholds[np.flatnonzero(values > 0.01 * np.nanmax(values))]
    known = [limit.value for limit in limits]
    low, high = min([float(wanted.min()), *known]), max([float(wanted.max()), *known])
    axes.plot(thresholds, values, color=BLACK)
    for limit, (colour, dashes) in zip(limits, LINES[1:], strict=False):
        axes.axvline(limit.value, color=colour, linestyle=dashes, linewidth=1, label=limit.name)
    margin = 0.03 * (high - low) or 1.0
    axes.set(xlabel="pixel threshold", ylabel="IoU", xlim=(low - margin, high + margin), ylim=(0, None))
    axes.grid()
    _legend(axes, "best", None)
    return figure


def score_histogram(images: Sequence[ScoredImage], threshold: float) -> Figure:
    """How many good and defective images have which score; bars are outlined and hatched for grey print."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(COLUMN, HEIGHT)
    axes = figure.add_subplot()
    everything = np.array([image.scores[SCORER] for image in images])
    ends = [*everything, threshold] if math.isfinite(threshold) else [*everything]
    low, high = min(ends), max(ends)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1).tolist()
    looks = (
        (False, "good", BLUE, ""),
        (True, "defective", VERMILION, "////"),
        (None, "no label", "#888888", ".."),
    )
    for label, name, colour, hatch in looks:
        found = [image.scores[SCORER] for image in images if image.defective is label]
        if found:
            axes.hist(
                found,
                edges,
                histtype="stepfilled",
                facecolor=(colour, 0.3),
                edgecolor=colour,
                hatch=hatch,
                label=f"{name} ({len(found)})",
            )
    if math.isfinite(threshold):
        axes.axvline(threshold, color=BLACK, linestyle="--", linewidth=1, label="threshold")
    axes.set(xlabel="image score", ylabel="images")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    _legend(axes, "best", None)
    return figure


def _square(x: str, y: str) -> tuple[Figure, Any]:
    figure = new_figure(COLUMN, HEIGHT)
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.grid()
    return figure, axes


def _lines(scorers: Scorers) -> list[tuple[str, str]]:
    return [LINES[number % len(LINES)] for number in range(len(scorers))]


def _name(view: RunView, scorer: str, scorers: Scorers) -> str:
    """A single technique goes by its own name."""
    members = [name for name in view.decisions if name != SCORER]
    return members[0] if len(scorers) == 1 and len(members) == 1 else scorer


def _legend(axes: Any, place: str, title: str | None) -> None:
    axes.legend(loc=place, title=title, title_fontsize=7, frameon=True, framealpha=0.85, edgecolor="none")
