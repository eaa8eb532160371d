"""Score maps of a run, read back from their TIFF; of large ones a part of the pixels is held."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from leatherens.core.errors import ArtifactError
from leatherens.core.preparation import FloatMap


def map_size(path: Path) -> tuple[int, int]:
    """Height and width of a map, from its header."""
    import tifffile

    try:
        with _unlogged(), tifffile.TiffFile(path) as file:
            height, width = file.pages.first.shape
    except Exception as error:  # noqa: BLE001 - tifffile raises anything on damaged bytes
        raise _unreadable(path, error) from None
    return int(height), int(width)


def read_map(path: Path, step: int = 1) -> FloatMap:
    """Each `step`-th pixel of each `step`-th row of a map, float32, the first ones among them.

    Strips or tiles of the file are decoded one after the other. Raises `ArtifactError` for a file that is
    missing or damaged.
    """
    import tifffile

    try:
        with _unlogged(), tifffile.TiffFile(path) as file:
            page = file.pages.first
            height, width = page.shape
            thinned = np.full((-(-height // step), -(-width // step)), np.nan, np.float32)
            for block, (*_, top, left, _), shape in page.segments():
                if block is None:
                    raise ValueError("a part of it is missing")
                rows, columns = min(shape[1], height - top), min(shape[2], width - left)
                pixels = block.reshape(block.shape[-3:-1])[:rows, :columns]
                down, across = -top % step, -left % step
                some = pixels[down::step, across::step]
                at = (top + down) // step, (left + across) // step
                thinned[at[0] : at[0] + some.shape[0], at[1] : at[1] + some.shape[1]] = some
    except Exception as error:  # noqa: BLE001 - as above
        raise _unreadable(path, error) from None
    if not np.isfinite(thinned).all():
        raise ArtifactError(f"{path}: damaged, it holds values that are no scores; make the run again")
    return thinned


@contextmanager
def _unlogged() -> Iterator[None]:
    """What tifffile finds wrong is told once, by the error that follows."""
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _unreadable(path: Path, error: Exception) -> ArtifactError:
    if isinstance(error, FileNotFoundError):
        return ArtifactError(f"{path}: missing")
    if isinstance(error, OSError) and error.strerror:
        return ArtifactError(f"{path}: cannot be read ({error.strerror})")
    return ArtifactError(f"{path}: damaged ({' '.join(str(error).split()) or type(error).__name__})")
