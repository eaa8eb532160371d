"""Scores of good images on disk: folds need not be scored again, and other rules can learn from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leatherens.core.artifact import read_tensors, write_tensors
from leatherens.core.errors import ArtifactError
from leatherens.ensembles.scoring import ScorerScores, Scores, TiledScores, WholeScores
from leatherens.ensembles.tiled_photographs import Source, TiledPhotographs
from leatherens.ensembles.tiled_scoring import KeptMap


def write_scores_of(path: Path, scores: Scores) -> None:
    """Write the image scores and maps of every scorer, at the size they were made at."""
    scorers = list(scores.by_scorer)
    tensors = {
        f"{number}/{name}": tensor
        for number, scorer in enumerate(scorers)
        for name, tensor in _tensors(scores.by_scorer[scorer])
    }
    note = {"ids": scores.ids, "scorers": scorers, "milliseconds": dict(scores.milliseconds)}
    write_tensors(path, tensors, {"scores": json.dumps(note)})


def read_scores_of(path: Path, source: Source, *, crossed: bool = False) -> Scores:
    """What `write_scores_of` wrote of a source's images, in the source's order; crossed: as `Scores` says."""
    tensors, metadata = read_tensors(path)
    try:
        note = json.loads(metadata["scores"])
        ids, scorers, spent = tuple(note["ids"]), note["scorers"], note["milliseconds"]
    except (KeyError, TypeError, json.JSONDecodeError):
        raise ArtifactError(f"{path}: damaged, it does not say whose scores it holds") from None
    at = {id: index for index, id in enumerate(ids)}
    kept = [at[id] for id in source.ids if id in at]
    found = {}
    for number, scorer in enumerate(scorers):
        own = {name.partition("/")[2]: t for name, t in tensors.items() if name.startswith(f"{number}/")}
        try:
            found[scorer] = _restored(own, kept, source)
        except KeyError as error:
            raise ArtifactError(f"{path}: damaged, it lacks {error} of {scorer}") from None
    return Scores(tuple(ids[index] for index in kept), found, spent, crossed)


def joined(parts: Sequence[Scores]) -> Scores:
    """Scores of different images as one; milliseconds are the first part's."""
    ids = tuple(id for part in parts for id in part.ids)
    first = parts[0]
    by_scorer = {s: _joined([part.by_scorer[s] for part in parts]) for s in first.by_scorer}
    return Scores(ids, by_scorer, first.milliseconds, first.crossed)


def _joined(parts: Sequence[ScorerScores]) -> ScorerScores:
    images: NDArray[np.float32] = np.concatenate([part.images for part in parts])
    tiled = [part for part in parts if isinstance(part, TiledScores)]
    if tiled:
        return TiledScores(images, [kept for part in tiled for kept in part.kept], tiled[0].step)
    whole = [part for part in parts if isinstance(part, WholeScores)]
    return WholeScores(
        images,
        maps=[pixels for part in whole for pixels in part.maps],
        valids=[valid for part in whole for valid in part.valids],
        frames=[frame for part in whole for frame in part.frames],
    )


def _tensors(scores: ScorerScores) -> Iterator[tuple[str, Tensor]]:
    """Named tensors of one scorer."""
    yield "images", torch.from_numpy(scores.images)
    if isinstance(scores, TiledScores):
        yield "highest", torch.tensor([kept.highest for kept in scores.kept], dtype=torch.float64)
        for index, kept in enumerate(scores.kept):
            yield f"map/{index}", torch.from_numpy(kept.scores)
            if kept.valid is not None:
                yield f"valid/{index}", torch.from_numpy(kept.valid)
    elif isinstance(scores, WholeScores):
        for index, pixels in enumerate(scores.maps):
            yield f"map/{index}", pixels
            valid = scores.valids[index]
            if valid is not None:
                yield f"valid/{index}", valid


def _restored(tensors: Mapping[str, Tensor], kept: Sequence[int], source: Source) -> ScorerScores:
    """Some of one scorer's images, by their places in the file; the source's that are in it, in its order."""
    images: NDArray[np.float32] = tensors["images"].numpy()[kept]
    maps = [tensors[f"map/{index}"] for index in kept]
    valids = [tensors.get(f"valid/{index}") for index in kept]
    if isinstance(source, TiledPhotographs):
        highest = [float(tensors["highest"][index]) for index in kept]
        tiled = [
            KeptMap(pixels.numpy(), None if valid is None else valid.numpy(), high)
            for pixels, valid, high in zip(maps, valids, highest, strict=True)
        ]
        return TiledScores(images, tiled, source.step)
    return WholeScores(images, maps, valids, source.frames)
