"""A picture of what artificial anomalies look like: people should see what their detectors are trained on."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

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
    Colour,
    font,
    marker_for,
    outlined,
    shortened,
)
from leatherens.core.synthesis.kinds import AnomalyKind
from leatherens.core.synthesis.perlin import Mask
from leatherens.core.synthesis.spoilt_images import SpoiltImages
from leatherens.core.types import ImageBatch, ImageSource

Bytes = npt.NDArray[np.uint8]  # (H, W, 3) RGB

MARGIN, LABELS, BETWEEN, HAIR = 32, 250, 24, 4
"""Pixels: around the sheet, for the kinds' names, between samples, and between the pictures of one."""
HEADING, HEADERS, CAPTION = 78, 44, 30
"""Heights in pixels: of the title, of the columns' names, and of the line below each sample."""
LETTERS = 28
"""In a line of a kind's summary."""
COLUMNS = ("good", "with anomaly", "outline of its mask")


@dataclass(frozen=True, slots=True)
class Sample:
    """A good picture, the same with an anomaly, and exactly where that is, (H, W)."""

    name: str
    good: Bytes
    spoilt: Bytes
    mask: Mask

    @property
    def share(self) -> float:
        """Of the picture that is spoilt."""
        return float(self.mask.mean())

    @property
    def change(self) -> float:
        """Mean grey levels by which the spoilt pixels differ; 0 where there are none."""
        spoilt, good = (picture[self.mask].astype(np.float32) for picture in (self.spoilt, self.good))
        return float(np.abs(spoilt - good).mean()) if self.mask.any() else 0.0

    @property
    def caption(self) -> str:
        """The image's name, how much of it is spoilt, and how far."""
        return f"{self.name}  ·  {_extent(self.share, self.change)}"


@dataclass(frozen=True, slots=True)
class Row:
    """A kind's name and summary, and samples of it."""

    kind: str
    summary: str
    samples: Sequence[Sample]

    @property
    def typical(self) -> str:
        """How much of a picture such an anomaly spoils, and how far: medians of the samples."""
        share, change = np.median([(s.share, s.change) for s in self.samples], axis=0).tolist()
        return _extent(share, change)


def sampled(good: ImageSource, kind: AnomalyKind, *, seed: int, count: int) -> list[Sample]:
    """So many of the images that fusions learn from at this seed, if they learn from this kind.

    Where there are fewer good images than samples, they come again with other anomalies.
    """
    images = len(good.ids)
    spoilt = SpoiltImages(good, kind, seed=seed, copies=-(-count // images))
    pairs = []
    for index in range(count):
        before = _bytes(good.batch([index % images]))
        after, mask = spoilt.drawn([index])
        pairs.append(Sample(good.ids[index % images], before, _bytes(after), mask[0].numpy()))
    return pairs


def sheet_size(rows: int, samples: int, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a contact sheet in pixels, for so many samples a row of pictures of this size."""
    height = 2 * MARGIN + HEADING + HEADERS + rows * (size[0] + CAPTION + BETWEEN)
    return height, 2 * MARGIN + LABELS + samples * (3 * size[1] + 2 * HAIR + BETWEEN) - BETWEEN


def contact_sheet(title: str, rows: Sequence[Row]) -> Image.Image:
    """A row for each kind; for each sample of it the good picture, the spoilt one, and the mask's outline.

    Pictures are shown pixel for pixel, and every row has as many of them, all of one size.
    """
    height, width = rows[0].samples[0].mask.shape
    tall, wide = sheet_size(len(rows), len(rows[0].samples), (height, width))
    sheet = Image.new("RGB", (wide, tall), PAPER)
    marker = marker_for([sample.good for sample in rows[0].samples])
    _write_head(ImageDraw.Draw(sheet), title, marker, (height, width))
    _write_columns(ImageDraw.Draw(sheet), len(rows[0].samples), width)
    for number, row in enumerate(rows):
        top = MARGIN + HEADING + HEADERS + number * (height + CAPTION + BETWEEN)
        _add_row(sheet, row, top, MARKERS[marker])
    return sheet


def _bytes(batch: ImageBatch) -> Bytes:
    """The first picture of a batch."""
    levels: Bytes = np.rint(batch.pixels[0].permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
    return levels


def _extent(share: float, change: float) -> str:
    """With two digits that count.

    >>> _extent(0.0342, 17.8), _extent(0.00012, 3.21), _extent(0, 0)
    ('3.4 % of the image, by 18 levels', '0.012 % of the image, by 3.2 levels', 'nothing changed')
    """
    if not share:
        return "nothing changed"
    percent, levels = (f"{float(f'{value:.2g}'):g}" for value in (100 * share, change))
    return f"{percent} % of the image, by {levels} levels"


def _write_head(draw: ImageDraw.ImageDraw, title: str, marker: str, size: tuple[int, int]) -> None:
    draw.text((MARGIN, MARGIN - 6), title, fill=INK, font=font(TITLE))
    what = f"{size[0]} x {size[1]} pixels, shown one for one; the outline of a mask is {marker}"
    draw.text((MARGIN, MARGIN + 38), what, fill=GREY, font=font(TEXT))


def _write_columns(draw: ImageDraw.ImageDraw, samples: int, width: int) -> None:
    for sample in range(samples):
        for column, name in enumerate(COLUMNS):
            left = _left(sample, width) + column * (width + HAIR)
            draw.text((left, MARGIN + HEADING + HEADERS - 32), name, fill=GREY, font=font(TEXT))


def _add_row(sheet: Image.Image, row: Row, top: int, colour: Colour) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.line((MARGIN, top - 9, sheet.width - MARGIN, top - 9), fill=RULE)
    draw.text((MARGIN, top - 2), row.kind, fill=INK, font=font(NAME))
    lines = "\n".join(textwrap.wrap(row.summary, LETTERS))
    draw.multiline_text((MARGIN, top + 30), lines, fill=GREY, font=font(TEXT), spacing=6)
    for number, sample in enumerate(row.samples):
        height, width = sample.mask.shape
        left = _left(number, width)
        pictures = (sample.good, sample.spoilt, outlined(sample.spoilt, sample.mask, colour))
        for column, picture in enumerate(pictures):
            corner = left + column * (width + HAIR)
            draw.rectangle((corner - 1, top - 1, corner + width, top + height), outline=FRAME)
            sheet.paste(Image.fromarray(picture), (corner, top))
        caption = shortened(sample.caption, 3 * width + 2 * HAIR)
        draw.text((left, top + height + 5), caption, fill=GREY, font=font(SMALL))


def _left(sample: int, width: int) -> int:
    """Where a sample's pictures begin."""
    return MARGIN + LABELS + sample * (3 * width + 2 * HAIR + BETWEEN)
