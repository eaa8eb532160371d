"""ROC and precision-recall curves as points of an SVG, with the place each threshold chose on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leatherens.core.metrics import image_ap, image_auroc, precision_recall_curve, roc_curve
from leatherens.core.reporting import Decision, ScoredImage
from leatherens.plugins.html_report.scorers import in_order

SIDE = 300  # of the square that both axes from 0 to 1 span, in SVG units

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Curves:
    """One scorer's two curves: SVG points, the areas, and where its threshold lies (SVG units)."""

    scorer: str
    roc: str
    precision_recall: str
    auroc: float
    ap: float
    roc_mark: tuple[float, float] | None
    precision_recall_mark: tuple[float, float] | None


def why_no_curves(images: Sequence[ScoredImage]) -> str:
    """The reason no curve can be drawn; empty when one can.

    >>> why_no_curves(())
    'Curves need good and defective images; of 0 images, 0 are labelled good and 0 defective.'
    """
    labels = [image.defective for image in images]
    good, defective = labels.count(False), labels.count(True)
    if good and defective:
        return ""
    return (
        f"Curves need good and defective images; of {len(labels)} images, "
        f"{good} are labelled good and {defective} defective."
    )


def curves(images: Sequence[ScoredImage], decisions: Mapping[str, Decision]) -> list[Curves]:
    """The curves of every scorer, the ensemble's first; none when a class is missing."""
    if why_no_curves(images):
        return []
    labels, scores = by_scorer(images)
    return [_curves(scorer, values, labels, decisions.get(scorer)) for scorer, values in scores.items()]


def by_scorer(images: Sequence[ScoredImage]) -> tuple[NDArray[np.bool_], dict[str, Floats]]:
    """(N,) labels of the images that have one, and their scores (N,) by scorer; at least one is needed."""
    labelled = [image for image in images if image.defective is not None]
    scores = {s: np.array([image.scores[s] for image in labelled]) for s in in_order(labelled[0].scores)}
    return np.array([image.defective for image in labelled]), scores


def _curves(scorer: str, scores: Floats, labels: NDArray[np.bool_], decision: Decision | None) -> Curves:
    precision, recall = precision_recall_curve(scores, labels)
    marks = (None, None) if decision is None else operating_point(scores, labels, decision.image)
    return Curves(
        scorer,
        roc=points(*roc_curve(scores, labels)),
        precision_recall=points(*staircase(recall, precision)),
        auroc=image_auroc(scores, labels),
        ap=image_ap(scores, labels),
        roc_mark=marks[0],
        precision_recall_mark=marks[1],
    )


def operating_point(
    scores: Floats, labels: NDArray[np.bool_], threshold: float
) -> tuple[tuple[float, float], tuple[float, float] | None]:
    """Where `score > threshold` lies on both curves, in SVG units; no precision when nothing is flagged."""
    flagged = scores > threshold
    recall = float(flagged[labels].mean())
    on_roc = _mark(float(flagged[~labels].mean()), recall)
    return on_roc, _mark(recall, float(labels[flagged].mean())) if flagged.any() else None


def _mark(x: float, y: float) -> tuple[float, float]:
    return round(SIDE * x, 1), round(SIDE * (1 - y), 1)


def staircase(recall: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """The steps whose area is the average precision: first down or up, then right.

    >>> staircase(np.array([0.0, 0.5]), np.array([1.0, 0.8]))
    (array([0. , 0. , 0.5]), array([1. , 0.8, 0.8]))
    """
    return np.repeat(recall, 2)[:-1], np.repeat(precision, 2)[1:]


def points(x: Floats, y: Floats) -> str:
    """The points of a polyline; neighbours that fall together at this size are one.

    >>> points(np.array([0.0, 0.0001, 1.0]), np.array([0.0, 0.0, 1.0]))
    '0.0,300.0 300.0,0.0'
    """
    placed = np.round(SIDE * np.stack((x, 1 - y), axis=1), 1)  # (N, 2), y downwards
    moved = np.any(np.diff(placed, axis=0) != 0, axis=1)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in placed[np.append(True, moved)].tolist())
