"""Where good ends, for images and for pixels: the contract of threshold rules, and what they learn from.

An image or a pixel is defective when its score is strictly above its threshold, so that the maximum rule
flags none of the images it was learned from. Most rules learn from held-out good images only; those that
need labels get a share of the labelled images, on which nothing is measured then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from leatherens.core.component import Component
from leatherens.core.errors import ArtifactError, InputError
from leatherens.core.listing import counted
from leatherens.core.reading import Sample

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]

Side: TypeAlias = Literal["image", "pixel"]
SIDES: tuple[Side, ...] = ("image", "pixel")
"""What a threshold is for. The two are separate things, and may come from two rules."""


class Group(NamedTuple):
    """What an image is like, for rules that judge unlike images apart; "" where it is not known."""

    view: str = ""
    colour: str = ""


ANY = Group()
"""An image of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Normals:
    """Scores of held-out good images: (n,) image scores and n maps at the size they are judged at.

    valid: per map where it counts, `None` for everywhere.
    groups: per image what it is like, where a rule asks for it.
    step, peaks: where maps are thinned to each `step`-th pixel of each `step`-th row, (n,) the highest
        counting pixel of each whole map.
    crossed: scored by several ensembles, each of which learned from other images, and none of which will
        judge fresh ones.
    """

    image: Floats
    maps: Sequence[Floats]
    valid: Sequence[Bools | None] | None = None
    groups: Sequence[Group] | None = None
    step: int = 1
    peaks: Floats | None = None
    crossed: bool = False

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.image)

    @property
    def where(self) -> Sequence[Bools | None]:
        """Per map where it counts, `None` for everywhere."""
        return [None] * len(self.maps) if self.valid is None else self.valid

    @property
    def pooled(self) -> Floats:
        """All counting pixels of all maps, in one row; of thinned maps the highest of each as well."""
        found: Floats = np.concatenate(self.pixels())
        return found if self.peaks is None else np.append(found, self.peaks.astype(found.dtype))

    @property
    def maxima(self) -> Floats:
        """(n,) the highest counting pixel of each map."""
        if self.peaks is not None:
            return self.peaks
        return np.array([pixels.max() for pixels in self.pixels()])

    def only(self, rows: Sequence[int]) -> Normals:
        """Some of the images."""
        return Normals(
            self.image[list(rows)],
            [self.maps[i] for i in rows],
            None if self.valid is None else [self.valid[i] for i in rows],
            None if self.groups is None else [self.groups[i] for i in rows],
            self.step,
            None if self.peaks is None else self.peaks[list(rows)],
            self.crossed,
        )

    def pixels(self) -> list[Floats]:
        """Per map its counting pixels, in one row."""
        return [m.ravel() if v is None else m[v] for m, v in zip(self.maps, self.where, strict=True)]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Scores of images that somebody has labelled: (n,) image scores, (n,) labels, n maps, and their truth.

    labels: True is defective. masks: per map the marked defect, `None` where nobody has marked it. valid: per
    map where it counts, `None` for everywhere.
    """

    image: Floats
    labels: Bools
    maps: Sequence[Floats]
    masks: Sequence[Bools | None]
    valid: Sequence[Bools | None] | None = None

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.image)

    @property
    def where(self) -> Sequence[Bools | None]:
        """Per map where it counts, `None` for everywhere."""
        return [None] * len(self.maps) if self.valid is None else self.valid

    def only(self, rows: Sequence[int]) -> Labelled:
        """Some of the images."""
        return Labelled(
            self.image[list(rows)],
            self.labels[list(rows)],
            [self.maps[i] for i in rows],
            [self.masks[i] for i in rows],
            [self.where[i] for i in rows],
        )

    @property
    def marked(self) -> tuple[list[Floats], list[Bools], list[Bools | None]]:
        """Maps, masks and where they count, of the images whose truth is known pixel by pixel."""
        known = [i for i, mask in enumerate(self.masks) if mask is not None]
        masks = [mask for mask in self.masks if mask is not None]
        return [self.maps[i] for i in known], masks, [self.where[i] for i in known]


class Threshold(Component):
    """Plugin kind `thresholds`: learns `image_` and `pixel_`, or one of them, and perhaps `promise_`, a rate.

    A rule for good scores of any kind fills `_value`. One that treats images and pixels otherwise, or needs
    labels (`needs_labels`), fills `_image_limit` and `_pixel_limit`. One that judges unlike images apart
    (`tells_groups`) is told what each image is like and fills `image_for` and `pixel_for`.

    typical_: the median of the held-out good images' scores; thresholds stored by the first version lack it.
    crossed_: they were scored across folds, so that `promise_` is measured and not guaranteed; thresholds
        learned from a share of the good images lack it.
    belongs_to_: size, tiles and preparation of the images whose scores it is for, see `belonging_to`.
    labelled_: how many labelled images it learned from; stored by rules that need labels.
    """

    makes_promise: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    tells_groups: ClassVar[bool] = False
    image_: float
    pixel_: float
    typical_: float
    promise_: float | None
    normals_: int
    labelled_: int
    belongs_to_: dict[str, Any]

    @final
    def fit(
        self, normals: Normals, labelled: Labelled | None = None, *, sides: Sequence[Side] = SIDES
    ) -> Self:
        """Learn the thresholds of these sides from held-out good images and, where labels are needed, from
        labelled ones."""
        self._check_normals(normals, sides)
        if self.needs_labels:
            self._check_labels(labelled)
        self.forget()
        for side in sides:
            limit = self._image_limit if side == "image" else self._pixel_limit
            setattr(self, f"{side}_", self._number(side, limit(normals, labelled)))
        self.typical_ = float(np.median(np.asarray(normals.image, dtype=np.float64)))
        self.promise_ = self._promise(normals.count)
        self.normals_ = normals.count
        if normals.crossed:
            self.crossed_ = True
        if self.needs_labels and labelled is not None:
            self.labelled_ = labelled.count
        return self

    def check_samples(
        self, good: Sequence[Sample], labelled: Sequence[Sample], *, sides: Sequence[Side] = SIDES
    ) -> None:
        """Refuse images that it could not learn these sides from, before anything slow begins."""
        if self.needs_labels and not labelled:
            raise InputError(self._no_labels)

    def image_for(self, group: Group = ANY) -> float:
        """The image threshold of a group of images; of all, unless the rule tells groups apart."""
        return self.image_

    def pixel_for(self, group: Group = ANY) -> float:
        """The pixel threshold of a group of images."""
        return self.pixel_

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of results must know of what was learned, a sentence each."""
        return ()

    @final
    def belonging_to(self, conditions: Mapping[str, Any]) -> Self:
        """Remember how the images were prepared whose scores this is for: plain values by what they say."""
        self.require_fitted("belonging_to")
        self.belongs_to_ = dict(conditions)
        return self

    @final
    def require_same(self, conditions: Mapping[str, Any]) -> None:
        """Refuse scores of images that were prepared otherwise: the threshold means nothing there."""
        own = getattr(self, "belongs_to_", None)  # the first version stored none
        for name, value in conditions.items():
            if own is not None and own.get(name) != value:
                raise ArtifactError(
                    f"{self.id}: a threshold for images of {name} {own.get(name)}, but these have {name} "
                    f"{value}; learn it with leatherens recalibrate RUN --good DIR"
                )

    @final
    def severity(self, images: Floats, group: Group = ANY) -> Floats:
        """(n,) image scores on a scale that scorers share: 0 typical of good images, 1 at the threshold.

        Above 1 exactly where the image is defective.
        """
        self.require_fitted("severity")
        if not hasattr(self, "typical_"):
            raise ArtifactError(
                f"{self.id}: stored without the typical score of good images, so that severities cannot be "
                "told; learn it with leatherens recalibrate RUN --good DIR"
            )
        return severities(images, self.image_for(group), self.typical_)

    def _value(self, scores: Floats) -> float:
        """The threshold of a sample of good scores (n,)."""
        raise NotImplementedError(f"{self.id}: fill _value, or both _image_limit and _pixel_limit")

    def _image_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        """The image threshold; by default the rule applied to the image scores."""
        return self._value(np.asarray(normals.image, dtype=np.float64))

    def _pixel_limit(self, normals: Normals, labelled: Labelled | None) -> float:
        """The pixel threshold; by default the rule applied to the pooled pixels."""
        return self._value(normals.pooled)

    def _number(self, side: Side, limit: float) -> float:
        """A threshold as learned; above one that is no number, nothing would ever be defective."""
        if np.isnan(limit):
            raise InputError(f"{self.id}: the {side} threshold it learned is not a number")
        return float(limit)

    def _promise(self, count: int) -> float | None:
        """The false-alarm rate that holds for fresh good images."""
        return None

    def _check_normals(self, normals: Normals, sides: Sequence[Side]) -> None:
        if not normals.count or normals.count != len(normals.maps):
            found = f"{normals.count} scores and {len(normals.maps)} maps"
            raise InputError(f"{self.id}: expected one map per held-out good image, got {found}")
        seen = [normals.image, *(normals.pixels() if "pixel" in sides else [])]
        if not all(np.isfinite(scores).all() for scores in seen):
            raise InputError(f"{self.id}: the scores of held-out good images hold NaN or infinite values")

    @property
    def _no_labels(self) -> str:
        return (
            f"{self.id}: learns from labelled images, good and defective ones, and there are none; give some "
            "(leatherens run --labelled-share, leatherens thresholds --labelled DIR), or choose a rule that "
            "learns from good images only, such as conformal"
        )

    def _check_labels(self, labelled: Labelled | None) -> None:
        if labelled is None:
            raise InputError(self._no_labels)
        parts = {"labels": labelled.labels, "maps": labelled.maps, "masks": labelled.masks}
        if wrong := [name for name, part in parts.items() if len(part) != labelled.count]:
            found = f"{len(parts[wrong[0]])} {wrong[0]}"
            raise InputError(f"{self.id}: {counted(labelled.count, 'labelled image')}, but {found}")
        defective = int(np.count_nonzero(labelled.labels))
        if defective in (0, labelled.count):
            only = "defective" if defective else "good"
            raise InputError(
                f"{self.id}: learns from good and defective images, but all of the "
                f"{counted(labelled.count, 'labelled image')} are {only}"
            )
        if not np.isfinite(labelled.image).all():
            raise InputError(f"{self.id}: the scores of labelled images hold NaN or infinite values")


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
