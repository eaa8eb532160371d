"""What a reporter is given: an evaluated run, seen from outside, with pictures read when asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from leatherens.core.component import Component
from leatherens.core.details import Details
from leatherens.core.errors import LeatherensError
from leatherens.core.pca import Explained
from leatherens.core.preparation import Comparison
from leatherens.core.training_curves import TrainingCurve
from leatherens.core.views import Severities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leatherens.core.comparison import ComparisonView
    from leatherens.core.unfinished_view import UnfinishedView

T = TypeVar("T")


def _everywhere() -> None:
    """What `ScoredImage.valid` says where nothing is left out."""


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """One evaluated image.

    defective: what the label says, `None` where there is no label.
    scores: image score by scorer ("ensemble" and each member's id).
    flagged: the ensemble's verdict: score above its threshold.
    threshold, pixel_threshold: of this image's kind, `None` where all images have one.
    photograph, score_map, truth: read the pixels: (H, W, 3) uint8, (H, W) float32 ensemble scores at
        original size, (H, W) bool or `None` where there is no mask. Files that are gone raise `InputError`.
    valid: reads where scores count, (H, W) bool; `None` everywhere.
    reconstructions: by member that makes one, reads the image as it would look if it were good, (H, W, 3)
        uint8.
    member_maps: by member, where several were fused, reads its scores as `score_map` does the ensemble's.
    colour: of the colours the run learned from the one it has, "unlike any" or, where none are known, "".
    view: of several camera positions the one it was taken from, "" where there is one.
    path: where the photograph lies, `None` where it is no file.
    """

    id: str
    defect: str
    defective: bool | None
    scores: Mapping[str, float]
    flagged: bool
    photograph: Callable[[], NDArray[np.uint8]]
    score_map: Callable[[], NDArray[np.float32]]
    truth: Callable[[], NDArray[np.bool_] | None]
    valid: Callable[[], NDArray[np.bool_] | None] = _everywhere
    threshold: float | None = None
    pixel_threshold: float | None = None
    reconstructions: Mapping[str, Callable[[], NDArray[np.uint8]]] = field(default_factory=dict)
    member_maps: Mapping[str, Callable[[], NDArray[np.float32]]] = field(default_factory=dict)
    colour: str = ""
    view: str = ""
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """What one step of the preparation did to one image."""

    step: str
    id: str
    comparison: Comparison


def if_there(read: Callable[[], T]) -> T | None:
    """What is read of an image, such as its photograph; `None` where the file is gone or damaged."""
    try:
        return read()
    except (LeatherensError, OSError):
        return None


def _nothing() -> Iterator[PreparedImage]:
    """What `RunView.prepared` shows where there is no preparation."""
    return iter(())


@dataclass(frozen=True, slots=True)
class Decision:
    """The thresholds of one scorer.

    image, pixel: an image or a pixel is defective when its score is above.
    promise: the false-alarm rate that is promised for fresh good images, `None` where the rule makes none.
    crossed: `promise` was measured across folds and is not guaranteed.
    normals: how many held-out good images they were learned from; labelled: and how many labelled ones.
    pixel_rule: that of the pixel threshold. remarks: what a reader must know of them, a sentence each.
    """

    rule: str
    image: float
    pixel: float
    promise: float | None
    normals: int
    pixel_rule: str = ""
    labelled: int = 0
    remarks: tuple[str, ...] = ()
    crossed: bool = False


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How to repeat a run.

    commands: what each does, and what to type. facts: name and value of what decides its numbers: seed,
    fingerprints, machine. plugins: what it uses, by the plugin that offers it.
    """

    commands: tuple[tuple[str, str], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    plugins: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class RunView:
    """An evaluated run.

    metrics: the content of metrics.json: `ensemble`, `members` (by id) and `definitions`.
    decisions: by scorer, "ensemble" first.
    remarks: sentences a reader must know (what was reduced, what cannot be promised).
    explained: what the components of the fusion block explain, one entry per PCA; none without such a block.
    prepared: before and after the steps of the preparation, for a few images, made when asked for.
    colours: of the images it learned from, a sentence ("one colour: brown"); "" where they are not known.
    details: what else there is to tell, each empty where it is not known. reproduction: how to repeat it.
    training: by member that learns by gradient steps, how each of its trainings went.
    """

    name: str
    data: str
    recipe: Mapping[str, Any]
    metrics: Mapping[str, Any]
    decisions: Mapping[str, Decision]
    images: tuple[ScoredImage, ...]
    remarks: tuple[str, ...]
    command: str
    versions: Mapping[str, str]
    explained: tuple[Explained, ...] = ()
    prepared: Callable[[], Iterator[PreparedImage]] = _nothing
    colours: str = ""
    details: Details = field(default_factory=Details)
    reproduction: Reproduction = field(default_factory=Reproduction)
    training: Mapping[str, tuple[TrainingCurve, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoredPart:
    """One evaluated part of a project.

    defective: what the labels say, `None` where they say nothing. severities: what each view saw and which
    views saw nothing. images: by view, those that saw it.
    """

    id: str
    defective: bool | None
    severities: Severities
    images: Mapping[str, ScoredImage]

    @property
    def flagged(self) -> bool:
        """Whether any view calls it defective."""
        return bool(self.severities.flagged_by)


@dataclass(frozen=True, slots=True)
class ScoredView:
    """One view of an evaluated project: how its images were read, its run's decision, where its report is."""

    name: str
    data: str
    decision: Decision
    report: str


@dataclass(frozen=True, slots=True)
class ProjectView:
    """An evaluated project of several views.

    metrics: the content of metrics.json: `parts`, `views` (by name, `images` and `parts`), `counts` and
    `definitions`. promise: the false-alarm rate that is promised for fresh good parts, `None` without one.
    project: the resolved project, as YAML.
    """

    name: str
    data: str
    views: tuple[ScoredView, ...]
    parts: tuple[ScoredPart, ...]
    metrics: Mapping[str, Any]
    promise: float | None
    remarks: tuple[str, ...]
    command: str
    project: str
    versions: Mapping[str, str]


class Reporter(Component):
    """Plugin kind `reporters`: turns an evaluated run, or a project of several, into something to look at."""

    @abstractmethod
    def write(self, run: RunView, folder: Path) -> Path:
        """Write the report into a folder, whole or not at all; returns the file to open."""

    def write_project(self, project: ProjectView, folder: Path) -> Path | None:
        """The same for a project; `None` from a reporter that is for single runs only."""
        return None

    def write_comparison(self, comparison: ComparisonView, folder: Path) -> Path | None:
        """Several runs side by side; `None` from a reporter that is for single runs only."""
        return None

    def write_unfinished(self, run: UnfinishedView, folder: Path) -> Path | None:
        """What is there of a run that was interrupted; `None` from a reporter that is for whole runs only."""
        return None
