"""Each photograph opened once, and what is kept of it: a few kilobytes, whatever its size."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leatherens.core.colours import image_colour
from leatherens.core.errors import InputError
from leatherens.core.inspection.perceptual import SIDE, small_grey
from leatherens.core.photographs import Header, described_photograph, resize_photograph

if TYPE_CHECKING:
    from leatherens.core.colours import Lab
    from leatherens.core.inspection.perceptual import Small
    from leatherens.core.inspection.stock import Item

FLAT = 1
"""Grey levels between the darkest and the lightest part of a picture that shows nothing."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph that can be read.

    size: height and width, upright. content: the same only where all pixels
    are, as far as 32 bits beyond a like small picture can tell. brightest: its highest channel value,
    0..255. colour: (3,) CIELAB.
    """

    item: Item
    size: tuple[int, int]
    header: Header
    content: bytes
    brightest: int
    small: Small
    colour: Lab

    @property
    def id(self) -> str:
        """The sample's."""
        return self.item.sample.id

    @property
    def flat(self) -> bool:
        """Whether it shows nothing: one even colour."""
        return int(self.small.max()) - int(self.small.min()) <= FLAT


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A photograph that cannot be used, and why."""

    item: Item
    reason: str


def look_at(item: Item) -> Picture | Unreadable:
    """Open one photograph."""
    path = item.sample.path
    try:
        pixels, header = described_photograph(path)
    except InputError as error:
        return Unreadable(item, str(error))
    height, width, _ = pixels.shape
    small = resize_photograph(pixels, (SIDE, SIDE))
    content = (
        struct.pack("<III", height, width, zlib.crc32(pixels.data)) + hashlib.sha256(small.data).digest()
    )
    return Picture(
        item,
        (height, width),
        header,
        content,
        int(pixels.max()),
        small_grey(small),
        image_colour(small),
    )
