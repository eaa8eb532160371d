"""Whether a folder is free for a new run, or for results."""

from __future__ import annotations

from pathlib import Path

from leatherens.core.errors import ArtifactError
from leatherens.ensembles.categories import CategoriesFolder
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.project.folder import ProjectFolder


def refuse_taken(path: Path) -> None:
    """Refuse a folder in which a run, runs of categories or a project was begun."""
    kinds = (RunFolder(path), CategoriesFolder(path), ProjectFolder(path))
    folder = next((folder for folder in kinds if folder.begun), kinds[0])
    if folder.done:
        raise ArtifactError(f"{folder.path}: holds a finished run; choose another --out")
    if folder.begun:
        raise ArtifactError(
            f"{folder.path}: a run was begun here; go on with {folder.resume_command}, or choose "
            "another --out"
        )


def result_folder(out: Path) -> RunFolder:
    """The folder for results, made now, so that nothing is scored in vain; a run's own results stay."""
    folder = RunFolder(out)
    if folder.begun:
        raise ArtifactError(f"{out}: a run's own folder; choose another --out for the results")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{out}: cannot be written ({error.strerror}); choose another --out") from None
    return folder
