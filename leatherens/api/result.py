"""What an ensemble says of one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from leatherens.core.photographs import Mask
from leatherens.core.preparation import FloatMap
from leatherens.ensembles.opening import Judgement


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """One image judged.

    image: its path, or its place in what was given.
    score: higher is more anomalous. threshold: above it, an image is defective.
    calibrated: share of held-out good images it scores above, in the conformal sense: one in a hundred good
        images has more than 0.99.
    defective: the verdict, `None` where there is none. defective_percent: of the area that counts.
    remarks: what preparing it has to tell, a sentence each.
    problem: why it could not be judged, a sentence; numbers are then NaN.
    """

    image: Path | int
    score: float
    threshold: float
    calibrated: float
    defective: bool | None
    defective_percent: float
    remarks: tuple[str, ...]
    problem: str | None
    _judgement: Judgement = field(compare=False)

    @classmethod
    def of(cls, image: Path | int, judgement: Judgement) -> Result:
        """What was found, under the name the image was given by."""
        return cls(
            image=image,
            score=judgement.score,
            threshold=judgement.threshold,
            calibrated=judgement.calibrated,
            defective=None if judgement.problem else judgement.defective,
            defective_percent=judgement.defective_percent,
            remarks=judgement.remarks,
            problem=judgement.problem,
            _judgement=judgement,
        )

    @property
    def map(self) -> FloatMap | None:
        """(H, W) float32 scores at the image's own size; of runs in tiles read from disk each time."""
        hide = self._judgement.hide
        if hide is None:
            return self._judgement.map
        return np.concatenate([scores for scores, _ in hide.map.bands()])

    @property
    def mask(self) -> Mask | None:
        """(H, W) bool, where pixels count and are above their threshold."""
        hide = self._judgement.hide
        if hide is None:
            return self._judgement.mask
        return np.concatenate([marked for marked, _ in hide.marked()])

    def __repr__(self) -> str:
        if self.problem is not None:
            return f"Result({self.image}: not judged, {self.problem})"
        verdict, sign = ("defective", ">") if self.defective else ("good", "<=")
        return (
            f"Result({self.image}: {verdict}, score {self.score:.4g} {sign} {self.threshold:.4g}, "
            f"calibrated {self.calibrated:.3g})"
        )
