"""An experiment on disk.

```text
OUT/
  runs/SET/ENTRANT/           ordinary runs, which every leatherens command takes; SET is A+B where joined
  cells/SET/TESTED/ENTRANT.json   what one run is worth on one set, written as soon as it is known
  costs/SET/TESTED/ENTRANT.json   its time, memory and size
  KIND.csv  KIND.md  KIND.svg the tables, written anew after every cell
```

Nothing here says what is to be done: the command does, and typed again it goes on.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from leatherens.ensembles.folder import RunFolder


@dataclass(frozen=True, slots=True)
class ExperimentFolder:
    """The paths of one experiment; command: what was typed."""

    path: Path
    command: tuple[str, ...] = ()

    def run(self, trained: str, entrant: str) -> RunFolder:
        """The run of an entrant that learned from a data set."""
        return RunFolder(self.path / "runs" / trained / _name(entrant))

    def cell(self, trained: str, tested: str, entrant: str) -> Path:
        """What that run is worth on a data set."""
        return self.path / "cells" / trained / tested / f"{_name(entrant)}.json"

    def cost(self, trained: str, tested: str, entrant: str) -> Path:
        """What that run costs there."""
        return self.path / "costs" / trained / tested / f"{_name(entrant)}.json"

    def table(self, kind: str, suffix: str) -> Path:
        """A table or picture of one kind of experiment."""
        return self.path / f"{kind}{suffix}"

    @property
    def begun(self) -> bool:
        """Whether anything was learned."""
        return (self.path / "runs").exists()

    @property
    def resume_command(self) -> str:
        """What to type to go on: the same again."""
        return shlex.join(self.command)


def _name(entrant: str) -> str:
    """An entrant as a file name: `plugin:id` has a character that not every file system takes."""
    return re.sub(r"[^\w.+-]", "--", entrant)
