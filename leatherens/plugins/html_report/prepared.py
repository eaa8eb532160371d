"""What the preparation did to a few photographs: pairs of small pictures, before and after a step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leatherens.core.reporting import PreparedImage
from leatherens.plugins.html_report.pictures import jpeg_uri, shrink


@dataclass(frozen=True, slots=True)
class Pair:
    """One image before and after one step; width and height in small pixels."""

    step: str
    id: str
    before: str
    after: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PreparedFigures:
    """The pairs, and how those of each step are read."""

    pairs: list[Pair]
    legends: list[str]


def prepared_figures(images: Iterable[PreparedImage], longest: int, quality: int) -> PreparedFigures:
    """Each comparison with its pictures as data URIs; one image's are made before the next is asked for."""
    pairs, legends = [], {}
    for image in images:
        pairs.append(_pair(image, longest, quality))
        legends[image.step] = image.comparison.legend
    return PreparedFigures(pairs, list(legends.values()))


def _pair(image: PreparedImage, longest: int, quality: int) -> Pair:
    before, after = (shrink(p, longest) for p in (image.comparison.before, image.comparison.after))
    height, width, _ = before.shape
    return Pair(
        image.step,
        image.id,
        jpeg_uri(before, quality),
        jpeg_uri(after, quality),
        image.comparison.caption,
        width,
        height,
    )
