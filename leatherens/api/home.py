"""Where a run lies that Python asked for: a folder that was named, or one that goes with its object."""

from __future__ import annotations

import io
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leatherens.core.errors import ArtifactError, LeatherensError, MembersFailed
from leatherens.ensembles.folder import RunFolder

PHOTOGRAPHS = "photographs"
"""Of a run's folder, where images lie that were given as pixels or one by one."""

_GIVEN = "the images given"


class Home:
    """A run's folder. A temporary one is removed with the last reference to it.

    Pickled or copied, a temporary one takes its files along; they hold numbers and text, and no code.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.stays = folder is not None
        """Whether the folder was named, and is not removed."""
        if folder is None:
            around = tempfile.mkdtemp(prefix="leatherens-")
            # Not TemporaryDirectory, which warns whenever nobody closed it.
            weakref.finalize(self, shutil.rmtree, around, ignore_errors=True)
            folder = Path(around) / "run"
        self.path = folder

    @property
    def photographs(self) -> Path:
        """Images that were given."""
        return self.path / PHOTOGRAPHS

    @contextmanager
    def withdrawn_if_refused(self) -> Iterator[None]:
        """Images of what never became a run are taken back, and messages name none of their hidden places."""
        try:
            yield
        except MembersFailed as error:
            raise error if self.stays else _without_a_trace(error) from None
        except BaseException as error:
            if not RunFolder(self.path).begun:
                self._clear()
            if isinstance(error, LeatherensError):
                told = str(error).replace(str(self.photographs.resolve()), _GIVEN)
                error.args = (told, *error.args[1:])
            raise

    def _clear(self) -> None:
        shutil.rmtree(self.photographs, ignore_errors=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def copy_to(self, folder: Path) -> None:
        """Copy the run into a folder that is not there yet; it says then that its images lie in the copy."""
        if folder.exists():
            raise ArtifactError(f"{folder}: is there already; choose another name")
        try:
            shutil.copytree(self.path, folder, ignore=shutil.ignore_patterns(".lock"))
        except (OSError, shutil.Error) as error:
            raise ArtifactError(f"{folder}: cannot be written ({error}); choose another place") from None
        copy = RunFolder(folder)
        facts = copy.facts()
        if Path(facts.data.root) == self.photographs.resolve():
            data = facts.data.model_copy(update={"root": str((folder / PHOTOGRAPHS).resolve())})
            copy.write_facts(facts.model_copy(update={"data": data}))

    def __getstate__(self) -> dict[str, Any]:
        if self.stays:
            return {"path": self.path, "files": None}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for file in sorted(path for path in self.path.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(self.path))
        return {"path": None, "files": packed.getvalue()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]
        if state["files"] is not None:
            with zipfile.ZipFile(io.BytesIO(state["files"])) as archive:
                archive.extractall(self.path)


def _without_a_trace(error: MembersFailed) -> MembersFailed:
    """What failed in a run that is gone with it, so that nothing can be gone on with."""
    told = "; ".join(f"{id} could not be learned: {reason}" for id, reason in error.failures.items())
    message = f"{told}. Give Ensemble a folder as out, and what the others learned is kept"
    return MembersFailed(message, failures=error.failures, kept=())
