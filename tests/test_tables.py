from __future__ import annotations

from pathlib import Path

import pytest

from leatherens.core.errors import InputError
from leatherens.core.tables import Table, read_table

KNOWN = ("path", "label", "mask")


def table(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Table:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, known=KNOWN, required=("path",))


def told(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> str:
    with pytest.raises(InputError) as caught:
        table(tmp_path, content, name)
    path, _, sentence = str(caught.value).partition(": ")
    assert path == str(tmp_path / name)
    return sentence


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_csv(tmp_path: Path, separator: str, ends: str) -> None:
    header, *lines = ["Path", " label "], ["a.png", "good"], ['"b, c;d.png"', ""], [' "e\nf.png"', "x "]
    rows = [separator.join(header), *map(separator.join, lines[:1]), "", *map(separator.join, lines[1:]), ""]

    found = table(tmp_path, ends.join(rows) + f"g.png{separator}y")

    assert [(row.line, dict(row.cells)) for row in found.rows] == [
        (2, {"path": "a.png", "label": "good"}),
        (4, {"path": "b, c;d.png", "label": ""}),
        (5, {"path": "e\nf.png", "label": "x"}),
        (7, {"path": "g.png", "label": "y"}),
    ]
    assert found.remarks == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    found = table(tmp_path, "path,label\nHäute/é.png,gut\n".encode(encoding))
    assert [dict(row.cells) for row in found.rows] == [{"path": "Häute/é.png", "label": "gut"}]
    assert found.remarks == ()


def test_latin_1__is_read_and_told(tmp_path: Path) -> None:
    found = table(tmp_path, "path\nHäute.png\n".encode("latin-1"))
    assert found.rows[0].cells["path"] == "Häute.png"
    assert found.remarks == (
        "t.csv is not UTF-8 and was read as Windows-1252; save it as UTF-8 if names look wrong",
    )


def test_json_lines(tmp_path: Path) -> None:
    found = table(tmp_path, '{"Path": "a.png", "mask": ["x", "y"]}\n\n{"path": "b.png"}\n', "t.jsonl")
    assert [(row.line, dict(row.cells)) for row in found.rows] == [
        (1, {"path": "a.png", "mask": ["x", "y"]}),
        (3, {"path": "b.png"}),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "path,lable\na,b",
            "line 1: unknown column 'lable'; did you mean 'label'? (columns: path, label, mask)",
        ),
        ("label\na", "line 1: there is no column 'path', which is needed"),
        ("path,path\na,b", "line 1: the column 'path' stands there twice"),
        ("path,label\na,b\n\nc\n", "line 4: 1 cells, the first line has 2"),
        ("path,label\na,b,c\n", "line 2: 3 cells, the first line has 2"),
        ('path\na\n"b\nc\n', "line 3: not CSV (unexpected end of data); check its quotes"),
    ],
)
def test_csv__refused(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert told(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            '{"path": "a"}\n{"path"',
            "line 2: not JSON (Expecting ':' delimiter: line 1 column 8 (char 7)); give one object a line",
        ),
        ('["a"]', "line 1: expected an object in braces, got list"),
        ('{"path": "a"}\n\n{"label": "a"}', "line 3: there is no column 'path', which is needed"),
        (
            '{"path": "a"}\n{"path": "a", "size": 3}',
            "line 2: unknown column 'size' (columns: path, label, mask)",
        ),
    ],
)
def test_json_lines__refused(tmp_path: Path, content: str, expected: str) -> None:
    assert told(tmp_path, content, "t.jsonl") == expected


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "t.csv", known=KNOWN, required=())
    assert str(caught.value) == (f"{tmp_path / 't.csv'}: no such file; check the name")
