"""Where a photograph lies, as the page is told: it is fetched from there only when a reader asks for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

SHOWN = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""Suffixes of what browsers show; of photographs only TIFF is not among them."""


@dataclass(frozen=True, slots=True)
class FullSize:
    """The way from the report to a photograph: as a link, "" where no browser shows it, and in words."""

    link: str
    words: str


def full_size(path: Path | None, folder: Path) -> FullSize | None:
    """The way from a folder; absolute where no relative one leads there, `None` where there is no file.

    >>> full_size(Path("/data/hide #1.png"), Path("/runs/a"))
    FullSize(link='../../data/hide%20%231.png', words='../../data/hide #1.png')
    """
    if path is None:
        return None
    try:
        way = Path(os.path.relpath(path, folder)).as_posix()  # by names alone, as a browser takes it
        link = quote(os.fsencode(way))
    except ValueError:  # another drive
        way, link = str(path.absolute()), path.absolute().as_uri()
    return FullSize(link if path.suffix.lower() in SHOWN else "", _written(way))


def _written(way: str) -> str:
    """A path as text that can be stored, whatever bytes a file's name has."""
    return os.fsencode(way).decode("utf-8", errors="replace")
