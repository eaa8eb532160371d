"""Rows of pictures: photograph, score map, and the outline that each threshold draws, one row an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leatherens.core.photographs import resize_photograph
from leatherens.core.reporting import ScoredImage, if_there
from leatherens.ensembles.figures.limits import Limit
from leatherens.ensembles.figures.style import PAGE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 8
"""Images of one figure, as many as a page holds; further ones make another figure."""

MARKED, PREDICTED = "#ffffff", "#ff2030"
"""Of outlines: the marked defect, and what is above the threshold."""

GREY = 200
"""Of what stands for a photograph that is gone."""

WIDEST, BESIDE, GAP = 1.15, 0.9, 0.02
"""In inches: of a picture, so that eight rows fit on a page; names and colour scale; around each picture."""

HIGHEST = 0.995
"""The share of the shown pixels that lie within the colour scale."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The scores at the ends of the colour scale, one for all maps that are shown."""

    low: float
    high: float


def scale_of(images: Sequence[ScoredImage]) -> Scale:
    """From the median pixel of the maps shown to their 99.5 % quantile."""
    samples = []
    for image in images:
        scores, valid = image.score_map(), image.valid()
        pixels = scores.ravel() if valid is None else scores[valid]
        samples.append(pixels[:: max(1, pixels.size // 65_536)].astype(np.float64))
    low, high = np.quantile(np.concatenate(samples), [0.5, HIGHEST])
    return Scale(float(low), float(high) if high > low else float(low) + 1.0)


def panels(images: Sequence[ScoredImage], limits: Sequence[Limit], scale: Scale, dpi: int) -> Figure:
    """One figure of at most `ROWS` images; limits: those of which there is a value."""
    heads = ["photograph", "score map", *(limit.name for limit in limits)]
    side = min((PAGE - BESIDE) / len(heads), WIDEST)
    shapes = [image.score_map().shape for image in images]
    heights = [side * shape[0] / shape[1] for shape in shapes]
    figure = new_figure(len(heads) * side + BESIDE, sum(heights) + 2 * GAP * len(images) + 0.2, gap=GAP)
    grid = figure.add_gridspec(len(images), len(heads), height_ratios=heights)
    painted: Any = None
    for row, image in enumerate(images):
        axes = [figure.add_subplot(grid[row, column]) for column in range(len(heads))]
        painted = _row(axes, image, limits, scale, round(side * dpi))
        axes[0].set_ylabel(image.defect or "no label", fontsize=7)
        if row == 0:
            for one, head in zip(axes, heads, strict=True):
                one.set_title(head, fontsize=8, pad=3)
    bar = figure.colorbar(painted, ax=figure.axes, fraction=0.025, pad=0.01, aspect=40, extend="both")
    bar.ax.set_ylabel("score")
    bar.outline.set_linewidth(0.4)
    _mark(bar.ax, limits, scale)
    return figure


def _row(axes: Sequence[Any], image: ScoredImage, limits: Sequence[Limit], scale: Scale, longest: int) -> Any:
    """The pictures of one image, no larger than print can show; returns the map as painted."""
    scores, valid, truth = image.score_map(), image.valid(), if_there(image.truth)
    photograph = if_there(image.photograph)
    if photograph is None:
        photograph = np.full((*scores.shape, 3), GREY, np.uint8)
    size = _within(photograph.shape, longest)
    small = resize_photograph(photograph, size) if size != photograph.shape[:2] else photograph
    for one in axes:
        one.set(xticks=[], yticks=[])
        for spine in one.spines.values():
            spine.set_visible(False)
    extent = (0, scores.shape[1], scores.shape[0], 0)
    axes[0].imshow(small, extent=extent)
    painted = axes[1].imshow(
        highest_of_blocks(scores, longest), extent=extent, cmap="viridis", vmin=scale.low, vmax=scale.high
    )
    for one, limit in zip(axes[2:], limits, strict=True):
        one.imshow(small, extent=extent)
        above = scores > limit.value
        _outline(one, truth, extent, longest, colors=MARKED, linestyles="--", linewidths=0.7)
        _outline(
            one, above if valid is None else above & valid, extent, longest, colors=PREDICTED, linewidths=0.8
        )
    return painted


def _outline(
    axes: Any, mask: NDArray[np.bool_] | None, extent: Sequence[int], longest: int, **look: Any
) -> None:
    """The border of a mask as vectors; nothing where nothing is marked."""
    if mask is None or not mask.any():
        return
    small = np.pad(highest_of_blocks(mask, longest), 1).astype(np.float64)
    step_x, step_y = extent[1] / (small.shape[1] - 2), extent[2] / (small.shape[0] - 2)
    x, y = (np.arange(small.shape[1]) - 0.5) * step_x, (np.arange(small.shape[0]) - 0.5) * step_y
    axes.contour(x, y, small, levels=[0.5], **look)
    axes.set(xlim=(0, extent[1]), ylim=(extent[2], 0))


def _mark(axes: Any, limits: Sequence[Limit], scale: Scale) -> None:
    """The thresholds beside the colour scale, those that lie within."""
    for limit in limits:
        if scale.low <= limit.value <= scale.high:
            axes.axhline(limit.value, color=PREDICTED, linewidth=1)
            axes.annotate(
                limit.name,
                (0, limit.value),
                xytext=(-2, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=6,
            )


def _within(shape: Sequence[int], longest: int) -> tuple[int, int]:
    """Height and width with the longest side at most `longest`."""
    factor = min(1.0, longest / max(shape[:2]))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def highest_of_blocks(pixels: NDArray[Any], longest: int) -> NDArray[Any]:
    """(H, W) to (h, w) of at most `longest` a side, each the highest of its block: no defect is lost.

    >>> highest_of_blocks(np.array([[0, 1, 0, 0], [0, 0, 0, 2]]), 2)
    array([[1, 2]])
    """
    height, width = _within(pixels.shape, longest)
    down, across = (
        np.arange(new) * old // new for new, old in zip((height, width), pixels.shape, strict=True)
    )
    highest: NDArray[Any] = np.maximum.reduceat(np.maximum.reduceat(pixels, down, axis=0), across, axis=1)
    return highest
