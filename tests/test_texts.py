"""Text files in every encoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from leatherens.core.errors import InputError
from leatherens.core.texts import read_text


def written(tmp_path: Path, data: bytes) -> Path:
    file = tmp_path / "labels.csv"
    file.write_bytes(data)
    return file


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
def test_encoding__is_known(tmp_path, encoding):
    found = read_text(written(tmp_path, "filename,größe\n".encode(encoding)))
    assert found == ("filename,größe\n", encoding in ("latin-1", "cp1252"))


def test_a_guess_and_utf_8__are_told_apart(tmp_path):
    assert read_text(written(tmp_path, "Löcher, déchirure".encode())) == ("Löcher, déchirure", False)


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n\x01\x02", b"PK\x03\x04", b"\xff\xfea", b"ab\x00\x01cd", b"path\n\x81\xff.png"],
)
def test_not_text__is_refused(tmp_path, data):
    path = written(tmp_path, data)
    with pytest.raises(InputError) as caught:
        read_text(path)
    assert str(caught.value) == f"{path}: not text, or in an encoding that is not known; save it as UTF-8"


def test_missing_and_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"nothing.csv: no such file; check the name$"):
        read_text(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\); repair or remove it$"):
        read_text(tmp_path)
