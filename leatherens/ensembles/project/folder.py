"""A project on disk.

```text
OUT/
  project.yaml   every view's recipe, resolved        project.json   command, versions, what must not change
  views/NAME/    an ordinary run, of the images of one view
  parts.csv  metrics.json  report.html
  DONE           written last
```
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from leatherens.configs.project import Project, read_project, what_is_done, write_project
from leatherens.core.artifact import read_json, write_json
from leatherens.core.errors import ArtifactError
from leatherens.core.params import Params, parse_params
from leatherens.ensembles.facts import versions
from leatherens.ensembles.folder import PROJECT, RunFolder

FORMAT = 1
"""Version of the folder's layout."""


class Begun(Params):
    """What a project wrote down when it began. fingerprint: of project.yaml, less where to compute."""

    command: str
    fingerprint: str
    format: int = FORMAT
    versions: dict[str, str] = Field(default_factory=versions)


@dataclass(frozen=True, slots=True)
class ProjectFolder(RunFolder):
    """The folder around the runs of the views; what is said of a run holds for it as well."""

    @property
    def project(self) -> Path:
        """The resolved project."""
        return self.path / "project.yaml"

    @property
    def parts(self) -> Path:
        """One line per tested part."""
        return self.path / "parts.csv"

    @property
    def begun(self) -> bool:
        """Whether it is a project at all."""
        return (self.path / PROJECT).exists()

    @property
    def learned(self) -> bool:
        """Whether any view has learned anything yet, if only in part."""
        return any((self.path / "views").glob("*/members/**/*.safetensors"))

    def run(self, view: str) -> RunFolder:
        """The run of one view."""
        return RunFolder(self.path / "views" / view)

    def withdraw(self) -> None:
        """Take back a beginning of which nothing was learned."""
        for path in (self.path / PROJECT, self.project, self.trackers):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.path / "views", ignore_errors=True)

    def begin(self, project: Project, command: str) -> None:
        """Write the project down, after which it has begun."""
        write_project(self.project, project)
        begun = Begun(command=command, fingerprint=_fingerprint(self.project))
        write_json(self.path / PROJECT, begun.model_dump(mode="json"))

    def begun_with(self) -> Begun:
        """What `begin` wrote; refuses what is damaged, or of a newer version."""
        path = self.path / PROJECT
        content = read_json(path)
        if not isinstance(content, dict):
            raise ArtifactError(f"{path}: damaged, expected keys and values, got {type(content).__name__}")
        made = content.get("format")
        if isinstance(made, int) and made > FORMAT:
            raise ArtifactError(
                f"{self.path}: a project of format {made}, this leatherens reads up to {FORMAT}; update it"
            )
        return parse_params(Begun, content, owner=str(path))

    def read(self) -> Project:
        """The project as it began; refused if its file was changed since."""
        begun = self.begun_with()
        if _fingerprint(self.project) != begun.fingerprint:
            raise ArtifactError(
                f"{self.project}: changed since this project began; put it back, or start a new one with "
                "another --out"
            )
        return read_project(self.project)

    def require_done(self) -> None:
        """Refuse a project that was not finished."""
        self.begun_with()
        if not self.done:
            raise ArtifactError(
                f"{self.path}: this project is not finished; go on with {self.resume_command}"
            )


def _fingerprint(path: Path) -> str:
    """A name for what a project does, less where to compute and where weights lie."""
    text = json.dumps(what_is_done(path), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
