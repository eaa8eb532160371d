"""Are there several views of each part? Told by names alone: one word says the view, the rest the part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

MOST_VIEWS = 12
"""More cameras than that around one part are rather a number of something else."""

COMPLETE = 0.9
"""Share of the parts that must be there in all views."""

_BREAK = re.compile(r"[_\-. ]")
_LETTER = re.compile(r"[^\W\d_]")


def named_views(ids: Sequence[str]) -> tuple[str, ...]:
    """The views that images are named after, sorted; none where no word tells any.

    ids: paths below the collection's root. A view is a folder or a word of the name, with a letter in it (a
    number alone counts parts or tiles), that comes with nearly every part.

    >>> named_views(["good/001_left.png", "good/001_right.png", "good/002_left.png", "good/002_right.png"])
    ('left', 'right')
    >>> named_views(["good/a/1.png", "good/b/1.png", "good/a/2.png", "good/b/2.png"])
    ('a', 'b')
    >>> named_views(["good/1_2.png", "good/1_3.png", "good/2_2.png", "good/2_3.png"])
    ()
    """
    words = [_words(id) for id in ids]
    lengths = {len(row) for row in words}
    if len(lengths) != 1:
        return ()
    for place in range(lengths.pop()):
        views = {row[place] for row in words}
        if 1 < len(views) <= MOST_VIEWS and all(map(_LETTER.search, views)) and _complete(words, place):
            return tuple(sorted(views))
    return ()


def _words(id: str) -> tuple[str, ...]:
    """Folders, then the words of the name without its suffix."""
    path = PurePosixPath(id)
    return (*path.parent.parts, *_BREAK.split(path.stem))


def _complete(words: Sequence[tuple[str, ...]], place: int) -> bool:
    """Whether nearly all parts, told by the other words, are seen in every view, and there are several."""
    parts: dict[tuple[str, ...], set[str]] = {}
    for row in words:
        parts.setdefault((*row[:place], *row[place + 1 :]), set()).add(row[place])
    views = {row[place] for row in words}
    whole = sum(seen == views for seen in parts.values())
    return len(parts) > 1 and whole >= COMPLETE * len(parts)
