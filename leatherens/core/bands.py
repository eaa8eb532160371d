"""Photographs and masks read a band of rows at a time, so that a hide of any size is never held whole.

What comes out is what `read_photograph` and `read_mask` give, to the bit: the files are decoded by libvips
(the extra `large`), which reads from top to bottom, and every band then goes through the same rules. What it
cannot stream, or would decode differently, is read whole by Pillow, up to Pillow's own limit of pixels. A
photograph that its EXIF turns is first written upright into a temporary file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from leatherens.core.errors import InputError
from leatherens.core.photographs import (
    MIN_SIDE,
    SIDEWAYS,
    Levels,
    Mask,
    Photograph,
    colours_of,
    levels_of,
    marked,
    photograph_size,
    read_mask,
    read_photograph,
    require_content,
    upright,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Span = tuple[int, int]
"""First row of a band, and the row after its last."""

WHOLE_PIXELS = 8_000_000
"""A photograph up to this is decoded whole: 24 MB, and quicker than in bands."""

MOST_PIXELS = 1 << 32
"""More are refused as a decompression bomb, though they would be read in bands: 65 536 x 65 536, 12 GB."""

_ROWS = 64  # decoded at once
_TURNED_ROWS = 512  # of a photograph that lies on its side: each becomes a short piece of every row
_STREAMED = ("jpegload_source", "pngload_source", "tiffload_source")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

T = TypeVar("T", bound=np.generic)


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of a photograph, upright, from its header; larger ones than Pillow opens as well."""
    stream = _stream(path)
    return photograph_size(path) if stream is None else stream.size


def photograph_bands(path: Path, spans: Sequence[Span]) -> Iterator[Photograph]:
    """The bands (rows, W, 3) of a photograph; spans may overlap, but neither their starts nor ends fall."""
    return _bands(path, spans, colours_of, read_photograph)


def mask_bands(path: Path, spans: Sequence[Span]) -> Iterator[Mask]:
    """The bands (rows, W) of a mask; the file is walked twice: its highest level says how to read it."""
    highest = 0
    stream = _stream(path)
    if stream is None:
        yield from _cut(read_mask(path), spans)
        return
    for levels in stream.rows(levels_of):
        highest = max(highest, int(levels.max()))
    for levels in _bands(path, spans, levels_of, _not_whole):
        yield marked(levels, highest)


def _not_whole(path: Path) -> Levels:
    raise InputError(f"{path}: changed while it was read; leave it alone until the run has ended")


def _bands(
    path: Path,
    spans: Sequence[Span],
    convert: Callable[[Image.Image], NDArray[T]],
    whole: Callable[[Path], NDArray[T]],
) -> Iterator[NDArray[T]]:
    stream = _stream(path)
    if stream is None:
        yield from _cut(whole(path), spans)
    elif stream.orientation == 1:
        yield from _gathered(stream.rows(convert), spans)
    elif stream.orientation == 2:
        yield from _gathered((upright(rows, 2) for rows in stream.rows(convert)), spans)
    else:
        yield from _turned(stream, convert, spans)


def _cut(pixels: NDArray[T], spans: Sequence[Span]) -> Iterator[NDArray[T]]:
    for start, stop in spans:
        yield pixels[start:stop]


def _gathered(rows: Iterator[NDArray[T]], spans: Sequence[Span]) -> Iterator[NDArray[T]]:
    """Bands of rows that come from the top; what no later band needs is let go. All rows are read."""
    first, held = 0, next(rows)
    for start, stop in spans:
        parts, reached = [held], first + len(held)
        while reached < stop:
            parts.append(next(rows))
            reached += len(parts[-1])
        held = np.concatenate(parts) if len(parts) > 1 else held
        held, first = held[start - first :], start
        yield held[: stop - start]
    for _ in rows:  # damage may lie below
        pass


def _turned(
    stream: _Stream, convert: Callable[[Image.Image], NDArray[T]], spans: Sequence[Span]
) -> Iterator[NDArray[T]]:
    """Bands of a photograph that has to be turned: written upright into a temporary file, then read."""
    height, width = stream.size
    try:
        with tempfile.TemporaryFile() as file:
            shape, dtype = _write_upright(file, stream, convert)
            row = dtype.itemsize * int(np.prod((width, *shape)))
            for start, stop in spans:
                file.seek(start * row)
                content = file.read((stop - start) * row)
                yield np.frombuffer(content, dtype).reshape(stop - start, width, *shape)
    except OSError as error:
        raise InputError(
            f"{stream.path}: cannot be turned upright in {tempfile.gettempdir()} ({error.strerror}); "
            f"make room there for {height * width * 3 >> 20} MB, or save it upright"
        ) from None


def _write_upright(
    file: IO[bytes], stream: _Stream, convert: Callable[[Image.Image], NDArray[T]]
) -> tuple[tuple[int, ...], np.dtype[T]]:
    """Write all pixels upright, row by row; returns the shape of one pixel, and its dtype."""
    (height, width), way, done = stream.size, stream.orientation, 0
    sideways, backwards = (
        way in SIDEWAYS,
        way in (3, 4, 6, 7),
    )  # 6, 7: the file's first row is the last column
    extent = width if sideways else height
    for rows in stream.rows(convert, _TURNED_ROWS):
        part = upright(rows, way)
        start = extent - done - len(rows) if backwards else done
        pixel = part.itemsize * int(np.prod(part.shape[2:]))
        if sideways:
            for row, piece in enumerate(part):
                file.seek((row * width + start) * pixel)
                file.write(piece.tobytes())
        else:
            file.seek(start * width * pixel)
            file.write(part.tobytes())
        done += len(rows)
    return part.shape[2:], part.dtype


@dataclass(frozen=True, slots=True)
class _Stream:
    """A file that libvips decodes from top to bottom.

    stored: height and width as they lie in the file. mode: what Pillow calls the decoded pixels.
    """

    path: Path
    stored: tuple[int, int]
    orientation: int
    mode: str

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.stored
        return (width, height) if self.orientation in SIDEWAYS else (height, width)

    def rows(self, convert: Callable[[Image.Image], NDArray[T]], count: int = _ROWS) -> Iterator[NDArray[T]]:
        """All rows as they lie in the file, `count` at a time, each part as `convert` makes it."""
        import pyvips

        height, width = self.stored
        with self.path.open("rb") as file:
            image = region = None
            try:
                image = _image(file)
                region = pyvips.Region.new(image)
                for top in range(0, height, count):
                    high = min(count, height - top)
                    yield convert(self._picture(region.fetch(0, top, width, high), high))
            except pyvips.Error as error:
                raise InputError(f"{self.path}: {_damage(error)}") from None
            finally:  # in this order: while the region lives, libvips may call what the image keeps
                del region
                del image

    def _picture(self, content: bytes, height: int) -> Image.Image:
        """Decoded rows as a Pillow picture; colours of 16 bits keep their upper byte, as in Pillow."""
        width = self.stored[1]
        if not self.mode.endswith(";16"):
            return Image.frombytes(self.mode, (width, height), content)
        deep = np.frombuffer(content, np.uint16).reshape(height, width, -1)
        if self.mode == "I;16":
            return Image.fromarray(deep[:, :, 0])
        plain = self.mode.removesuffix(";16")
        return Image.frombytes(plain, (width, height), (deep >> 8).astype(np.uint8).tobytes())


def _stream(path: Path) -> _Stream | None:
    """How a file is streamed; `None` where it is better read whole: a small one, or one that cannot be.

    Refuses what is too large for either.
    """
    require_content(path)
    if find_spec("pyvips") is None:
        return None
    import pyvips

    try:
        with path.open("rb") as file:
            header = _image(file)
            pixels = header.width * header.height
            if pixels <= WHOLE_PIXELS:
                return None
            mode = _mode(header)
            orientation = header.get("orientation") if header.get_typeof("orientation") else 1
    except (pyvips.Error, OSError):  # Pillow will say what is wrong with it
        return None
    if pixels > MOST_PIXELS:
        raise InputError(
            f"{path}: {pixels / 1e6:.0f} million pixels, more than {MOST_PIXELS / 1e6:.0f} million are "
            "refused as a possible decompression bomb; cut it into several files"
        )
    if mode is None or min(header.width, header.height) < MIN_SIDE or _is_odd(path):
        _refuse_unstreamed(path, pixels)
        return None
    return _Stream(path, (header.height, header.width), orientation if 1 <= orientation <= 8 else 1, mode)


def _refuse_unstreamed(path: Path, pixels: int) -> None:
    limit = 2 * (Image.MAX_IMAGE_PIXELS or pixels)
    if pixels > limit:
        raise InputError(
            f"{path}: {pixels / 1e6:.0f} million pixels in a form that can only be decoded whole, at most "
            f"{limit / 1e6:.0f} million; save it as a baseline JPEG, as PNG without interlacing, "
            "or as plain 8-bit TIFF"
        )


def _image(file: IO[bytes]) -> Any:
    """The libvips image of an open file: read through Python, since mapped files would count as memory."""
    import pyvips

    source = pyvips.SourceCustom()
    source.on_read(file.read)
    source.on_seek(partial(file.seek))
    return pyvips.Image.new_from_source(source, "", access="sequential", fail_on="truncated")


def _mode(header: Any) -> str | None:
    """What Pillow would call the pixels; `None` of what cannot be streamed or has no single meaning."""
    fields = set(header.get_fields())
    many = "n-pages" in fields and header.get("n-pages") > 1
    interlaced = "interlaced" in fields and header.get("interlaced")  # progressive JPEG as well
    if header.get("vips-loader") not in _STREAMED or many or interlaced:
        return None
    colours = header.interpretation
    if colours == "cmyk":
        return "CMYK" if header.format == "uchar" and header.bands == 4 else None
    if colours not in ("b-w", "srgb", "grey16", "rgb16") or header.bands not in _MODES:
        return None
    mode = _MODES[header.bands]
    if header.format == "ushort":
        return "I;16" if mode == "L" else f"{mode};16"
    return mode if header.format == "uchar" else None


def _is_odd(path: Path) -> bool:
    """Whether a file is a TIFF that Pillow and libvips understand differently; a cut-off one is refused."""
    with path.open("rb") as file:
        if file.read(2) not in (b"II", b"MM"):
            return False
    import tifffile

    try:
        with tifffile.TiffFile(path) as pages:
            page = pages.pages.first
            inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.bitspersample > 8
            extra = any(kind != tifffile.EXTRASAMPLE.UNASSALPHA for kind in page.extrasamples)
            ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))
            complete = max(ends) <= path.stat().st_size
    except Exception:  # noqa: BLE001 - whatever it stumbles over, Pillow reads or refuses
        return True
    if not complete:  # libvips would fill up with black
        raise InputError(f"{path}: {_damage('the file is truncated')}")
    return bool(inverted or extra)


def _damage(reason: object) -> str:
    """What is told of a file that cannot be decoded to its end."""
    last = (str(reason).strip().splitlines() or ["it cannot be decoded"])[-1].strip()
    return f"damaged ({last}); copy it again or remove it"
