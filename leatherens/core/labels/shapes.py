"""Shapes drawn on a picture, and which pixels they mark.

One rule for every file format. Pixel (column 0, row 0) covers 0..1 in x and in y.

- Outlines (polygons, rectangles) run between pixels: a pixel is marked when its middle (column + 0.5,
  row + 0.5) lies inside, by the even-odd rule. A middle on the line belongs to what lies right of it or
  below, so that shapes that share an edge share no pixel and leave none out.
- Round shapes, lines and points are measured from pixel to pixel: a circle at (5, 5) is round the pixel in
  column 5 and row 5, and marks those whose numbers are at most the radius away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, floor, hypot, sin
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

if TYPE_CHECKING:
    from leatherens.core.photographs import Mask

Points = Sequence[tuple[float, float]]
"""(x, y) in pixels, each finite."""


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels from `left` and `top` up to, without, `right` and `bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        """Whether no pixel lies in it."""
        return self.left >= self.right or self.top >= self.bottom

    def within(self, size: tuple[int, int]) -> Box:
        """The part inside a picture of (height, width) `size`."""
        height, width = size
        return Box(max(self.left, 0), max(self.top, 0), min(self.right, width), min(self.bottom, height))


class Shape(ABC):
    """Something drawn; `name` is what the annotator calls it."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def box(self) -> Box:
        """The pixels it may mark, inside the picture or not."""

    @abstractmethod
    def _marked(self, box: Box) -> Mask:
        """Which pixels of a box it marks."""

    @final
    def mask(self, size: tuple[int, int]) -> Mask:
        """(H, W) booleans: the pixels it marks of a picture of (height, width) `size`."""
        mask = np.zeros(size, dtype=np.bool_)
        box = self.box.within(size)
        if not box.empty:
            mask[box.top : box.bottom, box.left : box.right] = self._marked(box)
        return mask

    @final
    def cut(self, size: tuple[int, int]) -> str:
        """How far it reaches past the edges of the picture, in words; "" when it does not.

        >>> Polygon([(-2, 1), (3, 1), (3, 9), (-2, 9)]).cut((8, 8))
        '2 pixels past the left edge, 1 pixel past the bottom edge'
        """
        height, width = size
        box = self.box
        past = {
            "left": -box.left,
            "right": box.right - width,
            "top": -box.top,
            "bottom": box.bottom - height,
        }
        if box.empty:
            return ""
        return ", ".join(
            f"{count} pixel{'' if count == 1 else 's'} past the {edge} edge"
            for edge, count in past.items()
            if count > 0
        )


@dataclass(frozen=True, slots=True)
class Polygon(Shape):
    """A closed outline, filled by the even-odd rule.

    >>> Polygon([(0, 0), (4, 0), (0, 4)]).mask((4, 4)).sum()
    np.int64(6)
    """

    points: Points

    name: ClassVar[str] = "polygon"

    @property
    def box(self) -> Box:
        """The pixels whose middle may lie inside."""
        (left, right), (top, bottom) = (_span(side) for side in zip(*self.points, strict=True))
        return Box(left, top, right, bottom)

    def _marked(self, box: Box) -> Mask:
        corners = np.asarray(self.points, dtype=np.float64)  # (N, 2)
        following = np.roll(corners, -1, axis=0)
        # Each edge from its upper end: both neighbours of a shared edge then compute the same crossings.
        upper, lower = (
            np.where((corners[:, 1:] <= following[:, 1:]) == first, corners, following)
            for first in (True, False)
        )
        first, last = (
            np.ceil(ends[:, 1] - 0.5).clip(box.top, box.bottom).astype(int) for ends in (upper, lower)
        )
        edges = np.repeat(np.arange(len(corners)), last - first)
        starts = np.cumsum(last - first) - (last - first)
        rows = first[edges] + np.arange(len(edges)) - starts[edges]
        (x, y), (far_x, far_y) = upper[edges].T, lower[edges].T
        crossings = x + (rows + 0.5 - y) * ((far_x - x) / (far_y - y))
        columns = np.ceil(crossings - 0.5).clip(box.left, box.right).astype(int)
        toggles = np.zeros((box.bottom - box.top, box.right - box.left + 1), dtype=np.int32)
        np.add.at(toggles, (rows - box.top, columns - box.left), 1)
        inside: Mask = np.cumsum(toggles, axis=1)[:, :-1] % 2 == 1
        return inside


@dataclass(frozen=True, slots=True)
class Rectangle(Polygon):
    """A rectangle with upright sides.

    >>> Rectangle.at(2, 3, width=4, height=5).mask((10, 10)).sum()
    np.int64(20)
    """

    name: ClassVar[str] = "rectangle"

    @classmethod
    def at(cls, x: float, y: float, *, width: float, height: float) -> Rectangle:
        """From its top left corner."""
        return cls([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])


@dataclass(frozen=True, slots=True)
class Ellipse(Shape):
    """An ellipse with its half axes, the first turned clockwise from the x axis by `theta` radians."""

    x: float
    y: float
    rx: float
    ry: float
    theta: float = 0.0

    name: ClassVar[str] = "ellipse"

    @property
    def box(self) -> Box:
        """The pixels round its middle as far as it reaches."""
        wide = hypot(self.rx * cos(self.theta), self.ry * sin(self.theta))
        high = hypot(self.rx * sin(self.theta), self.ry * cos(self.theta))
        return _around([(self.x, self.y)], wide, high)

    def _marked(self, box: Box) -> Mask:
        theta = 0.0 if self.rx == self.ry else self.theta  # a circle is one to the last bit, however turned
        across = np.arange(box.left, box.right) - self.x  # (w,)
        down = (np.arange(box.top, box.bottom) - self.y)[:, None]  # (h, 1)
        along = across * cos(theta) + down * sin(theta)
        aside = down * cos(theta) - across * sin(theta)
        # Multiplied out, whole numbers stay exact. Without an axis it is a line, or one pixel.
        inside = (along * self.ry) ** 2 + (aside * self.rx) ** 2 <= (self.rx * self.ry) ** 2
        inside &= (abs(along) <= self.rx) & (abs(aside) <= self.ry)
        return np.asarray(inside, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Circle(Ellipse):
    """A circle.

    >>> Circle.at(5, 5, radius=2).mask((10, 10)).sum()
    np.int64(13)
    """

    name: ClassVar[str] = "circle"

    @classmethod
    def at(cls, x: float, y: float, *, radius: float) -> Circle:
        """From its middle."""
        return cls(x, y, radius, radius)


@dataclass(frozen=True, slots=True)
class Point(Circle):
    """The pixel that holds a point, and those at most a radius from it."""

    name: ClassVar[str] = "point"

    @classmethod
    def at(cls, x: float, y: float, *, radius: float) -> Point:
        """From where it was set."""
        return cls(floor(x), floor(y), radius, radius)


@dataclass(frozen=True, slots=True)
class Line(Shape):
    """Straight pieces from point to point, `width` pixels wide, with round ends."""

    points: Points
    width: float

    name: ClassVar[str] = "line"

    @property
    def box(self) -> Box:
        """The pixels at most half the width from its points' bounds."""
        return _around(self.points, self.width / 2, self.width / 2)

    def _marked(self, box: Box) -> Mask:
        marked = np.zeros((box.bottom - box.top, box.right - box.left), dtype=np.bool_)
        for (x, y), (far_x, far_y) in zip(self.points, self.points[1:] or self.points, strict=False):
            piece = _around([(x, y), (far_x, far_y)], self.width / 2, self.width / 2)
            near = Box(
                max(piece.left, box.left),
                max(piece.top, box.top),
                min(piece.right, box.right),
                min(piece.bottom, box.bottom),
            )
            if near.empty:
                continue
            across = np.arange(near.left, near.right) - x
            down = (np.arange(near.top, near.bottom) - y)[:, None]
            wide, high = far_x - x, far_y - y
            share = (across * wide + down * high) / ((wide**2 + high**2) or 1.0)
            share = share.clip(0, 1)
            distance = (across - share * wide) ** 2 + (down - share * high) ** 2
            rows = slice(near.top - box.top, near.bottom - box.top)
            columns = slice(near.left - box.left, near.right - box.left)
            marked[rows, columns] |= distance <= (self.width / 2) ** 2
        return marked


@dataclass(frozen=True, slots=True, eq=False)
class Pixels(Shape):
    """Pixels as they are: `marked` (h, w), of which the first lies in column `left` and row `top`."""

    marked: Mask
    left: int = 0
    top: int = 0

    name: ClassVar[str] = "mask"

    @property
    def box(self) -> Box:
        """The bounds of what is marked."""
        rows, columns = (np.flatnonzero(self.marked.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return Box(self.left, self.top, self.left, self.top)
        across, down = (int(columns[0]), int(columns[-1]) + 1), (int(rows[0]), int(rows[-1]) + 1)
        return Box(self.left + across[0], self.top + down[0], self.left + across[1], self.top + down[1])

    def _marked(self, box: Box) -> Mask:
        rows = slice(box.top - self.top, box.bottom - self.top)
        return self.marked[rows, box.left - self.left : box.right - self.left]


@dataclass(frozen=True, slots=True)
class Several(Shape):
    """Several shapes as one: what any of them marks."""

    parts: Sequence[Shape]

    name: ClassVar[str] = "polygons"

    @property
    def box(self) -> Box:
        """The bounds of all."""
        boxes = [part.box for part in self.parts]
        return Box(
            min(box.left for box in boxes),
            min(box.top for box in boxes),
            max(box.right for box in boxes),
            max(box.bottom for box in boxes),
        )

    def _marked(self, box: Box) -> Mask:
        masks = [part.mask((box.bottom, box.right)) for part in self.parts]
        marked: Mask = np.logical_or.reduce(masks)[box.top :, box.left :]
        return marked


def _span(coordinates: Sequence[float]) -> tuple[int, int]:
    """The pixels whose middles lie between the least and the greatest coordinate."""
    return ceil(min(coordinates) - 0.5), ceil(max(coordinates) - 0.5)


def _around(points: Points, wide: float, high: float) -> Box:
    """The pixels whose numbers are at most so far from the bounds of points."""
    columns, rows = zip(*points, strict=True)
    return Box(
        ceil(min(columns) - wide),
        ceil(min(rows) - high),
        floor(max(columns) + wide) + 1,
        floor(max(rows) + high) + 1,
    )
