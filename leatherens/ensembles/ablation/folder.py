"""An ablation on disk.

```text
OUT/
  run/            the members, the recipe and the splits: a run that `leatherens run --resume` can finish
  settings.json   what varies, and the command
  costs.json      milliseconds of backbones and members
  variants.jsonl  one line per finished variant, with its resampled values
  observations/   what members saw; removed in the end, as is scratch/
  ablation.csv  ablation.svg  ablation.json      written last
```
"""

from __future__ import annotations

import shlex
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leatherens.core.artifact import read_json, write_json
from leatherens.core.params import parse_params
from leatherens.ensembles.ablation.settings import AblationSettings
from leatherens.ensembles.folder import RunFolder


@dataclass(frozen=True, slots=True)
class AblationFolder:
    """The paths of one ablation."""

    path: Path

    @property
    def run(self) -> RunFolder:
        """The run that holds the members."""
        return RunFolder(self.path / "run")

    @property
    def costs(self) -> Path:
        """Milliseconds of backbones and members."""
        return self.path / "costs.json"

    @property
    def variants(self) -> Path:
        """The finished variants."""
        return self.path / "variants.jsonl"

    @property
    def observations(self) -> Path:
        """What the members saw."""
        return self.path / "observations"

    @property
    def scratch(self) -> Path:
        """What the variant of the moment learned."""
        return self.path / "scratch"

    @property
    def table(self) -> Path:
        """One line a variant."""
        return self.path / "ablation.csv"

    @property
    def picture(self) -> Path:
        """Accuracy against cost."""
        return self.path / "ablation.svg"

    @property
    def result(self) -> Path:
        """Everything; its presence says that the ablation is finished."""
        return self.path / "ablation.json"

    @property
    def begun(self) -> bool:
        """Whether there is an ablation at all."""
        return self._settings.exists() and self.run.begun

    @property
    def done(self) -> bool:
        """Whether it was finished."""
        return self.result.exists()

    @property
    def resume_command(self) -> str:
        """What to type to go on."""
        return shlex.join(["leatherens", "ablate", "--resume", "--out", str(self.path)])

    @property
    def _settings(self) -> Path:
        return self.path / "settings.json"

    def write_settings(self, settings: AblationSettings) -> None:
        """Write down what varies."""
        write_json(self._settings, settings.model_dump(mode="json"))

    def settings(self) -> AblationSettings:
        """What `write_settings` wrote."""
        return parse_params(AblationSettings, read_json(self._settings), owner=str(self._settings))

    def tidy(self) -> None:
        """Remove what only helped on the way."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self.done:
            shutil.rmtree(self.observations, ignore_errors=True)

    def leave_nothing(self) -> None:
        """Take back the settings of an ablation that was refused before its run began."""
        if not self.run.begun:
            self._settings.unlink(missing_ok=True)
            with suppress(OSError):
                self.path.rmdir()
