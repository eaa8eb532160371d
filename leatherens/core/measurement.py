"""All metrics of scored images that come one at a time, for all of them and for groups, in one pass.

A run's evaluation and the command `metrics` both measure with this. What is added is kept by kind of defect
and by view, so that the metrics of any group follow without another look at the maps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from leatherens.core.metrics import (
    FPR_LIMIT,
    LOCO_LIMITS,
    Confusion,
    PixelDecisions,
    area_under_overlap,
    undefined,
)
from leatherens.core.metrics.decisions import NOTHING
from leatherens.core.metrics.impostors import Impostors
from leatherens.core.pixel_pool import BoolArray, PixelPool, image_pixels
from leatherens.core.reading import Sample
from leatherens.core.saturation import Region
from leatherens.core.score_counts import ROOM, FloatArray, ScoreCounts
from leatherens.core.sweep import Sweep, sweep

MEAN = "mean of kinds"
"""Of MVTec LOCO, what its paper reports: structural and logical anomalies weigh the same."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured.

    threshold, pixel_threshold: an image or a pixel is defective when its score is above, unless it comes with
    a verdict or a threshold of its own; `None`: no metrics at a threshold. limits: of AU-PRO. impostors:
    compute what other code calls by the same names, too.
    """

    threshold: float | None = None
    pixel_threshold: float | None = None
    limits: Sequence[float] = (FPR_LIMIT,)
    impostors: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics by name, NaN where undefined, and why."""

    values: Mapping[str, float]
    undefined: Mapping[str, str]


@dataclass(slots=True)
class _Group:
    """What is known of some images."""

    options: Options
    pool: PixelPool
    decisions: PixelDecisions
    defect: list[float] = field(default_factory=list)
    good: list[float] = field(default_factory=list)
    verdicts: Confusion = NOTHING
    saturable: bool = False  # whether the data say of any defect how much must be found

    @classmethod
    def joined(cls, groups: Sequence[_Group], options: Options) -> _Group:
        """All of their images."""
        whole = cls(options, PixelPool.joined(g.pool for g in groups), _decisions(options))
        for group in groups:
            whole.decisions += group.decisions
            whole.defect += group.defect
            whole.good += group.good
            whole.verdicts += group.verdicts
            whole.saturable |= group.saturable
        return whole

    def measured(self) -> Measured:
        values = {**self._of_images(), **self._of_pixels()}
        return Measured(values, undefined(values, self._missing()))

    def images(self) -> Sweep:
        return sweep(np.array(self.defect), [ScoreCounts([np.array(self.good)])])

    def _of_images(self) -> dict[str, float]:
        counts = self.images()
        found = {
            "image_auroc": counts.auroc(),
            "image_ap": counts.average_precision(),
            "image_f1_max": counts.best_f1()[0],
        }
        if self.options.threshold is not None:
            found |= {
                "image_accuracy": self.verdicts.accuracy,
                "image_precision": self.verdicts.precision,
                "image_recall": self.verdicts.recall,
                "image_f1": self.verdicts.f1,
                "false_alarm_rate": self.verdicts.false_alarm_rate,
            }
        return found

    def _of_pixels(self) -> dict[str, float]:
        counts = self.pool.sweep()
        found = {
            "pixel_auroc": counts.auroc(),
            "pixel_ap": counts.average_precision(),
            "pixel_f1_max": counts.best_f1()[0],
        }
        for limit in self.options.limits:
            found[limited("au_pro", limit, FPR_LIMIT)] = area_under_overlap(counts, limit)
        if self.saturable:
            saturated = self.pool.saturated_sweep()
            for limit in LOCO_LIMITS:
                found[limited("au_spro", limit, LOCO_LIMITS[1])] = area_under_overlap(saturated, limit)
        if self.options.pixel_threshold is not None:
            decided = self.decisions
            found |= {"iou": decided.pixels.iou, "iou_per_image": decided.iou_per_image, "pro": decided.pro}
            found |= {"spro": decided.spro} if self.saturable else {}
        return found

    def _missing(self) -> set[str]:
        """What there is none of, in the words of `definitions.NEEDS`."""
        there = {
            "good image": len(self.good),
            "defective image": len(self.defect),
            "labelled image": len(self.good) + len(self.defect),
            "labelled image above the threshold": self.verdicts.called,
            "defect pixel that is marked and counts": self.pool.regions,
            "good pixel that counts": sum(bag.size for bag in self.pool.good),
            "pixel that is marked or above the pixel threshold": self.pool.regions
            + self.decisions.pixels.called,
            "defect of which the data say how much must be found": self.pool.channels,
        }
        return {name for name, count in there.items() if not count}


class Measurement:
    """Gathers scored images of at most so many kinds and views; nothing of a map is kept but counts."""

    def __init__(self, options: Options, *, cells: int = 1) -> None:
        self.options = options
        self._room = max(ROOM // max(cells, 1), 1 << 20)
        self._cells: dict[tuple[str, str, bool | None], _Group] = {}
        self._impostors = Impostors(options.pixel_threshold) if options.impostors else None

    def add(self, sample: Sample, score: float, *, flagged: bool | None = None) -> None:
        """An image's score, and the verdict on it if that is known; one without a label counts nowhere."""
        if sample.defective is None:
            return
        cell, threshold = self._cell(sample), self.options.threshold
        (cell.defect if sample.defective else cell.good).append(score)
        if threshold is not None:
            above = bool(score > float(threshold)) if flagged is None else flagged
            cell.verdicts += _verdict(sample.defective, above)

    def add_pixels(
        self,
        sample: Sample,
        scores: FloatArray,
        mask: BoolArray,
        valid: BoolArray | None = None,
        regions: Sequence[Region] | None = None,
        *,
        threshold: float | None = None,
    ) -> None:
        """The map of an image whose defects are marked in `mask`, or which is good; `InputError` names it.

        regions: of MVTec LOCO, each with how much of it must be found; `None` where the data do not say.
        threshold: this image's own pixel threshold.
        """
        cell = self._cell(sample)
        image = image_pixels(scores, mask, valid, name=sample.id)
        cell.pool.add(image)
        if self.options.pixel_threshold is not None:
            cell.decisions.add(image, threshold=threshold)
        if regions is not None:
            cell.saturable = True
            cell.pool.add_channels(scores, regions, valid)
            if self.options.pixel_threshold is not None:
                cell.decisions.add_channels(scores, regions, valid, threshold=threshold)
        if self._impostors is not None:
            self._impostors.add(scores, mask, image)

    def all(self) -> Measured:
        """Of all images."""
        return self._group(self._cells.values()).measured()

    @property
    def pool(self) -> PixelPool:
        """The pixels of all images."""
        return PixelPool.joined(cell.pool for cell in self._cells.values())

    def by_defect(self) -> dict[str, Measured]:
        """Of each kind of defect together with all good images; with saturations, their mean last.

        The mean of a metric is that of the kinds where it is defined.
        """
        good = [cell for (_, _, defective), cell in self._cells.items() if not defective]
        kinds: dict[str, list[_Group]] = {}
        for (kind, _, defective), cell in self._cells.items():
            if defective:
                kinds.setdefault(kind, []).append(cell)
        found = {kind: self._group([*good, *cells]).measured() for kind, cells in sorted(kinds.items())}
        if len(found) > 1 and any(cell.saturable for cell in self._cells.values()):
            found[MEAN] = _mean(list(found.values()))
        return found

    def by_view(self) -> dict[str, Measured]:
        """Of the images of each view."""
        views: dict[str, list[_Group]] = {}
        for (_, view, _), cell in self._cells.items():
            views.setdefault(view, []).append(cell)
        return {view: self._group(cells).measured() for view, cells in sorted(views.items())}

    def impostors(self) -> dict[str, float]:
        """What other code computes, of all images; nothing unless it was asked for."""
        if self._impostors is None:
            return {}
        whole = self._group(self._cells.values())
        defective = PixelPool.joined(cell.pool for (_, _, bad), cell in self._cells.items() if bad)
        return self._impostors.values(whole.pool, defective, whole.images())

    def counts(self) -> dict[str, int]:
        """How many images, regions and pixels there are."""
        whole = self._group(self._cells.values())
        return {
            "good_images": len(whole.good),
            "defective_images": len(whole.defect),
            "regions": whole.pool.regions,
            "defect_pixels": sum(scores.size for scores in whole.pool.defect),
            "good_pixels": sum(bag.size for bag in whole.pool.good),
        }

    def _cell(self, sample: Sample) -> _Group:
        key = sample.defect, sample.view, sample.defective
        if key not in self._cells:
            pool = PixelPool.empty(room=self._room)
            self._cells[key] = _Group(self.options, pool, _decisions(self.options))
        return self._cells[key]

    def _group(self, cells: Iterable[_Group]) -> _Group:
        return _Group.joined(list(cells), self.options)


def _verdict(defective: bool, flagged: bool) -> Confusion:
    return Confusion(
        int(defective and flagged),
        int(defective and not flagged),
        int(not defective and flagged),
        int(not defective and not flagged),
    )


def _decisions(options: Options) -> PixelDecisions:
    return PixelDecisions(math.inf if options.pixel_threshold is None else options.pixel_threshold)


def limited(name: str, limit: float, usual: float) -> str:
    """The name with its limit, unless that is the usual one."""
    return name if limit == usual else f"{name}_{limit:g}"


def _mean(rows: Sequence[Measured]) -> Measured:
    names = list(rows[0].values)
    values = {name: _mean_of([row.values.get(name, math.nan) for row in rows]) for name in names}
    reasons = {name: "no kind of defect has one" for name, value in values.items() if math.isnan(value)}
    return Measured(values, reasons)


def _mean_of(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan
