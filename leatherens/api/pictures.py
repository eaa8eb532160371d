"""Images as people have them in Python, to what a file would hold: paths, or (H, W, 3) 8-bit RGB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leatherens.core.errors import InputError
from leatherens.core.photographs import MIN_SIDE, Photograph, colours_of, orientation_of, upright

if TYPE_CHECKING:
    from torch import Tensor

OneImage: TypeAlias = "str | Path | NDArray[Any] | Image.Image | Tensor"
"""A file, (H, W, 3) or (H, W), a picture of Pillow, or (3, H, W)."""
Images: TypeAlias = "OneImage | Iterable[OneImage]"
"""Several of them, or a stack: an array (n, H, W, 3) or a tensor (n, 3, H, W)."""

Picture: TypeAlias = "Path | Photograph"
"""A file, or pixels as a file would give them."""

_EXPECTED = (
    "expected paths, arrays (H, W, 3), pictures of Pillow or tensors (3, H, W), one of them, a list, or a "
    "stack of them"
)


def pictures_of(images: Images) -> Iterator[Picture]:
    """One picture after the other; an `InputError` says which is not one, and why.

    Arrays hold 8 bits, 16 bits of which the upper byte is kept as in files, or floats in 0..1, which are
    rounded to 8 bits as a file would hold them. One channel is grey.
    """
    for number, image in enumerate(_each(images)):
        yield _picture(image, f"image {number}")


def _each(images: Images) -> Iterable[OneImage]:
    """A stack or a list taken apart; one image is a list of one."""
    if isinstance(images, str | Path | Image.Image):
        return [images]
    if is_tensor(images) or isinstance(images, np.ndarray):
        stack: Any = images
        if stack.ndim == 4 or stack.dtype is np.dtype(object):
            return list(stack)
        return [stack]
    if not isinstance(images, Iterable):
        raise InputError(f"{_EXPECTED}; got {type(images).__name__}")
    return images


def is_tensor(value: object) -> bool:
    """Whether it is a tensor of torch."""
    from torch import Tensor

    return isinstance(value, Tensor)


def _picture(image: object, name: str) -> Picture:
    if isinstance(image, str | Path):
        return Path(image)
    if isinstance(image, Image.Image):
        return _checked_size(upright(colours_of(image), orientation_of(image)), name)
    if is_tensor(image):
        return from_array(_channels_last(image, name), name)
    if isinstance(image, np.ndarray):
        return from_array(image, name)
    raise InputError(f"{name}: {_EXPECTED}; got {type(image).__name__}")


def _channels_last(tensor: Any, name: str) -> NDArray[Any]:
    """(3, H, W) or (1, H, W) to (H, W, channels)."""
    shape = tuple(tensor.shape)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(f"{name}: a tensor of shape {shape}; expected (3, H, W), channels first")
    array: NDArray[Any] = tensor.detach().cpu().permute(1, 2, 0).numpy()
    return array


def from_array(array: NDArray[Any], name: str) -> Photograph:
    """(H, W, 3), (H, W, 1) or (H, W) of any kind as a photograph (H, W, 3)."""
    grey = array[..., None] if array.ndim == 2 else array
    if grey.ndim != 3 or grey.shape[2] not in (1, 3):
        raise InputError(
            f"{name}: an array of shape {array.shape}; expected (H, W, 3) or (H, W), channels last"
        )
    pixels = _eight_bits(grey, name)
    return _checked_size(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels, name)


def _eight_bits(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{name}: of type {array.dtype}; expected uint8, uint16, or floats in 0..1")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: holds NaN or infinite values; expected floats in 0..1")
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if low < 0 or high > 1:
        raise InputError(
            f"{name}: floats from {low:g} to {high:g}; expected 0..1: divide by what white is, or give uint8"
        )
    levels: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
    return levels


def _checked_size(pixels: Photograph, name: str) -> Photograph:
    height, width, _ = pixels.shape
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{name}: {height} x {width} pixels, at least {MIN_SIDE} x {MIN_SIDE} are needed; leave it out"
        )
    return pixels
