"""What a reporter is given to show several runs side by side: the same images, judged by each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from leatherens.core.judged_run import JudgedRun
from leatherens.core.paired import Difference
from leatherens.core.reporting import RunView, ScoredImage

COMPARED: Final[Mapping[str, str]] = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1": "F1 at the threshold",
    "missed_rate": "defective images missed",
    "false_alarm_rate": "good images flagged",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "au_pro": "AU-PRO",
    "iou": "IoU at the pixel threshold",
}
"""The metrics that are compared, and their titles."""

SHARES: Final = ("missed_rate", "false_alarm_rate")
"""Those that count verdicts on images: less is better."""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One of the runs.

    name: unlike the others' names. view: of the images in common alone, in one order for all runs. judged: it
    measured on them. differences: to the first run by metric, none of the first run itself. costs: what is
    known of its costs, by their title with the unit.
    """

    name: str
    view: RunView
    judged: JudgedRun
    differences: Mapping[str, Difference] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """A key of the recipe on which the runs do not agree: what each says, "" where it has none."""

    key: str
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """Several runs on the same images; the others are compared with the first.

    changed: what differs between their recipes. remarks: sentences a reader must know, such as which images
    were left out. resamplings: how often images were drawn anew for the intervals.
    """

    runs: tuple[ComparedRun, ...]
    changed: tuple[ChangedKey, ...]
    remarks: tuple[str, ...]
    command: str
    resamplings: int

    @property
    def first(self) -> ComparedRun:
        """The run that the others are compared with."""
        return self.runs[0]

    @property
    def disputed(self) -> Iterator[tuple[ScoredImage, ...]]:
        """The images on which verdicts differ, each as every run sees it."""
        for seen in zip(*(run.view.images for run in self.runs), strict=True):
            if len({image.flagged for image in seen}) > 1:
                yield seen


@dataclass(frozen=True, slots=True)
class Agreement:
    """Images of one label: both runs are right, only the first is, only the other is, neither is."""

    both: int
    first: int
    other: int
    neither: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.both + self.first + self.other + self.neither


def agreement(first: RunView, other: RunView, *, defective: bool) -> Agreement:
    """How the verdicts of two runs agree on the images with this label."""
    rights = [
        (a.flagged is defective, b.flagged is defective)
        for a, b in zip(first.images, other.images, strict=True)
        if a.defective is defective
    ]
    return Agreement(
        *(rights.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False)))
    )
