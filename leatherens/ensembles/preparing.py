"""The preparation of a run: fitted on the good images that teach, stored step by step, loaded again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leatherens.core.listing import counted, named
from leatherens.core.preparation import Preparation
from leatherens.core.progress import Progress
from leatherens.core.reading import Sample
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.sources import Photographs

Steps = tuple[Preparation, ...]


def fit_preparation(
    folder: RunFolder, steps: Steps, fit: Sequence[Sample], *, seed: int, progress: Progress
) -> Steps:
    """The steps fitted one after the other, each on what those before it leave, and stored at once."""
    done: Steps = ()
    for number, step in enumerate(steps):
        at = folder.preparation(number, step.id)
        if step.learns and folder.holds(at):
            done = (*done, folder.load(at, type(step)))
            continue
        done = (*done, step.fit(Photographs(fit, done), seed=seed, progress=progress))
        if step.learns:
            folder.save(at, step)
    return done


def load_preparation(folder: RunFolder, steps: Steps) -> Steps:
    """The steps as they were learned."""
    return tuple(
        folder.load(folder.preparation(number, step.id), type(step)) if step.learns else step
        for number, step in enumerate(steps)
    )


def preparation_remarks(told: Mapping[str, Sequence[str]], total: int) -> tuple[str, ...]:
    """What the steps tell of images, one sentence for all of which they tell the same."""
    images: dict[str, list[str]] = {}
    for id, remarks in told.items():
        for remark in remarks:
            images.setdefault(remark, []).append(id)
    return tuple(
        f"{len(ids)} of {counted(total, 'image')} {remark}: {named(ids)}" for remark, ids in images.items()
    )
