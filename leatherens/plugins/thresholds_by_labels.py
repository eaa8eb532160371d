"""Rules for where good ends that learn from labelled images, on which nothing may be measured afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from leatherens.core.errors import InputError
from leatherens.core.limits import Floats, highest, quantile_limit, sigma_limit
from leatherens.core.metrics import f1_max, pixel_f1_max
from leatherens.core.params import Params
from leatherens.core.reading import Sample
from leatherens.core.thresholds import SIDES, Labelled, Normals, Side, Threshold


class F1Threshold(Threshold):
    """The threshold of the highest F1: of images (T3) and of pooled pixels (T2 of Soares et al., 2023).

    F1 is defined by `score >= t` at one of the scores t, the lowest of equally good ones. Defective here
    means strictly above: kept is the next number below t, so that the same images and pixels are defective.
    """

    id: ClassVar[str] = "f1"
    needs_labels: ClassVar[bool] = True

    def check_samples(
        self, good: Sequence[Sample], labelled: Sequence[Sample], *, sides: Sequence[Side] = SIDES
    ) -> None:
        """For pixels, a defect must be marked."""
        super().check_samples(good, labelled, sides=sides)
        if "pixel" in sides and not any(sample.masks for sample in labelled):
            raise InputError(self._no_masks)

    def _image_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        assert labelled is not None
        _, best = f1_max(labelled.image, labelled.labels)
        return just_below(best, labelled.image)

    def _pixel_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        assert labelled is not None
        maps, masks, valid = labelled.marked
        best = pixel_f1_max(maps, masks, valid=valid)[1] if maps else math.nan
        if math.isnan(best):
            raise InputError(self._no_masks)
        return just_below(best, *maps)

    @property
    def _no_masks(self) -> str:
        return (
            f"{self.id}: no defect is marked in the labelled images, so that they teach no pixel threshold; "
            "choose another rule for pixels (leatherens run --pixel-threshold max-area)"
        )


def just_below(score: float, *of: Floats) -> float:
    """The next smaller number that scores of this kind can be: strictly above it is `score` and all above.

    >>> just_below(0.5, np.float32([0.5])) < 0.5, bool(np.float32([0.5]) > just_below(0.5, np.float32([0.5])))
    (True, True)
    """
    kind = np.result_type(*of)
    return float(np.nextafter(kind.type(score), kind.type(-np.inf)))


class LineClearanceThreshold(Threshold):
    """Of maximum, k-sigma and p-quantile the one that judges most labelled images rightly.

    The rule of the line-clearance thesis: of equally good ones the maximum comes first, as it raises
    the fewest false alarms, then k-sigma. What is chosen by images is used for pixels as well.
    """

    id: ClassVar[str] = "line-clearance"
    needs_labels: ClassVar[bool] = True
    chosen_: str
    right_: int

    class Params(Params):
        """k: standard deviations of k-sigma. p: the share at or below the p-quantile."""

        k: Annotated[float, Field(gt=0)] = 3.0
        p: Annotated[float, Field(gt=0, le=1)] = 0.99

    @property
    def remarks(self) -> tuple[str, ...]:
        """Which rule was chosen, and how right it is."""
        right = f"{self.right_} of {self.labelled_} labelled images"
        return (f"{self.id} chose the rule '{self.chosen_}', which judges {right} rightly",)

    def _image_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        return self._limits(np.asarray(normals.image, np.float64))[self._choice(normals, labelled)]

    def _pixel_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        return self._limits(normals.pooled)[self._choice(normals, labelled)]

    def _limits(self, scores: Floats) -> dict[str, float]:
        """By rule, the one that is preferred first."""
        return {
            "maximum": highest(scores),
            "k-sigma": sigma_limit(scores, self.params.k),
            "p-quantile": quantile_limit(scores, self.params.p),
        }

    def _choice(self, normals: Normals, labelled: Labelled | None) -> str:
        assert labelled is not None
        scores = np.asarray(labelled.image, np.float64)
        right = {
            rule: int(np.count_nonzero((scores > limit) == labelled.labels))
            for rule, limit in self._limits(np.asarray(normals.image, np.float64)).items()
        }
        self.chosen_ = max(right, key=lambda rule: right[rule])  # the first of equals
        self.right_ = right[self.chosen_]
        return self.chosen_
