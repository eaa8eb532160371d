"""The three thresholds of the line-clearance thesis, the choice among them, and what they are worth.

All are learned from held-out good images: the maximum, mean plus 3 standard deviations, the 0.99 quantile; of
image scores for images, of pixels for pixels. Taken is the one that judges most images of a labelled share of
the test images rightly; that share is not evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leatherens.core.host import PluginHost
from leatherens.core.metrics import Confusion, confusion
from leatherens.core.thresholds import Threshold
from leatherens.ensembles.evaluation import threshold_free
from leatherens.ensembles.experiments.cuts import Seen
from leatherens.ensembles.experiments.silenced import Silenced

RULES = ("maximum", "k-sigma", "p-quantile")

CHOICE = "line-clearance"
"""The rule that is one of the others; of equally right ones the first."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The thresholds by rule, and the rule that is taken."""

    fitted: Mapping[str, Threshold]
    taken: str

    @classmethod
    def learned(cls, host: PluginHost, good: Seen, labelled: Seen) -> Rules:
        """From held-out good images, and chosen by a labelled share of the test images."""
        normals, kinds = good.scores.normals(), host.thresholds()
        choice = kinds.load(CHOICE)().fit(normals, labelled.labelled())
        return cls({id: kinds.load(id)().fit(normals) for id in RULES}, choice.chosen_)  # type: ignore[attr-defined]

    def worth(self, test: Seen) -> dict[str, Any]:
        """Metrics at the rule taken, accuracy at each.

        `metrics` are of every pixel, those not looked at being found good: a set-up is not rewarded for
        defects that it hides, and all are measured on the same pixels. `counted` leaves these pixels out.
        """
        whole = replace(test, scores=Silenced.of(test.scores))
        rule = self.fitted[self.taken]
        right = {id: verdicts(test, rule.image_) for id, rule in self.fitted.items()}
        taken = right[self.taken]
        images = {"accuracy": taken.accuracy, "false_alarms": taken.false_alarm_rate}
        return {
            "rule": self.taken,
            "rules": {
                id: {"accuracy": right[id].accuracy, "image": rule.image_, "pixel": rule.pixel_}
                for id, rule in self.fitted.items()
            },
            "metrics": {**_measured(whole, rule.pixel_), **images},
            "counted": _measured(test, rule.pixel_),
        }


def verdicts(seen: Seen, threshold: float) -> Confusion:
    """Of the labelled images, defective meaning score > threshold."""
    return confusion(seen.images.astype(np.float64), seen.labels, threshold)


def _measured(seen: Seen, cut: float) -> dict[str, float]:
    return {**threshold_free(seen.samples, seen.scores, seen.masks), **seen.overlap(cut)}
