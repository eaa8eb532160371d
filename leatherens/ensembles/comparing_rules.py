"""All threshold rules side by side on one run, none measured on images that it learned from.

A held-out good image is judged by what the rule learns from the others, one at a time; its pixels, and images
whose labels a rule learns from, in folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leatherens.configs.recipe import Choice
from leatherens.core.errors import InputError
from leatherens.core.host import PluginHost
from leatherens.core.metrics import image_f1, iou
from leatherens.core.progress import Progress
from leatherens.core.randomness import numpy_generator
from leatherens.core.thresholds import ANY, Group, Labelled, Normals, Side, Threshold

FOLDS = 5
NAN = float("nan")

Make = Callable[[], Threshold]


@dataclass(frozen=True, slots=True)
class Grounds:
    """What rules learn from and are measured on, of one scorer.

    good: held-out images; tested: (n,) image scores of good test images, which no rule ever sees. The groups
    say what images are like, for rules that judge unlike images apart.
    """

    good: Normals
    tested: NDArray[np.float32]
    tested_groups: Sequence[Group]
    labelled: Labelled | None = None
    labelled_groups: Sequence[Group] = ()


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule. What cannot be said is NaN, or `None`.

    image, pixel: thresholds as learned from all there is. held_out, tested: share of good images flagged.
    good_pixels: share of the held-out good images' pixels marked. recall, f1: of labelled images; iou: of
    their pixels, pooled. remarks: on what was learned, or why it could not be.
    """

    id: str
    options: Mapping[str, Any]
    needs_labels: bool
    image: float | None = None
    pixel: float | None = None
    promise: float | None = None
    held_out: float = NAN
    tested: float = NAN
    good_pixels: float = NAN
    recall: float = NAN
    f1: float = NAN
    iou: float = NAN
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every rule's row, and how many images the columns rest on. in_force: the rules of images and pixels.

    crossed: the good images were scored across folds, so that promises are measured and not guaranteed.
    """

    rows: tuple[RuleRow, ...]
    in_force: tuple[str, str]
    good: int
    tested: int
    labelled: int = 0
    defective: int = 0
    crossed: bool = False


def compare_rules(
    grounds: Grounds, choices: Sequence[Choice], host: PluginHost, progress: Progress, *, seed: int
) -> tuple[RuleRow, ...]:
    """A row for each choice of a rule."""
    rows = []
    with progress.step("comparing thresholds", len(choices)) as advance:
        for choice in choices:
            rule = host.thresholds().load(choice.id)
            rows.append(_Trial(grounds, partial(rule.from_options, choice.options), seed).row(choice.id))
            advance(1)
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class _Trial:
    """One rule on its grounds."""

    grounds: Grounds
    make: Make
    seed: int

    def row(self, id: str) -> RuleRow:
        """Everything that can be said of it."""
        blank = self.make()
        options, needs = blank.params.model_dump(mode="json"), blank.needs_labels
        found: dict[str, Any] = {"id": id, "options": options, "needs_labels": needs}
        if needs and self.grounds.labelled is None:
            return RuleRow(**found, remarks=(f"{id}: needs labelled images (--labelled DIR)",))
        learned = self._learned(self.grounds.good, self.grounds.labelled, "image")
        remarks = list(learned.remarks)
        found |= {"image": learned.image_, "promise": learned.promise_}
        found |= {"held_out": self._held_out(), "tested": self._tested(learned)}
        pixels: Threshold | None = None
        try:
            pixels = self._learned(self.grounds.good, self.grounds.labelled, "pixel")
        except InputError as error:
            remarks.append(str(error))
        if pixels is not None:
            found |= {"pixel": pixels.pixel_, "good_pixels": self._good_pixels()}
        found |= self._of_labelled(learned, pixels)
        return RuleRow(**found, remarks=tuple(remarks))

    def _learned(self, good: Normals, labelled: Labelled | None, side: Side) -> Threshold:
        return self.make().fit(good, labelled, sides=(side,))

    def _held_out(self) -> float:
        """Share of held-out good images flagged, each by what the others teach."""
        good = self.grounds.good
        if good.count < 2:
            return NAN
        flagged = []
        for i, group in enumerate(good.groups or [ANY] * good.count):
            rule = self._learned(good.only(_but(good.count, [i])), self.grounds.labelled, "image")
            flagged.append(float(good.image[i]) > rule.image_for(group))
        return float(np.mean(flagged))

    def _tested(self, rule: Threshold) -> float:
        """Share of good test images flagged."""
        limits = [rule.image_for(group) for group in self.grounds.tested_groups]
        flagged = self.grounds.tested.astype(np.float64) > np.array(limits, np.float64)
        return float(flagged.mean()) if len(flagged) else NAN

    def _good_pixels(self) -> float:
        """Share of held-out good images' pixels marked, by what the other folds teach."""
        good = self.grounds.good
        if good.count < 2:
            return NAN
        groups = good.groups or [ANY] * good.count
        marked = counted = 0
        for fold in _folds(good.count, self.seed):
            rule = self._learned(good.only(_but(good.count, fold)), self.grounds.labelled, "pixel")
            for i, pixels in zip(fold, good.only(fold).pixels(), strict=True):
                marked += int(np.count_nonzero(pixels.astype(np.float64) > rule.pixel_for(groups[i])))
                counted += pixels.size
        return marked / counted

    def _of_labelled(self, images: Threshold, pixels: Threshold | None) -> dict[str, float]:
        """Recall and F1 of labelled images, IoU of their pixels."""
        labelled = self.grounds.labelled
        if labelled is None:
            return {}
        flagged = np.full(labelled.count, NAN)
        marks: dict[int, NDArray[np.float32]] = {}
        for rows, image_rule, pixel_rule in self._rounds(labelled, images, pixels):
            for i in rows:
                group = self.grounds.labelled_groups[i] if self.grounds.labelled_groups else ANY
                flagged[i] = float(labelled.image[i]) > image_rule.image_for(group)
                if pixel_rule is not None and labelled.masks[i] is not None:
                    above = labelled.maps[i].astype(np.float64) > pixel_rule.pixel_for(group)
                    marks[i] = above.astype(np.float32)
        if np.isnan(flagged).any():
            return {}
        return {
            "recall": float(flagged[labelled.labels].mean()),
            "f1": image_f1(flagged, labelled.labels, 0.5),
            "iou": _iou(labelled, marks),
        }

    def _rounds(
        self, labelled: Labelled, images: Threshold, pixels: Threshold | None
    ) -> Sequence[tuple[Sequence[int], Threshold, Threshold | None]]:
        """Labelled images and the rules that may judge them: those that learned from none of these labels."""
        if not images.needs_labels:
            return [(range(labelled.count), images, pixels)]
        folds = _stratified(labelled.labels, self.seed)
        rounds = []
        for fold in folds:
            others, good = labelled.only(_but(labelled.count, fold)), self.grounds.good
            rule = self._learned(good, others, "image")
            rounds.append((fold, rule, None if pixels is None else self._learned(good, others, "pixel")))
        return rounds


def _iou(labelled: Labelled, marks: Mapping[int, NDArray[np.float32]]) -> float:
    """Pooled over the images whose defects are marked; NaN where none is."""
    if not marks:
        return NAN
    known = [i for i, mask in enumerate(labelled.masks) if mask is not None]
    masks = [mask for mask in labelled.masks if mask is not None]
    if not any(mask.any() for mask in masks):
        return NAN
    return iou([marks[i] for i in known], masks, 0.5, valid=[labelled.where[i] for i in known])


def _but(count: int, rows: Sequence[int]) -> list[int]:
    """All rows but these."""
    left_out = set(rows)
    return [i for i in range(count) if i not in left_out]


def _folds(count: int, seed: int) -> list[list[int]]:
    """Rows in at most `FOLDS` parts of about one size."""
    order = numpy_generator(seed, "thresholds", "folds").permutation(count)
    return [sorted(order[start :: min(FOLDS, count)].tolist()) for start in range(min(FOLDS, count))]


def _stratified(labels: NDArray[np.bool_], seed: int) -> list[list[int]]:
    """Rows in folds that hold good and defective ones in proportion, so that all others hold both kinds.

    No folds where there is only one of a kind.
    """
    kinds = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    count = min(FOLDS, *(len(kind) for kind in kinds))
    if count < 2:
        return []
    folds: list[list[int]] = [[] for _ in range(count)]
    generator = numpy_generator(seed, "thresholds", "labelled")
    for kind in kinds:
        for number, row in enumerate(generator.permutation(kind).tolist()):
            folds[number % count].append(row)
    return [sorted(fold) for fold in folds]
