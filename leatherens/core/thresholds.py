"""Where good ends, for images and for pixels, learned from held-out good images only.

An image or a pixel is defective when its score is strictly above its threshold, so that the
maximum rule flags none of the images it was learned from.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from leatherens.core.component import Component
from leatherens.core.errors import ArtifactError, InputError

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Normals:
    """Scores of held-out good images: (n,) image scores and n maps at the size they are judged at.

    valid: per map where it counts, `None` for everywhere. crossed: scored by several ensembles, none of which
    learned from the images it scored, and none of which will judge fresh ones.
    """

    image: Floats
    maps: Sequence[Floats]
    valid: Sequence[NDArray[np.bool_] | None] | None = None
    crossed: bool = False

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.image)

    @property
    def pooled(self) -> Floats:
        """All counting pixels of all maps, in one row."""
        return np.concatenate(self._pixels())

    @property
    def maxima(self) -> Floats:
        """(n,) the highest counting pixel of each map."""
        return np.array([pixels.max() for pixels in self._pixels()])

    def _pixels(self) -> list[Floats]:
        valid = self.valid or [None] * len(self.maps)
        return [m.ravel() if v is None else m[v] for m, v in zip(self.maps, valid, strict=True)]


class Threshold(Component):
    """Plugin kind `thresholds`: learns `image_` and `pixel_`; `promise_` is a rate, or `None`.

    typical_: the median of the held-out good images' scores; thresholds stored by the first version lack it.
    crossed_: they were scored across folds, so that `promise_` is measured and not guaranteed; thresholds
        learned from a share of the good images lack it.
    """

    makes_promise: ClassVar[bool] = False
    image_: float
    pixel_: float
    typical_: float
    promise_: float | None
    normals_: int

    @final
    def fit(self, normals: Normals) -> Self:
        """Learn both thresholds from held-out good images."""
        if not normals.count or normals.count != len(normals.maps):
            found = f"{normals.count} scores and {len(normals.maps)} maps"
            raise InputError(f"{self.id}: expected one map per held-out good image, got {found}")
        if not np.isfinite(normals.image).all() or not all(np.isfinite(p).all() for p in normals._pixels()):
            raise InputError(f"{self.id}: the scores of held-out good images hold NaN or infinite values")
        self.forget()
        self.image_ = float(self._value(np.asarray(normals.image, dtype=np.float64)))
        self.pixel_ = float(self._pixel_value(normals))
        self.typical_ = float(np.median(np.asarray(normals.image, dtype=np.float64)))
        self.promise_ = self._promise(normals.count)
        self.normals_ = normals.count
        if normals.crossed:
            self.crossed_ = True
        return self

    @final
    def severity(self, images: Floats) -> Floats:
        """(n,) image scores on a scale that scorers share: 0 typical of good images, 1 at the threshold.

        Above 1 exactly where the image is defective.
        """
        self.require_fitted("severity")
        if not hasattr(self, "typical_"):
            raise ArtifactError(
                f"{self.id}: stored without the typical score of good images, so that severities cannot be "
                "told; learn it with leatherens recalibrate RUN --good DIR"
            )
        return severities(images, self.image_, self.typical_)

    @abstractmethod
    def _value(self, scores: Floats) -> float:
        """The threshold of a sample of good scores (n,)."""

    def _pixel_value(self, normals: Normals) -> float:
        """The pixel threshold; by default the rule applied to the pooled pixels."""
        return self._value(normals.pooled)

    def _promise(self, count: int) -> float | None:
        """The false-alarm rate that holds for fresh good images."""
        return None


def severities(scores: Floats, threshold: float, typical: float) -> Floats:
    """(n,) scores to 1 + (score - threshold) / (threshold - typical) in float64, above 1 where defective.

    >>> severities(np.array([2.0, 4.0, 6.0]), threshold=4.0, typical=2.0).tolist()
    [0.0, 1.0, 2.0]
    """
    unit = abs(threshold - typical) or abs(threshold) or 1.0  # of scores that do not differ, any unit will do
    above = np.asarray(scores, dtype=np.float64) - threshold
    found = 1 + above / unit
    just_above = np.nextafter(1.0, 2.0)  # what lies above by less than float64 can say stays above
    return np.where(above > 0, np.maximum(found, just_above), np.minimum(found, 1.0))
