"""The preparation of a run: fitted on the good images that teach, stored step by step, loaded again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from leatherens.core.errors import InputError
from leatherens.core.listing import counted, named
from leatherens.core.photographs import read_photograph
from leatherens.core.preparation import Frame, Preparation, Prepared
from leatherens.core.progress import Progress
from leatherens.core.reading import Sample
from leatherens.core.reporting import PreparedImage
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.guarding import LEARNING, guarded
from leatherens.ensembles.sources import FileSource, Photographs, Shown

Steps = tuple[Preparation, ...]

SHOWN = 6
"""Images whose preparation a report shows."""


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
        with guarded(f"preparation '{step.id}'", LEARNING):
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


def prepared_images(source: Shown) -> Iterator[PreparedImage]:
    """Before and after each step that can be seen, of the images that have most to show; of tiles none."""
    if not isinstance(source, FileSource):
        return
    for sample in _most_telling(source):
        try:
            picture = Prepared(sample.id, read_photograph(sample.path))
        except InputError:  # it has moved since it was scored, which its card says
            continue
        for step in source.preparation:
            comparison = step.compare(picture)
            if comparison is not None:
                yield PreparedImage(step.id, sample.id, comparison)
            picture = step.apply(picture)


def _most_telling(source: FileSource) -> list[Sample]:
    """Two of those there is a remark on, then those that moved furthest."""
    frames, remarks = source.frames, source.remarks
    order = sorted(range(len(frames)), key=lambda index: -_moved(frames[index]))
    told = [index for index in order if source.ids[index] in remarks][:2]
    others = [index for index in order if source.ids[index] not in remarks]
    return [source.samples[index] for index in (*others[: SHOWN - len(told)], *told)]


def _moved(frame: Frame) -> float:
    """How far the middle and a corner moved against a plain resize, as a share of the height."""
    if frame.warp is None:
        return 0.0
    height, width = frame.original
    points = np.array([[0, 0, 1], [width / 2, height / 2, 1]]) @ frame.warp.T  # (2, 3)
    plain = np.array([[0, 0], [frame.prepared[1] / 2, frame.prepared[0] / 2]])
    return float(np.abs(points[:, :2] / points[:, 2:] - plain).sum() / frame.prepared[0])
