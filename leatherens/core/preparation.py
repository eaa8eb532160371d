"""What happens to a photograph before it is brought to the working size: registered, lit, masked.

A preparation is one step. It gets the photograph as the step before it left it, at full size, and says
besides where nothing counts, what models must not see, and how the picture moved: `Frame` takes a score map
back to the photograph it belongs to. What a step learns (a reference, a region) it learns from good images
that teach.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Self

from leatherens.core.component import Component
from leatherens.core.errors import InputError
from leatherens.core.geometry import resize_scores
from leatherens.core.photographs import Mask, Photograph, resize_photograph
from leatherens.core.progress import Progress, Silent
from leatherens.core.strangers import blaming

FloatMap = NDArray[np.float32]
Warp = NDArray[np.float64]
"""(3, 3): pixel coordinates (x, y, 1), centres at whole numbers, to others, up to a factor."""

WHOLE = 0.999
"""Share of a working pixel's area that must count for it to count: what is averaged in is seen."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a large photograph: where they begin, and the height and width of the whole."""

    top: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A photograph on its way to the models.

    name: its id, for messages. pixels: (H, W, 3) 8-bit RGB.
    ignored: (H, W) bool, where nothing counts; hidden: (H, W) bool, what models must not see either, such as
        what lies outside the photograph. `None`: nowhere.
    warp: from the photograph's pixel coordinates to these; `None` where nothing moved.
    remarks: what a user should know of this image, a sentence each.
    part: which rows of the photograph these are; `None`: all of them.
    """

    name: str
    pixels: Photograph
    ignored: Mask | None = None
    hidden: Mask | None = None
    warp: Warp | None = None
    remarks: tuple[str, ...] = ()
    part: Part | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as it is now."""
        height, width = self.pixels.shape[:2]
        return height, width

    @property
    def whole_size(self) -> tuple[int, int]:
        """Height and width of the photograph that this is, or is a part of."""
        return self.size if self.part is None else self.part.size

    @property
    def rows(self) -> slice:
        """Its rows in the whole photograph."""
        top = 0 if self.part is None else self.part.top
        return slice(top, top + self.size[0])

    def cut(self, rows: slice, columns: slice) -> Prepared:
        """A window of it, as a picture of its own."""
        window = (rows, columns)
        ignored, hidden = (None if r is None else r[window] for r in (self.ignored, self.hidden))
        return Prepared(self.name, self.pixels[window], ignored, hidden)

    def grown(self, size: tuple[int, int]) -> Prepared:
        """The same with rows below and columns to the right, up to a size, that are not seen."""
        if size == self.size:
            return self
        beyond = [(0, new - old) for new, old in zip(size, self.size, strict=True)]
        ignored = None if self.ignored is None else np.pad(self.ignored, beyond)
        hidden = np.zeros(self.size, np.bool_) if self.hidden is None else self.hidden
        hidden = np.pad(hidden, beyond, constant_values=True)
        return replace(self, pixels=np.pad(self.pixels, [*beyond, (0, 0)]), ignored=ignored, hidden=hidden)

    @property
    def counted(self) -> Mask | None:
        """(H, W) bool, where it is neither ignored nor hidden; `None`: everywhere."""
        out = self.ignored if self.hidden is None else _united(self.ignored, self.hidden)
        return None if out is None else ~out

    def ignoring(self, region: Mask) -> Prepared:
        """The same, where a region (H, W) does not count; models may look at it."""
        return replace(self, ignored=_united(self.ignored, region))

    def hiding(self, region: Mask) -> Prepared:
        """The same, where a region (H, W) neither counts nor is seen."""
        return replace(self, hidden=_united(self.hidden, region))


def _united(first: Mask | None, second: Mask) -> Mask:
    return second if first is None else first | second


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a step did to one photograph, to look at.

    before, after: (h, w, 3) 8-bit RGB of one size. caption: what is seen, in numbers. legend: a sentence that
    says how all pictures of this step are read.
    """

    before: Photograph
    after: Photograph
    caption: str
    legend: str


class Pictures(Protocol):
    """Photographs to learn a step from; each access decodes one anew."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, index: int, /) -> Prepared:
        """One of them, as the steps before left it."""
        ...


class Preparation(Component):
    """Plugin kind `preparations`: one step between a photograph and the working size.

    learns: whether `fit` learns something, which is then stored with the run.
    by_parts: whether `apply` may get some rows of a photograph (`Prepared.part`) and does with them what it
        would do in the whole. Steps that may not keep photographs of tiled runs from being read in bands.
    """

    learns: ClassVar[bool] = False
    by_parts: ClassVar[bool] = False

    @final
    def fit(self, good: Pictures, *, seed: int = 0, progress: Progress | None = None) -> Self:
        """Learn from good photographs, forgetting earlier fits; what learns nothing is left as it is."""
        if not self.learns:
            return self
        if not len(good):
            raise InputError(f"{self.id}: needs at least one good photograph")
        self.forget()
        self._fit(good, seed, progress or Silent())
        return self

    @final
    def apply(self, picture: Prepared) -> Prepared:
        """The picture after this step; it changes nothing that was learned and nothing in the argument."""
        if self.learns:
            self.require_fitted("apply")
        if picture.part is not None and not self.by_parts:
            raise InputError(
                f"{picture.name}: '{self.id}' needs the whole photograph and was given some rows of it"
            )
        found = self._apply(picture)
        if found.pixels.dtype != np.uint8 or found.pixels.shape[2:] != (3,):
            said = f"{found.pixels.dtype} {found.pixels.shape}"
            raise InputError(f"{self.id}: delivered pixels {said}, expected uint8 (H, W, 3)")
        for name, region in (("ignored", found.ignored), ("hidden", found.hidden)):
            if region is not None and region.shape != found.size:
                raise InputError(
                    f"{self.id}: delivered a picture of {found.size} and a region {name} of {region.shape}"
                )
        return found

    def compare(self, picture: Prepared) -> Comparison | None:
        """Before and after this step, for reports; `None` where there is nothing to see."""
        return None

    def _fit(self, good: Pictures, seed: int, progress: Progress) -> None:
        """Learn; put what is learned into attributes ending in `_`."""
        raise NotImplementedError(f"{self.id}: declares that it learns, but has no _fit")

    @abstractmethod
    def _apply(self, picture: Prepared) -> Prepared:
        """The picture after this step."""


def prepare(
    name: str, photograph: Photograph, steps: Sequence[Preparation], part: Part | None = None
) -> Prepared:
    """A photograph after all steps, at full size; or some of its rows, if the steps work by parts."""
    picture = Prepared(name, photograph, part=part)
    for step in steps:
        with blaming(f"preparation '{step.id}'", f"with {name}"):
            picture = step.apply(picture)
    return picture


@dataclass(frozen=True, slots=True)
class Working:
    """A prepared picture at working size, as small as it can be kept.

    pixels: (h, w, 3) 8-bit RGB. valid: (h, w) bool, where it counts; hidden: (h, w) bool, what is not seen,
    given wherever `valid` is; `None`: everywhere, nowhere. frame: the way back.
    """

    pixels: Photograph
    valid: Mask | None
    hidden: Mask | None
    frame: Frame

    @property
    def nbytes(self) -> int:
        """Bytes of its pictures."""
        return sum(part.nbytes for part in (self.pixels, self.valid, self.hidden) if part is not None)


def at_working_size(picture: Prepared, original: tuple[int, int], size: tuple[int, int]) -> Working:
    """A prepared picture brought to a working size (height, width); refused if nothing is left to inspect.

    A working pixel counts, and is seen, only if all the pixels that are averaged in it do.
    original: height and width of the photograph.
    """
    working = shrunk(picture, original, size)
    if working.valid is not None and not working.valid.any():
        raise nothing_left(picture.name)
    return working


def shrunk(picture: Prepared, original: tuple[int, int], size: tuple[int, int]) -> Working:
    """As `at_working_size`, whatever is left."""
    pixels, frame = resize_photograph(picture.pixels, size), Frame(original, picture.size, picture.warp)
    if picture.hidden is None and picture.ignored is None:
        return Working(pixels, None, None, frame)
    hidden, ignored = (_touched(region, size) for region in (picture.hidden, picture.ignored))
    return Working(pixels, ~(hidden | ignored), hidden, frame)


def nothing_left(name: str) -> InputError:
    """Why a picture is refused of which nothing counts."""
    return InputError(
        f"{name}: nothing is left to inspect; make the region to ignore smaller, or leave it out"
    )


def _touched(region: Mask | None, size: tuple[int, int]) -> Mask:
    """(H, W) to (h, w): the working pixels that hold anything of a region."""
    if region is None:
        return np.zeros(size, dtype=np.bool_)
    clear = resize_photograph(np.where(region, 0.0, 1.0).astype(np.float32), size)
    touched: Mask = clear < WHOLE
    return touched


@dataclass(frozen=True, slots=True)
class Frame:
    """How a prepared picture lies in its photograph.

    original, prepared: height and width of both. warp: from the photograph's pixel coordinates to the
    prepared ones.
    """

    original: tuple[int, int]
    prepared: tuple[int, int]
    warp: Warp | None = None

    def back(self, pixels: Tensor) -> FloatMap:
        """A score map (h, w) of the prepared picture as (H, W) float32 of the photograph, bilinear.

        What the prepared picture does not show has the map's lowest score.
        """
        pixels = pixels.float().cpu()
        if self.warp is None:
            resized: FloatMap = resize_scores(pixels[None], self.original)[0].numpy()
            return resized
        import cv2

        full = resize_scores(pixels[None], self.prepared)[0].numpy()
        return self._warped(full, cv2.INTER_LINEAR, float(full.min()))

    def back_valid(self, valid: Tensor) -> Mask:
        """Where a map counts (h, w) bool, as (H, W) bool of the photograph: as its nearest working pixel."""
        import cv2

        levels = valid.cpu().numpy().astype(np.uint8)
        full = cv2.resize(levels, self.prepared[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        if self.warp is not None:
            full = self._warped(full, cv2.INTER_NEAREST, 0)
        counted: Mask = np.asarray(full) > 0
        return counted

    def back_picture(self, pixels: Photograph) -> Photograph:
        """A picture (h, w, 3) of the prepared one as (H, W, 3) of the photograph, black outside."""
        import cv2

        full = resize_photograph(pixels, self.prepared)
        if self.warp is None:
            return full
        picture: Photograph = self._warped(full, cv2.INTER_LINEAR, 0).astype(np.uint8)
        return picture

    def _warped(self, full: NDArray[np.generic], method: int, outside: float) -> FloatMap:
        import cv2

        flags, size = method | cv2.WARP_INVERSE_MAP, self.original[::-1]
        warped: FloatMap = cv2.warpPerspective(
            full, self.warp, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
        )
        return warped


def stacked(regions: Sequence[Mask | None], *, elsewhere: bool) -> Tensor | None:
    """Regions (h, w) of a batch as one (B, h, w), those that are `None` filled; `None` where all are."""
    shapes = {region.shape for region in regions if region is not None}
    if not shapes:
        return None
    filling = np.full(shapes.pop(), elsewhere)
    return torch.from_numpy(np.stack([filling if region is None else region for region in regions]))
