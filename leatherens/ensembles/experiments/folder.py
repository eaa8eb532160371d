"""An experiment on disk.

```text
OUT/
  runs/SET/ENTRANT/           ordinary runs, which every leatherens command takes; SET is A+B where joined
  cells/SET/TESTED/ENTRANT.json   what one run is worth on one set, written as soon as it is known;
                              ENTRANT--STEP of one of its checkpoints
  costs/SET/TESTED/ENTRANT.json   its time, memory and size
  ignore.png                  the region that set-ups leave out, as it was given
  KIND.csv  KIND.md  KIND.svg the tables, written anew after every cell
```

Nothing here says what is to be done: the command does, and typed again it goes on.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from leatherens.core.artifact import written_whole
from leatherens.core.errors import ArtifactError
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

    def keep_region(self, picture: Path) -> None:
        """Keep the region that set-ups leave out; refuse another one than they left out before."""
        kept = self.path / "ignore.png"
        if not kept.exists():
            with written_whole(kept) as beside:
                shutil.copyfile(picture, beside)
        elif kept.read_bytes() != picture.read_bytes():
            raise ArtifactError(
                f"--ignore: {picture}: not the region that runs in {self.path} were made with, which is kept "
                f"in {kept}; choose another --out"
            )

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
