"""How long something took to learn, in a file: what work took before it was interrupted is counted, too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from leatherens.core.artifact import read_json, write_json
from leatherens.core.errors import ArtifactError


@contextmanager
def timed(path: Path, *, going_on: bool, **facts: int) -> Iterator[None]:
    """Write the seconds of a block of work into a file; facts stand beside them.

    going_on: the work was begun before, and what it took then is added. Of a process that was killed, the
    seconds are lost.
    """
    before, started = (seconds_in(path) or 0.0) if going_on else 0.0, time.monotonic()
    try:
        yield
    finally:
        spent = round(before + time.monotonic() - started, 2)
        with suppress(ArtifactError):  # a full disk has its own error, from what matters
            write_json(path, {"seconds": spent, **facts})


def seconds_in(path: Path) -> float | None:
    """What `timed` wrote; `None` where nothing was, or it cannot be read."""
    if not path.exists():
        return None
    try:
        content = read_json(path)
    except ArtifactError:
        return None
    seconds = content.get("seconds") if isinstance(content, dict) else None
    return float(seconds) if isinstance(seconds, int | float) else None
