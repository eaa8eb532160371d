"""A finished project as reporters see it, from what the runs of its views keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from leatherens.core.errors import InputError
from leatherens.core.host import PluginHost
from leatherens.core.progress import Progress
from leatherens.core.reporting import ProjectView, RunView, ScoredImage
from leatherens.ensembles.project.assembling import assemble
from leatherens.ensembles.project.folder import ProjectFolder
from leatherens.ensembles.project.measuring import measured
from leatherens.ensembles.project.resolving import resolved
from leatherens.ensembles.reopening import view_of_run


def view_of_project(
    path: Path, host: PluginHost, progress: Progress
) -> tuple[ProjectView, dict[str, RunView]]:
    """A finished project, and by name the runs of its views; their photographs must be where they were."""
    folder = ProjectFolder(path)
    folder.require_done()
    project = resolved(folder.read(), host)
    runs = {view: view_of_run(folder.run(view).path, host, progress) for view in project.views}
    try:
        found = measured(folder, project, assemble(project, host), host)
    except InputError as error:
        first = folder.run(next(iter(runs))).path
        raise InputError(
            f"{path}: the parts cannot be put together without the photographs ({error}); the reports of "
            f"the views can be made without: leatherens report {first}"
        ) from None
    images = {view: {image.id: image for image in run.images} for view, run in runs.items()}
    parts = tuple(
        replace(part, images={v: _as_kept(i, images[v].get(i.id)) for v, i in part.images.items()})
        for part in found.parts
    )
    return replace(found, parts=parts), runs


def _as_kept(image: ScoredImage, kept: ScoredImage | None) -> ScoredImage:
    """An image of a part with the pictures of its run, which has small ones of photographs that are gone."""
    if kept is None:
        return image
    return replace(image, photograph=kept.photograph, truth=kept.truth, path=kept.path)
