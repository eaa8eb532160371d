"""All figures of a run into a folder, and a caption for each that says what it shows and rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leatherens.core.artifact import write_text
from leatherens.core.errors import ArtifactError
from leatherens.core.judged_run import SCORER, JudgedRun, judged_run
from leatherens.core.listing import counted
from leatherens.core.metrics import FPR_LIMIT
from leatherens.core.progress import Progress
from leatherens.core.reporting import RunView, ScoredImage, if_there
from leatherens.ensembles.figures.choosing import RULE, asked_for, telling
from leatherens.ensembles.figures.curves import (
    iou_over_threshold,
    labelled_scores,
    precision_recall,
    pro,
    roc,
    score_histogram,
)
from leatherens.ensembles.figures.limits import Limit
from leatherens.ensembles.figures.panels import ROWS, panels, scale_of
from leatherens.ensembles.figures.style import in_print, saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(slots=True)
class Figures:
    """A folder that is filled with figures in these formats; files, captions: what was written so far."""

    folder: Path
    formats: Sequence[str]
    dpi: int = 300
    files: list[Path] = field(default_factory=list)
    captions: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, figure: Figure, caption: str) -> None:
        """Write one figure in every format."""
        self.files += saved(figure, self.folder, name, self.formats, self.dpi)
        self.captions.append((name, caption))

    def leave_out(self, name: str, why: str) -> None:
        """Say in the captions why there is no such figure."""
        self.captions.append((name, f"Not drawn: {why}."))

    def write_captions(self, view: RunView) -> None:
        """Write captions.md."""
        lines = [f"# Figures of the run `{view.name}`", "", f"{view.data}. Made by `{view.command}`.", ""]
        for name, caption in self.captions:
            lines += [f"## {name}", "", caption, ""]
        path = self.folder / "captions.md"
        write_text(path, "\n".join(lines))
        self.files.append(path)


def write_figures(
    view: RunView,
    limits: Sequence[Limit],
    figures: Figures,
    progress: Progress,
    *,
    ids: Sequence[str] = (),
    most: int = ROWS,
) -> list[Path]:
    """Every figure that the run has data for; ids: the images of the panels, `most` of a fair choice if none.

    limits: whose outlines panels show; those without a value are told in the captions.
    """
    shown = asked_for(view.images, ids) if ids else telling(view.images, most)
    require_writable(figures.folder)
    labelled = [image for image in view.images if image.defective is not None]
    with progress.step("measuring", 2 * len(labelled)) as advance:
        judged = judged_run(view, advance)
    known = [limit for limit in limits if limit.known]
    with in_print(), progress.step("drawing figures", 6) as advance:
        _add_panels(figures, shown, limits, asked=bool(ids))
        advance(1)
        for draw in (_add_image_curves, _add_pixel_curves):
            draw(figures, view, judged, known)
            advance(2)
        _add_histogram(figures, view)
        advance(1)
        figures.write_captions(view)
    return figures.files


def require_writable(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to, before anything is drawn."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".leatherens-figures"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ArtifactError(
            f"{folder}: cannot be written to ({error.strerror or error}); give --figures another folder"
        ) from None


def _add_panels(
    figures: Figures, shown: Sequence[ScoredImage], limits: Sequence[Limit], *, asked: bool
) -> None:
    there = [image for image in shown if if_there(image.score_map) is not None]
    if not there:
        figures.leave_out("panels", "the score maps of these images are gone")
        return
    known, scale = [limit for limit in limits if limit.known], scale_of(there)
    for number, start in enumerate(range(0, len(there), ROWS), start=1):
        rows = there[start : start + ROWS]
        name = "panels" if number == 1 else f"panels-{number}"
        figures.add(name, panels(rows, known, scale, figures.dpi), _panels_caption(rows, limits, asked=asked))


def _panels_caption(rows: Sequence[ScoredImage], limits: Sequence[Limit], *, asked: bool) -> str:
    names = ", ".join(f"`{image.id}`" for image in rows)
    outlines = [f"{one.name}: {one.about} ({one.value:.4g})" for one in limits if one.known]
    missing = [f"{one.name} ({one.about}) is left out: {one.missing}" for one in limits if not one.known]
    said = [
        f"From top to bottom: {names}.",
        "From left to right: the photograph; its score map in viridis, with one colour scale for all rows, "
        "from the median of the shown pixels to their 99.5 % quantile; the outline of the pixels above a "
        f"threshold (red) and of the marked defect (white, dashed). Thresholds: {'; '.join(outlines)}.",
        *(f"{sentence}." for sentence in missing),
        "The images were named by hand." if asked else f"Shown are, {RULE}.",
    ]
    if gone := [image.id for image in rows if if_there(image.photograph) is None]:
        said.append(f"Photographs that are gone are left grey: {', '.join(gone)}.")
    return " ".join(said)


def _add_image_curves(figures: Figures, view: RunView, judged: JudgedRun, limits: Sequence[Limit]) -> None:
    good, defective = int((~judged.defective).sum()), int(judged.defective.sum())
    if not (good and defective):
        why = f"it needs good and defective images, and there are {good} and {defective}"
        figures.leave_out("roc", why)
        figures.leave_out("precision-recall", why)
        return
    scorers, images = labelled_scores(view), f"{counted(good, 'good image')} and {defective} defective"
    figures.add(
        "roc",
        roc(view, scorers),
        f"ROC curve of image scores over {images}; in brackets the area under it. Dotted: chance.",
    )
    figures.add(
        "precision-recall",
        precision_recall(view, scorers),
        f"Precision and recall of image scores over {images}, in steps; in brackets the average precision.",
    )


def _add_pixel_curves(figures: Figures, view: RunView, judged: JudgedRun, limits: Sequence[Limit]) -> None:
    if not np.isfinite(judged.values.get("au_pro", np.nan)):
        why = "it needs marked defects and good pixels"
        figures.leave_out("pro", why)
        figures.leave_out("iou-over-threshold", why)
        return
    images = counted(int(judged.known.sum()), "image")
    figures.add(
        "pro",
        pro(judged),
        "Mean overlap with the 8-connected defect regions (PRO) over the false-positive rate of good pixels, "
        f"pooled over {images}. Shaded: the area that AU-PRO divides by its limit, a rate of {FPR_LIMIT}.",
    )
    lines = "Lines: " + "; ".join(f"{limit.name}: {limit.about}" for limit in limits)
    figures.add(
        "iou-over-threshold",
        iou_over_threshold(judged, limits),
        f"Intersection over union of the pixels of {images}, pooled, over the pixel threshold. {lines}.",
    )


def _add_histogram(figures: Figures, view: RunView) -> None:
    decision, images = view.decisions[SCORER], counted(len(view.images), "test image")
    figures.add(
        "score-histogram",
        score_histogram(view.images, decision.image),
        f"Image scores of {images}. Dashed: the threshold {decision.image:.4g} by the rule "
        f"'{decision.rule}', from {counted(decision.normals, 'held-out good image')}.",
    )
