"""One file to one score map: (H, W) numbers, higher meaning more anomalous, exactly as they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from leatherens.core.errors import InputError
from leatherens.core.photographs import require_content
from leatherens.core.score_counts import FloatArray

_GREY = ("1", "L", "I", "I;16", "I;16B", "F")


def read_map(path: Path) -> FloatArray:
    """A score map as (H, W) float32, or float64 where float32 would lose something.

    NumPy arrays and TIFF of any number type, grey PNG of 8 or 16 bits; sides of length 1 are left out.
    """
    require_content(path)
    try:
        stored = _stored(path)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise anything
        reason = str(error) or type(error).__name__
        raise InputError(f"{path}: not a score map that can be read ({reason}); save it again") from None
    if stored.dtype.kind not in "fiub":
        raise InputError(f"{path}: holds {stored.dtype}, no real numbers; save scores as float32")
    shape = tuple(side for side in stored.shape if side != 1) if stored.ndim > 2 else stored.shape
    if len(shape) != 2:
        raise InputError(
            f"{path}: expected one score per pixel, (H, W), got {stored.shape}; save one map a file"
        )
    narrow = stored.dtype.itemsize <= 2 or stored.dtype == np.float32
    scores: FloatArray = stored.reshape(shape).astype(np.float32 if narrow else np.float64, copy=False)
    _require_numbers(path, scores)
    return scores


def _stored(path: Path) -> npt.NDArray[Any]:
    if path.suffix.lower() == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if path.suffix.lower() == ".png":
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.mode not in _GREY:
                raise InputError(f"{path}: a picture in colours, no scores; save one grey channel")
            return np.array(picture)
    import tifffile

    return np.asarray(tifffile.imread(path))


def _require_numbers(path: Path, scores: FloatArray) -> None:
    if np.isnan(scores.min()):
        count = int(np.count_nonzero(np.isnan(scores)))
        raise InputError(f"{path}: {count} of {scores.size} pixels are NaN; every pixel needs a score")


def brought_to(scores: FloatArray, size: tuple[int, int]) -> FloatArray:
    """(h, w) to (H, W) `size`: bilinear between the centres of pixels, constant beyond the outer ones."""
    import torch

    from leatherens.core.geometry import resize_scores

    enlarged: FloatArray = resize_scores(torch.from_numpy(scores)[None], size)[0].numpy()
    return enlarged


def wrong_size(path: Path, found: tuple[int, ...], wanted: tuple[int, int]) -> InputError:
    """Why a map of another size than its image's is refused."""
    map_size, image_size = (f"{height} x {width}" for height, width in (found, wanted))
    return InputError(
        f"{path}: the map is {map_size} pixels and its image {image_size} (height x width); save maps at the "
        "size of their images, or have them brought to it with --resize bilinear"
    )
