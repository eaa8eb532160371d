"""Text that people and programs wrote, in whatever encoding they did."""

from __future__ import annotations

import codecs
from pathlib import Path

from leatherens.core.errors import InputError

_MARKS = (  # UTF-32's first mark begins like UTF-16's, and is asked first
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PLAIN = frozenset("\t\n\r\f")


def read_text(path: Path) -> tuple[str, bool]:
    """The text of a file, and whether its encoding was guessed.

    UTF-8, or UTF-16 and UTF-32 by their mark; UTF-16 without one by the zero byte of its first letter; else
    Windows-1252, of which Latin-1 is a part, as a guess.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); repair or remove it") from None
    text, guessed = _decoded(data)
    if text is None or any(letter < " " and letter not in _PLAIN for letter in text):
        raise InputError(f"{path}: not text, or in an encoding that is not known; save it as UTF-8")
    return text, guessed


def _decoded(data: bytes) -> tuple[str | None, bool]:
    """The text, or nothing where the encoding that the bytes announce does not fit them; whether guessed."""
    encodings = [encoding for mark, encoding in _MARKS if data.startswith(mark)][:1]
    if not encodings and 0 in data[:2]:
        encodings = ["utf-16-be" if data[0] == 0 else "utf-16-le"]
    for encoding in encodings or ["utf-8", "cp1252"]:
        try:
            return data.decode(encoding), encoding == "cp1252"
        except UnicodeDecodeError:
            continue
    return None, False
