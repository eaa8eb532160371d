"""Text files in every encoding, and what is wrong with a value in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from leatherens.core.errors import InputError
from leatherens.core.labels.texts import listing, mapping, named_value, number, parse_json, read_text

FILE = Path("labels.json")


def said(tmp_path: Path, data: bytes) -> str:
    file = tmp_path / "labels.csv"
    file.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_text(file)
    return str(caught.value).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
)
def test_encoding__is_known(tmp_path, encoding):
    file = tmp_path / "labels.csv"
    file.write_bytes("filename,größe\n".encode(encoding))

    assert read_text(file) == "filename,größe\n"


def test_latin_1_and_utf_8__are_told_apart(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_bytes("Löcher, déchirure".encode())

    assert read_text(file) == "Löcher, déchirure"


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\x01\x02", b"PK\x03\x04", b"\xff\xfea", b"ab\x00\x01cd"])
def test_not_text__is_refused(tmp_path, data):
    assert said(tmp_path, data) == "/labels.csv: not a text file; give the file that the annotator exported"


def test_empty_and_missing(tmp_path):
    assert said(tmp_path, b" \n") == "/labels.csv: an empty file; export the annotations again"
    with pytest.raises(InputError, match=r"nothing.csv: no such file; check the name$"):
        read_text(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)$"):
        read_text(tmp_path)


def test_damaged_json():
    with pytest.raises(InputError) as caught:
        parse_json('{"a": 1,\n "b": [1, 2', FILE)
    assert str(caught.value) == (
        "labels.json: line 2: damaged, not JSON (Expecting ',' delimiter); export the annotations again"
    )
    with pytest.raises(InputError, match="nested too deeply"):
        parse_json("[" * 100_000, FILE)


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (lambda: number("3", "x"), 'x: expected a number, got "3"'),
        (lambda: number(True, "x"), "x: expected a number, got true"),
        (lambda: number(float("nan"), "x"), "x: expected a number, got NaN"),
        (lambda: number(float("inf"), "x"), "x: expected a number, got Infinity"),
        (lambda: number(2e9, "x"), "x: expected a number, got 2000000000.0"),
        (lambda: number(-1, "r", least=0), "r: expected 0 or more, got -1"),
        (lambda: mapping([1], "a"), "a: expected an object with named values, got [1]"),
        (lambda: listing(None, "a"), "a: expected a list, got null"),
        (lambda: named_value({}, "cx", "a"), "a: 'cx' is missing"),
    ],
)
def test_wrong_value__is_shown(check, sentence):
    with pytest.raises(InputError) as caught:
        check()
    assert str(caught.value) == sentence
