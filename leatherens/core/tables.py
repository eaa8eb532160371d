"""Tables that people write and programs export: encodings, separators, and the line that each row stands on.

CSV is separated by commas, semicolons or tabs, whichever its first line holds; JSON lines hold one object
each. A guessed encoding is told.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leatherens.core.errors import InputError, did_you_mean
from leatherens.core.texts import read_text

CSV, JSON_LINES = ".csv", ".jsonl"
_SEPARATORS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line of the file on which it begins, counted from 1, and its cells by column."""

    line: int
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file, and one sentence on everything that its reader should know."""

    path: Path
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()


def read_table(path: Path, *, known: Collection[str], required: Collection[str]) -> Table:
    """A CSV file or JSON lines, by the name; `InputError` for a column that is not `known` or is missing.

    Columns are told apart without regard to case and outer blanks, an empty cell of CSV is "".
    """
    text, guessed = read_text(path)
    rows = _json_rows if path.suffix.lower() == JSON_LINES else _csv_rows
    found = []
    for row in rows(path, text):
        _require_columns(path, row, known, required)
        found.append(row)
    told = f"{path.name} is not UTF-8 and was read as Windows-1252; save it as UTF-8 if names look wrong"
    return Table(path, tuple(found), (told,) if guessed else ())


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    first = text.lstrip().partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)  # the first of them where there is none: a single column
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    header: list[str] = []
    begins = 1
    try:
        for cells in lines:
            line, begins = begins, lines.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(path, cells)
            elif len(cells) != len(header):
                raise InputError(f"{path}: line {line}: {len(cells)} cells, the first line has {len(header)}")
            else:
                yield Row(line, dict(zip(header, (cell.strip() for cell in cells), strict=True)))
    except csv.Error as error:
        raise InputError(f"{path}: line {begins}: not CSV ({error}); check its quotes") from None


def _header(path: Path, cells: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: line 1: the column '{twice}' stands there twice")
    return header


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}: line {number}: not JSON ({error}); give one object a line") from None
        if not isinstance(content, dict):
            raise InputError(
                f"{path}: line {number}: expected an object in braces, got {type(content).__name__}"
            )
        yield Row(number, {key.strip().lower(): cell for key, cell in content.items()})


def _require_columns(path: Path, row: Row, known: Collection[str], required: Collection[str]) -> None:
    line = 1 if path.suffix.lower() != JSON_LINES else row.line
    for name in row.cells:
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(
                f"{path}: line {line}: unknown column '{name}'{hint} (columns: {', '.join(known)})"
            )
    for name in required:
        if name not in row.cells:
            raise InputError(f"{path}: line {line}: there is no column '{name}', which is needed")
