"""What was done to a finished run since it was made: numbered entries, and which of them is in force.

```text
RUN/history/
  0001/entry.json   what was done, with which images     members/ ensemble/   what it changed
  present.json      the entry in force; 0 or no file: the run as it was made
```
An entry holds only what it changed; the rest is its parent's, and in the end the run's own, none of which
is ever written again. So one small file decides, a rename switches it, and going back is bit for bit.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from leatherens.core.artifact import read_json, write_json
from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.params import Params, parse_params
from leatherens.ensembles.folder import RunFolder

Kind = Literal["update", "recalibrate", "thresholds"]
Job = Literal["teach", "validate", "calibrate", "label"]


class TakenImage(Params):
    """An image that an entry took in. digest: of the file's content; job: what it does since.

    defective, masks: what is known of it, where its label taught a threshold.
    """

    path: str
    digest: str
    job: Job
    defective: bool = False
    masks: tuple[str, ...] = ()


class Thresholds(Params):
    """The ensemble's, before or after. normals: how many held-out good images they were learned from."""

    image: float
    pixel: float
    promise: float | None
    normals: int


class Entry(Params):
    """One update or recalibration.

    parent: the entry that was in force. changed: a sentence each. before, after: the ensemble's thresholds.
    """

    number: Annotated[int, Field(ge=1)]
    parent: Annotated[int, Field(ge=0)]
    kind: Kind
    date: str
    command: str
    images: tuple[TakenImage, ...]
    changed: tuple[str, ...]
    before: Thresholds
    after: Thresholds

    @property
    def sentence(self) -> str:
        """What was done, in a line."""
        if self.kind == "thresholds":
            with_labels = f" with {len(self.images)} labelled images" if self.images else ""
            return f"other thresholds of {self.date}{with_labels}"
        return f"{self.kind} of {self.date} with {len(self.images)} good images"


def now() -> str:
    """The date of an entry, to the second, with the zone."""
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")


class History:
    """The entries of one run. Whoever writes holds the run's lock."""

    def __init__(self, run: RunFolder) -> None:
        self.run = RunFolder(run.path)
        self._folder = run.path / "history"

    @property
    def present(self) -> int:
        """The number of the entry in force; 0: the run as it was made."""
        file = self._folder / "present.json"
        if not file.exists():
            return 0
        content = read_json(file)
        number = content.get("entry") if isinstance(content, dict) else None
        if not isinstance(number, int) or number < 0:
            raise ArtifactError(f"{file}: damaged, expected the number of an entry")
        return number

    def entries(self) -> list[Entry]:
        """All entries, oldest first, those that were gone back behind too."""
        return [self.entry(number) for number in self._numbers()]

    def entry(self, number: int) -> Entry:
        """One entry."""
        file = self._at(number) / "entry.json"
        if not file.exists():
            raise ArtifactError(f"{file}: missing; copy the run again, or make it again")
        return parse_params(Entry, read_json(file), owner=str(file))

    def lineage(self) -> list[Entry]:
        """The entries the present rests on, oldest first, the one in force last."""
        found: list[Entry] = []
        number = self.present
        while number:
            found.insert(0, self.entry(number))
            if found[0].parent >= number:
                raise ArtifactError(f"{self._at(number) / 'entry.json'}: damaged, its parent is not older")
            number = found[0].parent
        return found

    def folder(self, lineage: Sequence[Entry]) -> RunFolder:
        """The run with what these entries changed, whatever is put in force later."""
        return replace(self.run, layers=tuple(self._at(entry.number) for entry in reversed(lineage)))

    @contextmanager
    def next(self) -> Iterator[tuple[int, RunFolder]]:
        """The next entry's number and a folder to write what it changes into; nothing stays unless `keep`."""
        beside = self._folder / ".next"
        self._clear(beside)
        number = max(self._numbers(), default=0) + 1
        try:
            yield number, RunFolder(beside)
        except (ArtifactError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError):
                raise
            reason = cause.strerror or cause
            raise ArtifactError(
                f"{self.run.path}: cannot be written ({reason}); free some space. The run is as it was before"
            ) from error
        finally:
            self._clear(beside)

    def keep(self, entry: Entry, written: RunFolder) -> None:
        """Make what `next` gave an entry, and put it in force."""
        write_json(written.path / "entry.json", entry.model_dump(mode="json"))
        written.path.rename(self._at(entry.number))
        self._switch(entry.number)

    def go_back(self, to: int | None = None) -> int:
        """Put another entry in force, the parent of the present one unless named; its number."""
        lineage = self.lineage()
        if to is None:
            if not lineage:
                raise ConfigError(f"{self.run.path}: nothing to go back to; this run is as it was made")
            to = lineage[-1].parent
        known = [0, *self._numbers()]
        if to not in known:
            raise ConfigError(
                f"--to: there is no entry {to} (entries: {', '.join(map(str, known))}; 0 is the run "
                "as it was made)"
            )
        self._switch(to)
        return to

    def _switch(self, number: int) -> None:
        write_json(self._folder / "present.json", {"entry": number})

    def _numbers(self) -> list[int]:
        if not self._folder.is_dir():
            return []
        return sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdecimal())

    def _at(self, number: int) -> Path:
        return self._folder / f"{number:04d}"

    def _clear(self, beside: Path) -> None:
        """Remove what an interrupted entry left, and the history's folder if nothing else is in it."""
        if beside.exists():
            shutil.rmtree(beside)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()
