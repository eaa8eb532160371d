"""A contact sheet of a folder: some images of each kind with their defects outlined, and what is odd among
them."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from leatherens.core.colours import srgb
from leatherens.core.drawing import (
    FRAME,
    GREY,
    INK,
    MARKERS,
    NAME,
    PAPER,
    RULE,
    SMALL,
    TEXT,
    TITLE,
    marker_for,
    outlined,
    shortened,
)
from leatherens.core.drawing import font as letters
from leatherens.core.inspection.inspection import Inspection
from leatherens.core.inspection.marks import union
from leatherens.core.inspection.pictures import Picture
from leatherens.core.inspection.stock import PARTS
from leatherens.core.listing import counted
from leatherens.core.photographs import Photograph, read_photograph, resize_photograph
from leatherens.core.reading import GOOD

MARGIN, LABELS, BETWEEN = 32, 240, 14
"""Pixels: around the sheet, for the rows' names, and between pictures."""
SIDE = 176
"""Of the square that a picture is fitted into."""
HEADING, CAPTION, SWATCH = 116, 24, 22
"""Heights in pixels: of the title and the colours, of the line below a picture, and of a colour's square."""
ACROSS = 6
"""Pictures in a row."""
MOST = 24
"""Rows of kinds; a folder of more is not shown to the end."""
LETTERS = 26
"""In a line of a row's remark."""


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures under one name, and a remark on them."""

    name: str
    remark: str
    pictures: tuple[Picture, ...]


def rows_of(seen: Inspection) -> list[Row]:
    """A row for each kind in each part; then images that are there twice, and images of unknown colour."""
    kinds: defaultdict[tuple[str, str], list[Picture]] = defaultdict(list)
    for picture in seen.pictures:
        kinds[picture.item.split, picture.item.kind].append(picture)
    rows = [
        Row(f"{split} · {kind}", counted(len(found), "image"), _spread(found))
        for (split, kind), found in sorted(kinds.items(), key=_good_first)[:MOST]
    ]
    return [*rows, *_twice(seen), *_unlike(seen)]


def _good_first(row: tuple[tuple[str, str], object]) -> tuple[int, bool, str]:
    (split, kind), _ = row
    return PARTS.index(split), kind != GOOD, kind


def _spread(pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """So many that fit into a row, from all over."""
    wanted = min(ACROSS, len(pictures))
    return tuple(pictures[number * len(pictures) // wanted] for number in range(wanted))


def _twice(seen: Inspection) -> list[Row]:
    groups = seen.crossing(seen.identical) or seen.crossing(seen.similar) or seen.identical or seen.similar
    shown: list[Picture] = []
    for group in groups[: ACROSS // 2]:
        first = seen.pictures[group.members[0]]
        apart = [
            seen.pictures[m] for m in group.members[1:] if seen.pictures[m].item.split != first.item.split
        ]
        shown += [first, *(apart or [seen.pictures[group.members[1]]])[:1]]
    if not shown:
        return []
    where = " and ".join(seen.splits(groups[0]))
    return [Row("there twice", f"{counted(len(groups), 'group')}, such as these in {where}", tuple(shown))]


def _unlike(seen: Inspection) -> list[Row]:
    found = [
        (match.distance, picture)
        for match, picture in zip(seen.matches, seen.pictures, strict=True)
        if not match.known
    ]
    farthest = [picture for _, picture in sorted(found, key=lambda entry: -entry[0])][:ACROSS]
    remark = f"{counted(len(found), 'image')}, the farthest first"
    return [Row("unlike any colour", remark, tuple(farthest))] if found else []


def sheet_of(seen: Inspection) -> Image.Image:
    """The sheet; the pictures it shows are opened again."""
    rows = rows_of(seen)
    shown = {
        picture.id: read_photograph(picture.item.sample.path) for row in rows for picture in row.pictures
    }
    marker = marker_for(list(shown.values()) or [np.zeros((4, 4, 3), np.uint8)])
    heights = [max(fitted(picture.size)[0] for picture in row.pictures) + CAPTION + BETWEEN for row in rows]
    width = 2 * MARGIN + LABELS + ACROSS * (SIDE + BETWEEN) - BETWEEN
    sheet = Image.new("RGB", (width, 2 * MARGIN + HEADING + sum(heights)), PAPER)
    _write_head(sheet, seen, marker)
    top = MARGIN + HEADING
    for row, height in zip(rows, heights, strict=True):
        _write_label(ImageDraw.Draw(sheet), row, top)
        for column, picture in enumerate(row.pictures):
            left = MARGIN + LABELS + column * (SIDE + BETWEEN)
            _add(sheet, picture, shown[picture.id], (left, top), marker)
            caption = shortened(picture.item.sample.path.name, SIDE)
            below = top + height - CAPTION - BETWEEN + 3
            ImageDraw.Draw(sheet).text((left, below), caption, fill=GREY, font=letters(SMALL))
        top += height
    return sheet


def fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a picture in its square, its proportions kept.

    >>> fitted((2048, 4096)), fitted((88, 44))
    ((88, 176), (176, 88))
    """
    factor = SIDE / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _write_head(sheet: Image.Image, seen: Inspection, marker: str) -> None:
    draw = ImageDraw.Draw(sheet)
    title = shortened(f"{seen.stock.root.name or seen.stock.root}", sheet.width - 2 * MARGIN, TITLE)
    draw.text((MARGIN, MARGIN - 6), title, fill=INK, font=letters(TITLE))
    outlines = f"; defects are outlined in {marker}" if seen.defects else ""
    draw.text((MARGIN, MARGIN + 36), f"{seen.stock.read}{outlines}", fill=GREY, font=letters(TEXT))
    left = MARGIN
    for cluster in seen.colours.clusters:
        text = f"{cluster.name} ({cluster.images})"
        width = SWATCH + 8 + round(letters(SMALL).getlength(text)) + 20
        if left + width > sheet.width - MARGIN:
            draw.text((left, MARGIN + 68), "…", fill=GREY, font=letters(SMALL))
            return
        corner = (left, MARGIN + 66, left + SWATCH, MARGIN + 66 + SWATCH)
        draw.rectangle(corner, fill=srgb(cluster.colour), outline=FRAME)
        draw.text((left + SWATCH + 8, MARGIN + 68), text, fill=GREY, font=letters(SMALL))
        left += width


def _write_label(draw: ImageDraw.ImageDraw, row: Row, top: int) -> None:
    draw.line((MARGIN, top - BETWEEN // 2, draw.im.size[0] - MARGIN, top - BETWEEN // 2), fill=RULE)
    name = "\n".join(textwrap.wrap(row.name, 18))
    draw.multiline_text((MARGIN, top - 2), name, fill=INK, font=letters(NAME))
    below = top + 4 + (NAME + 6) * (name.count("\n") + 1)
    remark = "\n".join(textwrap.wrap(row.remark, LETTERS))
    draw.multiline_text((MARGIN, below), remark, fill=GREY, font=letters(TEXT), spacing=6)


def _add(
    sheet: Image.Image, picture: Picture, photograph: Photograph, corner: tuple[int, int], marker: str
) -> None:
    """One picture with its outline."""
    import cv2

    height, width = fitted(picture.size)
    marked, _ = union(picture.id, picture.item.sample.masks, picture.size)
    small = resize_photograph(photograph, (height, width))
    share = cv2.resize(marked.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    left, top = corner
    ImageDraw.Draw(sheet).rectangle((left - 1, top - 1, left + width, top + height), outline=FRAME)
    drawn = outlined(small, share > 0, MARKERS[marker])  # a small pixel is marked if any of its pixels is
    sheet.paste(Image.fromarray(drawn), corner)
