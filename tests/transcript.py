"""A page's commands and files, done in an empty folder and a fresh environment, and what the commands answer.

A page shows a command as `$ command` in a block of `console`, and below it what it prints. A comment
`<!-- file: PATH -->` before any other block says where its text is written. In what is printed, `...` stands
for anything, and how many seconds something took is not compared. Of a table of results, the qualities are
compared with a tolerance, as processors round differently, and what was measured of the machine is not.
"""

from __future__ import annotations

import doctest
import os
import re
import site
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

_BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Written:
    """A file of the page."""

    path: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command of the page and what it should print."""

    line: str
    printed: str


def steps(page: str) -> Iterator[Written | Command]:
    """Of a page, in order."""
    for block in _BLOCK.finditer(page):
        if block["file"]:
            yield Written(block["file"], block["text"])
        elif block["language"] == "console":
            _, *parts = _COMMAND.split(block["text"])
            for line, printed in zip(parts[::2], parts[1::2], strict=True):
                yield Command(line, printed.strip("\n"))


class Environment:
    """A fresh virtual environment that sees what this one has installed, and a shell in a folder.

    Nothing is fetched: pip installs what it is given, without what that depends on and without an index.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "here"
        self.folder.mkdir()
        self._bin = root / "venv" / "bin"
        venv.create(root / "venv", with_pip=False, symlinks=True)
        python = self._bin / "python"
        (lib,) = (root / "venv" / "lib").glob("python*/site-packages")
        seen = [str(ROOT), *site.getsitepackages()]
        (lib / "beside.pth").write_text("\n".join(seen), encoding="utf-8")
        for name in ("leatherens", "pytest"):
            self._script(name, f'exec "{python}" -m {name} "$@"')
        self._script("pip", f'exec "{sys.executable}" -m pip --python "{python}" "$@"')
        self._variables = {
            "HOME": str(root),
            "PATH": f"{self._bin}{os.pathsep}{os.environ['PATH']}",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads the value of this one as that of build isolation
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
            "PIP_QUIET": "1",
            "COLUMNS": "160",
        }

    def _script(self, name: str, text: str) -> None:
        path = self._bin / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def write(self, step: Written) -> None:
        """A file of the page; its folder is there already."""
        (self.folder / step.path).write_text(step.text, encoding="utf-8")

    def run(self, line: str) -> str:
        """What a command prints; `cd` stays in force. One that fails fails the test with all it said."""
        if line.startswith("cd "):
            self.folder = (self.folder / line.removeprefix("cd ")).resolve()
            return ""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP", "PYTEST"))
        }
        done = subprocess.run(
            line,
            shell=True,
            cwd=self.folder,
            env=kept | self._variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        return done.stdout


QUALITY = ("AUROC", "AP", "PRO")
"""Words in the titles of columns that hold qualities, in percent."""
TOLERANCE = 3.0


def agree(expected: str, found: str) -> bool:
    """Whether a command printed what the page says, but for what nobody can foresee."""
    if expected.startswith("|"):
        return _tables_agree(_cells(expected), _cells(found))
    checker = doctest.OutputChecker()
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return checker.check_output(_steady(expected), _steady(found), options)


def _steady(text: str) -> str:
    return re.sub(r"\d+(\.\d+)? ?s\b", "# s", text.strip()) + "\n"


def _cells(table: str) -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in table.strip().splitlines()]
    return [[cell.strip(" *") for cell in row] for row in rows]


def _tables_agree(expected: list[list[str]], found: list[list[str]]) -> bool:
    """The same titles and names, and qualities alike."""
    heads = [[row[0] for row in table] for table in (expected, found)]
    if expected[:2] != found[:2] or heads[0] != heads[1]:
        return False
    columns = [i for i, title in enumerate(expected[0]) if any(word in title for word in QUALITY)]
    pairs = [(a[i], b[i]) for a, b in zip(expected[2:], found[2:], strict=True) for i in columns]
    return all(abs(float(one) - float(other)) <= TOLERANCE for one, other in pairs)
