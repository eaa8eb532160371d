"""What a set of good images looks like, as one value with a sentence for each part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from leatherens.core.colours import Colours
from leatherens.core.listing import counted, named
from leatherens.core.looks.places import Places
from leatherens.core.looks.surface import UNEVEN

Size = tuple[int, int]

FINE = 2.0
"""Pixels; details narrower than that at the working size are blurred away by being brought there."""

FAINT = 0.5
"""Share of the contrast; with less of it left much of the surface is no longer to be seen."""


@dataclass(frozen=True, slots=True)
class Details:
    """width: of what is to be seen, in pixels of a photograph. shrink: how many times a photograph shrinks on
    its way to the working `size`, 1 where it does not. left: share of the contrast that remains there."""

    width: float
    shrink: float
    left: float
    size: Size

    @property
    def lost(self) -> bool:
        """Whether images brought to the working size would no longer show much of their surface."""
        return self.shrink > 1 and self.left < FAINT and self.width / self.shrink < FINE


@dataclass(frozen=True, slots=True)
class Look:
    """What good images look like.

    images: how many there are; seen: how many of them were looked at; unreadable: ids of those drawn that
    could not be. smallest, largest: by number of pixels. unevenness: median, see `surface`. views: the names
    of several views, empty for one.
    """

    images: int
    seen: int
    unreadable: tuple[str, ...]
    smallest: Size
    largest: Size
    colours: Colours
    unevenness: float
    details: Details
    places: Places
    views: tuple[str, ...] = ()

    @property
    def surface(self) -> Literal["texture", "object"]:
        """Which of the two the images show."""
        return "object" if self.unevenness >= UNEVEN else "texture"

    @property
    def longest_side(self) -> int:
        """Of the largest photograph, in pixels."""
        return max(self.largest)

    @property
    def still(self) -> bool:
        """Whether all images show the part at the same place; a texture has no place."""
        return self.surface == "object" and self.places.still

    @property
    def sentences(self) -> dict[str, str]:
        """A sentence for each part, by its name."""
        return {
            "images": self._images,
            "size": self._size,
            "colours": self._colours,
            "surface": self._surface,
            "details": self._details,
            "places": self._places,
            "views": self._views,
        }

    def content(self) -> dict[str, Any]:
        """Plain values, with the sentences."""
        return {
            "images": self.images,
            "seen": self.seen,
            "unreadable": list(self.unreadable),
            "smallest": list(self.smallest),
            "largest": list(self.largest),
            "colours": {cluster.name: cluster.images for cluster in self.colours.clusters},
            "one_colour": self.colours.one,
            "surface": self.surface,
            "unevenness": round(self.unevenness, 3),
            "detail_width": round(self.details.width, 2),
            "contrast_left": round(self.details.left, 3),
            "likeness_in_place": round(self.places.alike, 3),
            "registrable": self.places.fitting,
            "aligned": self.still,
            "views": list(self.views),
            "sentences": self.sentences,
        }

    @property
    def _images(self) -> str:
        told = counted(self.images, "good image")
        told += f", {self.seen} of them looked at" if self.seen < self.images else ""
        if self.unreadable:
            told += f"; {len(self.unreadable)} cannot be read: {named(self.unreadable)}"
        return told

    @property
    def _size(self) -> str:
        one, other = (f"{height} x {width}" for height, width in (self.smallest, self.largest))
        return f"{one} pixels" if one == other else f"{one} to {other} pixels"

    @property
    def _colours(self) -> str:
        return self.colours.sentence

    @property
    def _surface(self) -> str:
        what = {
            "texture": "a texture: there is about as much to see in every part of a picture",
            "object": "an object: contrast gathers in some parts of a picture, others are plain",
        }
        return f"{what[self.surface]} (unevenness {self.unevenness:.2f}, an object from {UNEVEN:g})"

    @property
    def _details(self) -> str:
        detail = self.details
        told = f"details are about {detail.width:.1f} pixels wide"
        if detail.shrink <= 1:
            return told
        height, width = detail.size
        told += f"; at {height} x {width} they are {detail.width / detail.shrink:.1f} pixels wide, with "
        told += f"{detail.left:.0%} of the contrast left"
        return f"{told}: too little, look in tiles (--tile)" if detail.lost else told

    @property
    def _places(self) -> str:
        alike = f"likeness in place {self.places.alike:.2f}"
        if self.surface == "texture":
            return f"a texture, of which no part has a place of its own ({alike})"
        if self.places.still:
            return f"the part is at the same place in all images ({alike})"
        if self.places.registrable:
            return f"the part moves, but can be laid over itself: --prepare registration helps ({alike})"
        return f"the part is not at the same place in all images ({alike})"

    @property
    def _views(self) -> str:
        return f"{len(self.views)} views: {named(self.views)}" if self.views else "one view"
