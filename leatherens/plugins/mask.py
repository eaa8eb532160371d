"""A region that is not to be inspected: a clamp, a label, the machine around the hide.

Whatever a mask leaves out teaches nothing, sets no threshold, raises no alarm and counts in no metric. Two
ways are compared in the literature: *before*, models do not see the region at all (it has the colour of the
rest), or *after*, they see the whole photograph and the region's scores are silenced. Before suits what
changes from image to image; after keeps its edge from looking like something new.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor
from typing_extensions import Self

from leatherens.core.errors import InputError
from leatherens.core.labels.shapes import Polygon
from leatherens.core.params import Params
from leatherens.core.photographs import Mask, read_mask
from leatherens.core.preparation import Pictures, Preparation, Prepared
from leatherens.core.progress import Progress

Point = tuple[float, float]


class MaskPreparation(Preparation):
    """Leaves a region out, the same in every photograph; after a registration, the same of the reference.

    The picture is read once and kept with the run.
    """

    id = "mask"
    learns: ClassVar[bool] = True
    check_options: ClassVar[Mapping[str, Any]] = {"polygons": [[[30, 20], [90, 20], [30, 80]]]}

    class Params(Params):
        """Where nothing is to be inspected.

        ignore: picture at the photographs' size, white there. polygons: outlines of such regions, corners
        (x, y) where (0, 0) is the corner of the first pixel, instead of the picture or besides. when: before
        or after scoring.
        """

        ignore: str | None = None
        polygons: tuple[Annotated[tuple[Point, ...], Field(min_length=3)], ...] = ()
        when: Literal["before", "after"] = "before"

        @field_validator("ignore")
        @classmethod
        def _absolute(cls, path: str | None) -> str | None:
            """A run is gone on with from anywhere."""
            return path if path is None else str(Path(path).resolve())

        @model_validator(mode="after")
        def _says_where(self) -> Self:
            if self.ignore is None and not self.polygons:
                raise ValueError("expected a picture (mask.ignore) or polygons (mask.polygons), got neither")
            return self

    by_parts: ClassVar[bool] = True
    region_: Tensor
    """(H, W) uint8, 1 where nothing is to be inspected."""

    def _fit(self, good: Pictures, seed: int, progress: Progress) -> None:
        size = good[0].size
        region = np.zeros(size, dtype=np.bool_)
        if self.params.ignore is not None:
            region |= _read(Path(self.params.ignore), good[0])
        for corners in self.params.polygons:
            region |= Polygon(corners).mask(size)
        if not region.any():
            raise InputError("mask: the region is empty; mark in white what is not to be inspected")
        if region.all():
            raise InputError("mask: the region covers all of the picture, so that nothing is left to inspect")
        self.region_ = torch.from_numpy(region.astype(np.uint8))

    def _apply(self, picture: Prepared) -> Prepared:
        drawn_on = (int(self.region_.shape[0]), int(self.region_.shape[1]))
        if drawn_on != picture.whole_size:
            found, expected = (f"{height} x {width}" for height, width in (picture.whole_size, drawn_on))
            raise InputError(
                f"{picture.name}: {found} pixels, and the region to ignore was drawn on {expected} (height x "
                "width); register the photographs first, or bring them to one size"
            )
        region: Mask = self.region_.numpy()[picture.rows] > 0
        return picture.hiding(region) if self.params.when == "before" else picture.ignoring(region)


def _read(path: Path, picture: Prepared) -> Mask:
    region = read_mask(path)
    if region.shape != picture.size:
        found, expected = (f"{height} x {width}" for height, width in (region.shape, picture.size))
        raise InputError(
            f"{path}: the region to ignore is {found} pixels and the photographs are {expected} (height x "
            f"width, such as {picture.name}); draw it on one of them"
        )
    return region
