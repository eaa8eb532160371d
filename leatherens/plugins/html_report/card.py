"""One image of the report: its pictures, small enough for the page, made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from leatherens.core.errors import LeatherensError
from leatherens.core.reporting import ScoredImage
from leatherens.plugins.html_report.colours import ColourScale
from leatherens.plugins.html_report.full_size import FullSize, full_size
from leatherens.plugins.html_report.level_maps import level_map_uri
from leatherens.plugins.html_report.pictures import Regions, jpeg_uri, regions, shrink, small_size
from leatherens.plugins.html_report.verdict import Outcome, outcome

PAGE = 28_000_000
"""Characters that pictures may take together: with all else, a page stays under 30 MB."""

FEWEST = 40
"""Cards among which a page is shared, however few there are: beyond, no more detail is seen."""

LEAST = 4_000
"""Characters of a picture, however many a card has."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Map:
    """A score map as shown, of the ensemble or a member; key: of its layer. peak: its highest score."""

    member: str
    key: str
    uri: str
    peak: float


@dataclass(frozen=True, slots=True)
class Card:
    """One image as shown: width and height in small pixels.

    photograph: "" where it cannot be read; then `unreadable` says why. full: where it lies.
    reconstructions: by member that makes one. truth: `None` where there is no mask or, says `unmarked`, where
    that cannot be read. ignored: what is not inspected, `None` where everything is.
    """

    rank: int
    image: ScoredImage
    outcome: Outcome
    width: int
    height: int
    photograph: str
    unreadable: str
    full: FullSize | None
    reconstructions: Mapping[str, str]
    score_map: Map
    member_maps: tuple[Map, ...]
    truth: Regions | None
    unmarked: str
    predicted: Regions
    ignored: Regions | None


@dataclass(frozen=True, slots=True)
class Studio:
    """How every picture of a run is made.

    scale, threshold: colours and pixel threshold of the ensemble. longest: side of a small picture; quality:
    of JPEG, percent. folder: where the page will lie. members: the members' own colours. detail: longest side
    of a score map where there is room. room: characters that the pictures of one card may take.
    """

    scale: ColourScale
    threshold: float
    longest: int
    quality: int
    folder: Path
    members: Mapping[str, ColourScale]
    detail: int
    room: int

    def card(self, rank: int, image: ScoredImage) -> Card:
        """Every picture of one image; its maps must be readable, its photograph and its mask need not."""
        scores, valid = image.score_map(), image.valid()
        above = scores > self.threshold
        photograph, unreadable = if_readable(image.photograph)
        truth, unmarked = if_readable(image.truth)
        marked = None if truth is None else regions(truth, self.longest)
        predicted = regions(above if valid is None else above & valid, self.longest)
        ignored = None if valid is None or valid.all() else regions(~valid, self.longest)
        outlines = sum(len(found.path) for found in (marked, predicted, ignored) if found)
        height, width = small_size(scores.shape if photograph is None else photograph.shape, self.longest)
        pictures = 1 + len(image.reconstructions) + 1 + len(image.member_maps)
        purse = Purse(self.room - outlines, pictures)
        return Card(
            rank,
            image,
            outcome(image),
            width=width,
            height=height,
            photograph="" if photograph is None else self._picture(photograph, purse),
            unreadable=unreadable,
            full=full_size(image.path, self.folder),
            reconstructions={
                member: self._picture(read(), purse) for member, read in image.reconstructions.items()
            },
            score_map=self._map("ensemble", "map", scores, self.scale, purse),
            member_maps=tuple(
                self._map(member, member_layer(number), image.member_maps[member](), scale, purse)
                for number, (member, scale) in enumerate(self.members.items())
                if member in image.member_maps
            ),
            truth=marked,
            unmarked=unmarked,
            predicted=predicted,
            ignored=ignored,
        )

    def _picture(self, pixels: NDArray[np.uint8], purse: Purse) -> str:
        small = shrink(pixels, self.longest)
        return purse.spend(lambda most: jpeg_uri(small, self.quality, most))

    def _map(
        self, member: str, key: str, scores: NDArray[np.float32], scale: ColourScale, purse: Purse
    ) -> Map:
        sides = (self.detail, self.longest) if self.detail > self.longest else (self.longest,)
        uri = purse.spend(lambda most: level_map_uri(scores, scale, sides, most))
        return Map(member, key, uri, float(scores.max()))


def room_for(cards: int) -> int:
    """Characters that the pictures of each of so many cards may take.

    >>> room_for(200)
    140000
    """
    return PAGE // max(FEWEST, cards)


class Purse:
    """The characters that a card's pictures may still take, shared evenly among those to come."""

    def __init__(self, room: int, pictures: int) -> None:
        self._room, self._pictures = room, pictures

    def spend(self, make: Callable[[int], str]) -> str:
        """The next picture, made with its share; what it leaves is for the others."""
        made = make(max(LEAST, self._room // max(1, self._pictures)))
        self._room -= len(made)
        self._pictures -= 1
        return made


def member_layer(number: int) -> str:
    """The key of a member's maps, told by its place as its id may hold anything."""
    return f"member-{number}"


def if_readable(read: Callable[[], T]) -> tuple[T | None, str]:
    """What is read, or the reason it cannot be: photographs move, and masks with them."""
    try:
        return read(), ""
    except (LeatherensError, OSError) as error:
        return None, str(error)
