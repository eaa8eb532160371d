"""Rules for where good ends that learn from held-out good images only."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from leatherens.core.calibration import promised_rate
from leatherens.core.limits import area_limit, conformal_limit, highest, quantile_limit, sigma_limit
from leatherens.core.params import Params
from leatherens.core.thresholds import Floats, Labelled, Normals, Threshold


class ConformalThreshold(Threshold):
    """The smallest threshold that keeps a false-alarm rate on fresh good images.

    Image: the k-th largest held-out score, k = floor(rate (n + 1)), at least 1. Pixel: the same for
    the images' highest pixels, so that a good image shows any marked pixel as rarely.
    """

    id: ClassVar[str] = "conformal"
    makes_promise: ClassVar[bool] = True

    class Params(Params):
        """false_alarms: the asked share of fresh good images called defective."""

        false_alarms: Annotated[float, Field(gt=0, lt=1)] = 0.01

    def _value(self, scores: Floats) -> float:
        return conformal_limit(scores, self.params.false_alarms)

    def _pixel_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        return self._value(normals.maxima)

    def _promise(self, count: int) -> float:
        return promised_rate(self.params.false_alarms, count)


class MaximumThreshold(Threshold):
    """The highest held-out good score: no false alarm on them; one outlier costs recall."""

    id: ClassVar[str] = "maximum"

    def _value(self, scores: Floats) -> float:
        return highest(scores)


class QuantileThreshold(Threshold):
    """The p-quantile of held-out good scores, linear between them (T1 of Soares et al., 2023: p = 0.99)."""

    id: ClassVar[str] = "p-quantile"

    class Params(Params):
        """p: the share of good scores at or below."""

        p: Annotated[float, Field(gt=0, le=1)] = 0.99

    def _value(self, scores: Floats) -> float:
        return quantile_limit(scores, self.params.p)


class SigmaThreshold(Threshold):
    """Mean plus k standard deviations (of the sample itself, ddof 0) of held-out good scores."""

    id: ClassVar[str] = "k-sigma"

    class Params(Params):
        """k: how many standard deviations."""

        k: Annotated[float, Field(gt=0)] = 3.0

    def _value(self, scores: Floats) -> float:
        return sigma_limit(scores, self.params.k)


class MaxAreaThreshold(Threshold):
    """The smallest pixel threshold at which no held-out good image has a large region of marked pixels.

    After Bergmann et al. (2021). Regions are 8-connected, pixels are those of the photograph. An image score
    has no area: images are judged by the highest held-out good one. Of photographs in tiles, whose maps are
    thinned, each pixel counts for those it stands for; an area smaller than that allows none at all.
    """

    id: ClassVar[str] = "max-area"

    class Params(Params):
        """area: pixels of the largest region that a good image may show."""

        area: Annotated[int, Field(ge=1)] = 100

    def _image_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        return highest(normals.image)

    def _pixel_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        kept = self.params.area // normals.step**2
        return area_limit(normals.maps, normals.where, kept) if kept else highest(normals.maxima)
