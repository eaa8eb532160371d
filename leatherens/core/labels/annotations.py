"""What every annotator's file comes down to: pictures by name, and the regions drawn on each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leatherens.core.errors import InputError
from leatherens.core.labels.shapes import Line, Point, Shape
from leatherens.core.labels.values import number


@dataclass(frozen=True, slots=True)
class Region:
    """A shape on a picture; kind: what the annotator says it is, "" where nobody said."""

    shape: Shape
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Annotated:
    """A picture as a file of annotations names it.

    size: (height, width) in pixels, and `bytes` of its file, where the annotations say them.
    beside: folder from which `name` is meant; `None` where it is the folder of the pictures.
    """

    name: str
    regions: tuple[Region, ...] = ()
    size: tuple[int, int] | None = None
    bytes: int | None = None
    beside: Path | None = None


@dataclass(frozen=True, slots=True)
class Annotations:
    """Everything a file of annotations says; `title` is its format."""

    title: str
    pictures: tuple[Annotated, ...]

    @property
    def regions(self) -> int:
        """How many regions are drawn on all pictures together."""
        return sum(len(picture.regions) for picture in self.pictures)


@dataclass(frozen=True, slots=True)
class Pens:
    """How to read what has no area or no name of its own.

    line_width: pixels; point_radius: pixels, 0 for one pixel; `None`: such shapes are refused.
    attribute: VIA's region attribute that says the kind, where regions have several.
    """

    line_width: float | None = None
    point_radius: float | None = None
    attribute: str | None = None

    def __post_init__(self) -> None:
        for option, value, least in (
            ("line-width", self.line_width, 1),
            ("point-radius", self.point_radius, 0),
        ):
            if value is not None and not (math.isfinite(value) and value >= least):
                raise InputError(f"--{option}: expected {least} or more pixels, got {value:g}")

    def line(self, points: list[tuple[float, float]], what: str) -> Shape:
        """A line, which has no area of its own."""
        if self.line_width is None:
            raise InputError(f"{what}: a line has no area; say --line-width with its width in pixels")
        return Line(points, self.line_width)

    def point(self, x: float, y: float, what: str) -> Shape:
        """A point, which has no area of its own."""
        if self.point_radius is None:
            raise InputError(f"{what}: a point has no area; say --point-radius in pixels, 0 for one pixel")
        return Point.at(x, y, radius=self.point_radius)


def drawn(shapes: dict[str, Callable[[], Shape]], name: Any, what: str) -> Shape:
    """The shape called `name`, by what makes it."""
    if not isinstance(name, str) or name not in shapes:
        raise InputError(
            f"{what}: unknown shape {name!r} (shapes: {', '.join(shapes)}); draw it as a polygon"
        )
    return shapes[name]()


def corners(values: list[Any], what: str, *, least: int) -> list[tuple[float, float]]:
    """(x, y) pairs of numbers, at least so many."""
    points = []
    for pair in values:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InputError(f"{what}: expected points with x and y, got {pair!r}")
        points.append((number(pair[0], what), number(pair[1], what)))
    if len(points) < least:
        raise InputError(
            f"{what}: {len(points)} points, at least {least} are needed; mend or delete the region"
        )
    return points
