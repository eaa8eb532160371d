"""Each photograph opened once, and what is kept of it: a few kilobytes, whatever its size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leatherens.core.colours import image_colour
from leatherens.core.errors import InputError
from leatherens.core.inspection.perceptual import small_grey
from leatherens.core.photographs import Header, read_header, read_photograph

if TYPE_CHECKING:
    from leatherens.core.colours import Lab
    from leatherens.core.inspection.perceptual import Small
    from leatherens.core.inspection.stock import Item

FLAT = 1
"""Grey levels between the darkest and the lightest part of a picture that shows nothing."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph that can be read.

    size: height and width, upright. content: a digest of its pixels. brightest: its highest channel value,
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
        header, pixels = read_header(path), read_photograph(path)
    except InputError as error:
        return Unreadable(item, str(error))
    height, width, _ = pixels.shape
    content = hashlib.blake2b(f"{height} x {width}".encode(), digest_size=16)
    content.update(pixels.data)
    return Picture(
        item,
        (height, width),
        header,
        content.digest(),
        int(pixels.max()),
        small_grey(pixels),
        image_colour(pixels),
    )
