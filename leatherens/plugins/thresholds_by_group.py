"""A threshold for each group of images: a promise that holds for each view, or for each colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from leatherens.core.calibration import normals_needed, promised_rate
from leatherens.core.errors import InputError
from leatherens.core.limits import Floats, conformal_limit
from leatherens.core.params import Params
from leatherens.core.reading import Sample
from leatherens.core.thresholds import ANY, SIDES, Group, Labelled, Normals, Side, Threshold


class MondrianThreshold(Threshold):
    """Conformal within each group (Vovk et al., 2005, call it Mondrian): no colour pays for another.

    One threshold for all keeps its rate over all images, and may flag every image of a rare colour. A group
    with too few held-out good images to promise the rate asked for shares the threshold of all, and its
    images count in that promise only: `promise_` is the groups' own rate plus the rate of all.
    """

    id: ClassVar[str] = "mondrian"
    makes_promise: ClassVar[bool] = True
    tells_groups: ClassVar[bool] = True
    counts_: dict[str, int]
    own_: dict[str, dict[str, float]]

    class Params(Params):
        """false_alarms: asked share of the fresh good images of each group. by: what a group is."""

        false_alarms: Annotated[float, Field(gt=0, lt=1)] = 0.01
        by: Literal["colour", "view"] = "colour"

    def check_samples(
        self, good: Sequence[Sample], labelled: Sequence[Sample], *, sides: Sequence[Side] = SIDES
    ) -> None:
        """Views must be known; colours are seen later."""
        if self.params.by == "view" and not any(sample.view for sample in good):
            raise InputError(
                f"{self.id}: no image says its view, so that no view can have a threshold of its own; read a "
                "manifest with a column for views, or choose by=colour"
            )

    def image_for(self, group: Group = ANY) -> float:
        """The threshold of the group's own, or of all."""
        return self.own_["image"].get(self._name(group), self.image_)

    def pixel_for(self, group: Group = ANY) -> float:
        """The threshold of the group's own, or of all."""
        return self.own_["pixel"].get(self._name(group), self.pixel_)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Which groups have a threshold of their own, and which share that of all."""
        by, asked = self.params.by, f"{self.params.false_alarms:g}"
        needed = f"{normals_needed(self.params.false_alarms)} held-out good images that promise {asked}"
        own, shared = self._listed(own=True), self._listed(own=False)
        if not own:
            return (f"{self.id}: no {by} has the {needed} ({shared}): one threshold for all",)
        if not shared:
            return (f"{self.id}: a threshold for each {by}: {own}",)
        return (
            f"{self.id}: a threshold for each {by} with the {needed}: {own}; that of all for the others: "
            f"{shared}",
        )

    def _image_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        return self._learn("image", normals, np.asarray(normals.image, np.float64))

    def _pixel_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        return self._learn("pixel", normals, normals.maxima)

    def _learn(self, side: Side, normals: Normals, scores: Floats) -> float:
        """The threshold of all, those of groups kept beside it."""
        rate = self.params.false_alarms
        names = np.array([self._name(group) for group in normals.groups or [ANY] * normals.count])
        self.counts_ = dict(sorted(Counter(names.tolist()).items()))
        own = {name: conformal_limit(scores[names == name], rate) for name in self._own}
        self.own_ = {"image": {}, "pixel": {}} | getattr(self, "own_", {}) | {side: own}
        return conformal_limit(scores, rate)

    def _promise(self, count: int) -> float:
        """What groups of their own promise, and what is left of the promise of all for the others.

        An image of a group that shares the threshold of all is above it at most as often as any image is.
        """
        rate = self.params.false_alarms
        own = max((promised_rate(rate, self.counts_[name]) for name in self._own), default=0.0)
        alone = len(self._own) == len(self.counts_)
        return own if alone else min(1.0, own + promised_rate(rate, count))

    @property
    def _own(self) -> Sequence[str]:
        """The groups that can promise the rate by themselves."""
        needed = normals_needed(self.params.false_alarms)
        return [name for name, count in self.counts_.items() if count >= needed]

    def _listed(self, *, own: bool) -> str:
        """Groups and their held-out good images."""
        chosen = [name for name in self.counts_ if (name in self._own) == own]
        return ", ".join(f"{name or 'unknown'} ({self.counts_[name]})" for name in chosen)

    def _name(self, group: Group) -> str:
        return group.colour if self.params.by == "colour" else group.view
