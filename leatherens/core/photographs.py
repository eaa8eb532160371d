"""One file to one array: photographs as 8-bit RGB, masks as booleans, every bad file as one sentence.

Grey is repeated over the channels, palettes and CMYK are turned into RGB, EXIF orientation is
applied, colour profiles are not. 16-bit files keep their upper byte: they are scaled by the whole
16-bit range and never by what one image happens to hold, which would make a score depend on it.
"""

from __future__ import annotations

import stat
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from leatherens.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Photograph: TypeAlias = "NDArray[np.uint8]"
"""(H, W, 3) RGB."""
Mask: TypeAlias = "NDArray[np.bool_]"
"""(H, W), True where there is a defect."""
Levels: TypeAlias = "NDArray[np.unsignedinteger[Any]]"
"""(H, W) of a mask, 8 or 16 bits."""

T = TypeVar("T", bound=np.generic)

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Files with these suffixes, in either case, are taken for images."""

MIN_SIDE = 8
"""Pixels; a smaller picture shows no texture, and is a placeholder or a mistake."""

_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")  # Pillow's others are not asked: EPS would start a program
_ORIENTATION = 0x0112
_TURNS: dict[int, Callable[[Any], Any]] = {  # EXIF 2.3, tag Orientation: what undoes each value
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.swapaxes(np.rot90(pixels, 2), 0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}
_MODES = {  # Pillow's names in words
    "1": "black and white",
    "L": "grey",
    "LA": "grey",
    "I": "grey",
    "I;16": "grey",
    "I;16B": "grey",
    "P": "palette",
    "PA": "palette",
    "RGBA": "RGB",
    "RGBX": "RGB",
}
SIDEWAYS = frozenset({5, 6, 7, 8})
"""Orientations under which height and width change places."""
_SHARPER = 2  # times the size that is needed: what is decoded small is made smaller once more
_BEYOND = (
    "work in tiles (leatherens run --tile, with leatherens[large] installed), or cut it into several files"
)
_REFUSED = {
    "F": "holds floating-point values, of which no file says what is black and what is white",
    "I": "holds 32-bit or signed integers, of which no file says what is black and what is white",
    "LAB": "holds L*a*b* colours",
}


def read_photograph(path: Path) -> Photograph:
    """A photograph as (H, W, 3) 8-bit RGB, upright.

    Transparent parts are shown on white, as a page shows them: the colours stored under them are
    arbitrary and must not be scored.
    """
    return _decoded(path, colours_of)


def read_at_least(path: Path, least: tuple[int, int]) -> tuple[Photograph, tuple[int, int]]:
    """A photograph that will be brought to (height, width) `least`, and its own height and width, upright.

    A JPEG that is larger by far is decoded at a half, a quarter or an eighth of its size, whichever is the
    smallest of twice `least` or more: its decoder averages, and takes a third of the time. The pixels depend
    on the file and on `least`; all else comes as `read_photograph` gives it.
    """
    with _opened(path) as picture:
        size = None
        if picture.format in ("JPEG", "MPO"):
            sideways = orientation_of(picture) in SIDEWAYS
            width, height = picture.size
            size = (width, height) if sideways else (height, width)
            wide, high = least if sideways else least[::-1]
            picture.draft(picture.mode, (_SHARPER * wide, _SHARPER * high))
        picture.load()
        pixels = upright(colours_of(picture), orientation_of(picture))
        return pixels, size or (pixels.shape[0], pixels.shape[1])


def photograph_size(path: Path) -> tuple[int, int]:
    """Height and width of a photograph, upright, from its header alone."""
    with _opened(path) as picture:
        tags = getattr(
            picture, "tag_v2", {}
        )  # of TIFF, whose size some versions of Pillow tell upright already
        width, height = (tags.get(tag, side) for tag, side in zip((256, 257), picture.size, strict=True))
        lying = (tags.get(_ORIENTATION) if tags else orientation_of(picture)) in SIDEWAYS
        return (width, height) if lying else (height, width)


def read_mask(path: Path, size: tuple[int, int] | None = None) -> Mask:
    """The defect of a photograph of (height, width) `size`, as (H, W) booleans.

    A pixel is marked from half the scale upwards (128 of 255), which cuts the soft edges of a drawn
    mask in the middle. A mask that never reaches half the scale holds class numbers, and every
    number above 0 is marked. Of colours the brightest channel counts; transparent is not marked.
    """
    levels = _decoded(path, levels_of)
    mask = marked(levels, int(levels.max()))
    _require_size(path, (mask.shape[0], mask.shape[1]), size)
    return mask


def read_levels(path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The grey levels of a mask whose levels name kinds of defects, (H, W) and just as they are stored."""
    levels = _decoded(path, lambda picture: _grey_levels(picture, path))
    _require_size(path, (levels.shape[0], levels.shape[1]), size)
    return levels


def _require_size(path: Path, mask: tuple[int, int], photograph: tuple[int, int] | None) -> None:
    if photograph is not None and mask != tuple(photograph):
        raise size_mismatch(path, mask, photograph)


def size_mismatch(path: Path, mask: tuple[int, int], photograph: tuple[int, int]) -> InputError:
    """Why a mask of another (height, width) than its photograph's is refused."""
    found, expected = (f"{height} x {width}" for height, width in (mask, photograph))
    return InputError(
        f"{path}: the mask is {found} pixels and its photograph {expected} (height x width); "
        "give the mask of this photograph, at its size"
    )


def read_masks(paths: Sequence[Path], size: tuple[int, int]) -> Mask:
    """What any of these masks marks of a photograph of (height, width) `size`; nothing without masks."""
    union = np.zeros(size, dtype=np.bool_)
    for path in paths:
        union |= read_mask(path, size)
    return union


@dataclass(frozen=True, slots=True)
class Header:
    """How a file stores its picture, of which `read_photograph` makes 8-bit RGB whatever it is.

    mode: in words ("grey", "RGB", "palette", "CMYK" ...). sixteen_bits: per channel, of which the upper byte
    is kept. transparent: has parts that are shown on white. turned: its EXIF orientation turns or mirrors it.
    """

    mode: str
    sixteen_bits: bool = False
    transparent: bool = False
    turned: bool = False

    @property
    def words(self) -> str:
        """All but the turn.

        >>> Header("grey", sixteen_bits=True).words, Header("palette", transparent=True).words
        ('16-bit grey', 'palette with transparency')
        """
        bits = "16-bit " if self.sixteen_bits else ""
        return f"{bits}{self.mode}{' with transparency' if self.transparent else ''}"


def described_photograph(path: Path) -> tuple[Photograph, Header]:
    """What `read_photograph` reads, and how the file stores it, from one decoding."""
    with _opened(path) as picture:
        stored = getattr(picture, "tile", ())
        raw = " ".join(str(tile[3]) for tile in stored)  # "RGB;16B": Pillow opens it as plain RGB
        picture.load()
        orientation = orientation_of(picture)
        header = Header(
            _MODES.get(picture.mode, picture.mode),
            sixteen_bits=picture.mode.startswith("I") or ";16" in raw,
            transparent=bool(picture.has_transparency_data),
            turned=orientation in _TURNS,
        )
        return upright(colours_of(picture), orientation), header


def resize_photograph(pixels: Photograph, size: tuple[int, int]) -> Photograph:
    """(h, w, 3) to (H, W, 3): area averages where a side shrinks, linear where it grows.

    The aspect ratio is not kept, as in the published methods.
    """
    import cv2

    height, width = size
    shrunk = min(height, pixels.shape[0]), min(width, pixels.shape[1])
    for step, method in ((shrunk, cv2.INTER_AREA), ((height, width), cv2.INTER_LINEAR)):
        if pixels.shape[:2] != step:
            pixels = cv2.resize(pixels, step[::-1], interpolation=method)
    return pixels


class _PillowSilent:
    """Holds Pillow's warnings back while any thread decodes.

    `warnings.catch_warnings` alone puts the filters back in the wrong order when threads overlap;
    here the first to enter sets them and the last to leave restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.__exit__(None, None, None)


_PILLOW_SILENT = _PillowSilent()


def _decoded(path: Path, convert: Callable[[Image.Image], NDArray[T]]) -> NDArray[T]:
    """What `convert` makes of the picture in a file, turned upright."""
    with _opened(path) as picture:
        picture.load()
        return upright(convert(picture), orientation_of(picture))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture of which the header was read and is good; whatever fails in the block is the file's fault."""
    require_content(path)
    try:
        with _PILLOW_SILENT, Image.open(path, formats=_FORMATS) as picture:
            _require_plain(picture, path)
            yield picture
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise anything, even SyntaxError
        raise InputError(f"{path}: {_fault(error)}") from None


def _fault(error: Exception) -> str:
    """What Pillow's exception means for the file."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that can be read (PNG, JPEG, TIFF, BMP or WebP); convert it to PNG or remove it"
    if isinstance(error, Image.DecompressionBombError):
        limit = f"{2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} million pixels"
        return f"more than {limit}, refused as a possible decompression bomb; {_BEYOND}"
    if isinstance(error, PermissionError):
        return "may not be read; change its permissions or remove it"
    if isinstance(error, MemoryError):
        return f"too large for the memory of this machine; {_BEYOND}"
    return f"damaged ({str(error) or type(error).__name__}); copy it again or remove it"


def require_content(path: Path) -> None:
    """Refuse, in a sentence, what is no file, or an empty one."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        raise InputError(f"{path}: no such file; check the name") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: a folder, not an image; give one of its files")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: not a regular file; give an image file")
    if not status.st_size:
        raise InputError(f"{path}: an empty file (0 bytes); copy it again or remove it")


def _require_plain(picture: Image.Image, path: Path) -> None:
    """Refuse what has no single meaning as an 8-bit picture, from the header alone."""
    width, height = picture.size
    if min(width, height) < MIN_SIDE:
        found = f"{height} x {width}"
        raise InputError(f"{path}: {found} pixels, at least {MIN_SIDE} x {MIN_SIDE} are needed; remove it")
    pictures = getattr(picture, "n_frames", 1)
    if pictures > 1 and picture.format != "MPO":  # MPO: a phone's JPEG, its photograph comes first
        raise InputError(f"{path}: holds {pictures} pictures; save each as a file of its own")
    sixteen_bits = picture.mode == "I" and picture.format == "PNG"  # as older Pillow opens them
    if picture.mode in _REFUSED and not sixteen_bits:
        raise InputError(f"{path}: {_REFUSED[picture.mode]}; save it as 8-bit or 16-bit grey or RGB")


def colours_of(picture: Image.Image) -> Photograph:
    """The rule of `read_photograph` for a decoded picture, or a part of one, as it lies in the file."""
    if picture.mode.startswith("I"):  # one channel of 16 bits
        grey = (np.asarray(picture) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.array(_on_paper(picture, 255).convert("RGB"))


def levels_of(picture: Image.Image) -> Levels:
    """(H, W) how strongly each pixel of a mask is marked, 8 or 16 bits."""
    if picture.mode.startswith("I"):
        return np.asarray(picture).astype(np.uint16)
    plain = _on_paper(picture, 0)
    grey = plain.mode in ("1", "L")
    levels: Levels = np.asarray(plain.convert("L")) if grey else np.asarray(plain.convert("RGB")).max(axis=2)
    return levels


def marked(levels: Levels, highest: int) -> Mask:
    """The levels of a mask, or of a part of one, as booleans; highest: the level it reaches anywhere."""
    half = 1 << (8 * levels.itemsize - 1)
    mask: Mask = levels >= half if highest >= half else levels > 0
    return mask


def _grey_levels(picture: Image.Image, path: Path) -> NDArray[np.uint8]:
    if picture.mode not in ("1", "L"):
        raise InputError(
            f"{path}: the levels of this mask name kinds of defects; expected 8-bit grey, got {picture.mode}"
        )
    return np.array(picture.convert("L"))


def _on_paper(picture: Image.Image, grey: int) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    paper = Image.new("RGBA", picture.size, (grey, grey, grey, 255))
    return Image.alpha_composite(paper, picture.convert("RGBA"))


def orientation_of(picture: Image.Image) -> int:
    """How the picture is to be turned, 1 to 8 as in EXIF."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - damaged EXIF, in which Pillow raises anything, says nothing about the pixels
        return 1


def upright(pixels: NDArray[T], orientation: int) -> NDArray[T]:
    """Pixels (H, W, ...) as they lie in the file, turned as EXIF's orientation says."""
    turn = _TURNS.get(orientation)
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))
