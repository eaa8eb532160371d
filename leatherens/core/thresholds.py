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
from leatherens.core.errors import InputError

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Normals:
    """Scores of held-out good images: (n,) image scores and n maps at the size they are judged at.

    valid: per map where it counts, `None` for everywhere.
    """

    image: Floats
    maps: Sequence[Floats]
    valid: Sequence[NDArray[np.bool_] | None] | None = None

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
    """Plugin kind `thresholds`: learns `image_` and `pixel_`; `promise_` is a rate, or `None`."""

    makes_promise: ClassVar[bool] = False
    image_: float
    pixel_: float
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
        self.promise_ = self._promise(normals.count)
        self.normals_ = normals.count
        return self

    @abstractmethod
    def _value(self, scores: Floats) -> float:
        """The threshold of a sample of good scores (n,)."""

    def _pixel_value(self, normals: Normals) -> float:
        """The pixel threshold; by default the rule applied to the pooled pixels."""
        return self._value(normals.pooled)

    def _promise(self, count: int) -> float | None:
        """The false-alarm rate that holds for fresh good images."""
        return None
