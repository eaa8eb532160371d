"""What a reporter is given: an evaluated run, seen from outside, with pictures read when asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leatherens.core.component import Component
from leatherens.core.pca import Explained

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _everywhere() -> None:
    """What `ScoredImage.valid` says where nothing is left out."""


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """One evaluated image.

    defective: what the label says, `None` where there is no label.
    scores: image score by scorer ("ensemble" and each member's id).
    flagged: the ensemble's verdict: score above its threshold.
    photograph, score_map, truth: read the pixels: (H, W, 3) uint8, (H, W) float32 ensemble scores at
        original size, (H, W) bool or `None` where there is no mask.
    valid: reads where scores count, (H, W) bool; `None` everywhere.
    colour: of the colours the run learned from the one it has, "unlike any" or, where none are known, "".
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
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The thresholds of one scorer.

    image, pixel: an image or a pixel is defective when its score is above.
    promise: the false-alarm rate that is promised for fresh good images, `None` where the rule makes none.
    """

    rule: str
    image: float
    pixel: float
    promise: float | None
    normals: int


@dataclass(frozen=True, slots=True)
class RunView:
    """An evaluated run.

    metrics: the content of metrics.json: `ensemble`, `members` (by id) and `definitions`.
    decisions: by scorer, "ensemble" first.
    remarks: sentences a reader must know (what was reduced, what cannot be promised).
    explained: what the components of the fusion block explain, one entry per PCA; none without such a block.
    colours: of the images it learned from, a sentence ("one colour: brown"); "" where they are not known.
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
    colours: str = ""


class Reporter(Component):
    """Plugin kind `reporters`: turns an evaluated run into something to look at."""

    @abstractmethod
    def write(self, run: RunView, folder: Path) -> Path:
        """Write the report into a folder, whole or not at all; returns the file to open."""
