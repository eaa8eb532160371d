"""The three thresholds of the leather thesis (Soares, 2022, section 5.4), and what each of them is worth.

T1 is the 0.99 quantile of the pixels of held-out good images; an image is defective where any pixel is.
T2 gives the best F1 over the pooled pixels of a labelled share of the test images, T3 the best F1 over its
image scores; that share is not evaluated. All decisions are `score > threshold`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leatherens.core.host import PluginHost
from leatherens.core.metrics import image_f1, iou, pro
from leatherens.core.photographs import Mask
from leatherens.core.reading import Sample
from leatherens.core.score_counts import FloatArray
from leatherens.core.thresholds import Labelled
from leatherens.ensembles.experiments.silenced import counting
from leatherens.ensembles.scoring import ScorerScores

T1_RULE, F1_RULE = "p-quantile", "f1"


@dataclass(frozen=True)
class Seen:
    """What a run says of the images of one job: samples, scores, and true masks where known."""

    samples: Sequence[Sample]
    scores: ScorerScores
    masks: Sequence[Mask | None]

    @property
    def labels(self) -> list[int]:
        """(n,) 1 where an image is defective; without a label it counts nowhere, see `known`."""
        return [int(self.samples[i].defective is True) for i in self.known]

    @property
    def known(self) -> list[int]:
        """The images that have a label."""
        return [i for i, sample in enumerate(self.samples) if sample.defective is not None]

    @property
    def images(self) -> FloatArray:
        """Image scores of the known."""
        return self.scores.images[self.known]

    @property
    def highest(self) -> FloatArray:
        """The highest counting pixel of each known image, in the map's own type."""
        return np.array([counting(self.scores, i).max() for i in self.known])

    def pixels(self) -> tuple[list[FloatArray], list[Mask], list[Mask | None]]:
        """Maps, masks and where they count, of the images whose defects are marked."""
        marked = [i for i, mask in enumerate(self.masks) if mask is not None]
        masks = [mask for mask in self.masks if mask is not None]
        return [self.scores.map(i) for i in marked], masks, [self.scores.valid(i) for i in marked]

    def labelled(self) -> Labelled:
        """What rules learn from that need labels: the known."""
        maps, valid = [self.scores.map(i) for i in self.known], [self.scores.valid(i) for i in self.known]
        masks = [self.masks[i] for i in self.known]
        return Labelled(self.images, np.array(self.labels, dtype=bool), maps, masks, valid)

    @property
    def both(self) -> bool:
        """Whether there are good and defective images."""
        return set(self.labels) == {0, 1}

    @property
    def marked(self) -> bool:
        """Whether any defect is marked."""
        return any(mask is not None and mask.any() for mask in self.masks)

    def overlap(self, cut: float) -> dict[str, float]:
        """IoU and PRO of the pixels above a threshold; NaN where no defect is marked."""
        if not self.marked:
            return {"iou": np.nan, "pro": np.nan}
        maps, masks, valid = self.pixels()
        return {"iou": iou(maps, masks, cut, valid=valid), "pro": pro(maps, masks, cut, valid=valid)}


@dataclass(frozen=True, slots=True)
class Cuts:
    """T1, T2 and T3; NaN where the labels for one are missing."""

    t1: float
    t2: float
    t3: float

    @classmethod
    def learned(cls, host: PluginHost, good: Seen, labelled: Seen) -> Cuts:
        """From held-out good images and from a labelled share of the test images."""
        quantile, best = (host.thresholds().load(id) for id in (T1_RULE, F1_RULE))
        normals, lessons = good.scores.normals(), labelled.labelled()
        t1 = quantile().fit(normals, sides=("pixel",)).pixel_
        t2 = best().fit(normals, lessons, sides=("pixel",)).pixel_ if labelled.marked else np.nan
        t3 = best().fit(normals, lessons, sides=("image",)).image_ if labelled.both else np.nan
        return cls(t1, t2, t3)

    def worth(self, test: Seen) -> dict[str, float]:
        """IoU and PRO of pixels at T1 and T2, F1 of images at T1 and T3; NaN where undefined."""
        images = {
            "f1_t1": image_f1(test.highest, test.labels, self.t1),
            "f1_t3": image_f1(test.images, test.labels, self.t3),
        }
        pixels = {
            f"{metric}_{name}": value
            for name, cut in (("t1", self.t1), ("t2", self.t2))
            for metric, value in test.overlap(cut).items()
        }
        return _undefined_without(self, {**pixels, **images})

    def content(self) -> Mapping[str, float]:
        """The values by name."""
        return {"t1": self.t1, "t2": self.t2, "t3": self.t3}


def _undefined_without(cuts: Cuts, worth: dict[str, float]) -> dict[str, float]:
    """Nothing is above a threshold that does not exist, which is not the same as a score of zero."""
    missing = [name for name, value in cuts.content().items() if np.isnan(value)]
    return {key: np.nan if key.rpartition("_")[2] in missing else value for key, value in worth.items()}
