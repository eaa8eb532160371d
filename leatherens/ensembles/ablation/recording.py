"""What voters saw in each image, kept on disk by the image's content and read back row by row.

Observations are the dear part of an ablation; every variant fuses the same ones. An image is known by its
pixels, so that a spoilt copy of it is another image. Whatever is asked for and not there yet is computed for
all voters at once. Of each voter there are two files of raw float32, one row an image: scores, feature maps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leatherens.core.artifact import read_json, write_json, write_text
from leatherens.core.backbones import Pyramids
from leatherens.core.detector import Detector, FeatureSpec, FitContext
from leatherens.core.errors import ArtifactError
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap

Observe = Callable[[ImageBatch], Mapping[str, Observation]]
"""A batch to what every voter sees in it."""


class Recordings:
    """Observations of several voters in a folder; `observe` computes the missing ones."""

    def __init__(self, folder: Path, observe: Observe) -> None:
        self._folder = folder
        self._observe = observe
        self._rows = _known(folder / "images.txt")
        self._shapes: dict[str, Any] = read_json(folder / "shapes.json") if self._rows else {}
        self._latest: tuple[ImageBatch, list[int]] | None = None

    def observation(self, voter: str, batch: ImageBatch, *, features: bool) -> Observation:
        """What one voter saw in a batch; its feature maps only if they are asked for."""
        rows = self._rows_of(batch)
        with _in_words(self._folder):
            pixels, image = self._read(voter, "scores", rows, batch)
            maps = self._read(voter, "features", rows, batch) if features else []
        names = self._shapes[voter]["names"] if features else []
        return Observation(FeatureMaps(tuple(maps), tuple(names)), ScoreMap(pixels, image))

    def specs(self, voter: str) -> tuple[FeatureSpec, ...]:
        """The feature maps recorded of a voter, once one image is."""
        known = self._shapes[voter]
        height = known["scores"][0][0]
        return tuple(
            FeatureSpec(name, shape[0], max(1, height // shape[1]))
            for name, shape in zip(known["names"], known["features"], strict=True)
        )

    def ensure(self, batch: ImageBatch) -> None:
        """Compute what is missing of a batch."""
        self._rows_of(batch)

    def _rows_of(self, batch: ImageBatch) -> list[int]:
        if self._latest is not None and self._latest[0] is batch:  # asked by every voter in turn
            return self._latest[1]
        keys = _keys(batch)
        first = {key: i for i, key in reversed(list(enumerate(keys)))}  # an image may come twice
        missing = sorted(i for key, i in first.items() if key not in self._rows)
        if missing:
            self._record([keys[i] for i in missing], _part(batch, missing))
        rows = [self._rows[key] for key in keys]
        self._latest = batch, rows
        return rows

    def _record(self, keys: Sequence[str], batch: ImageBatch) -> None:
        seen = self._observe(batch)
        with _in_words(self._folder):
            if not self._shapes:
                self._shapes = {voter: _shapes(found) for voter, found in seen.items()}
                write_json(self._folder / "shapes.json", self._shapes)
            for voter, found in seen.items():
                scores = [found.scores.pixels, found.scores.image]
                self._append(voter, "scores", scores)
                self._append(voter, "features", found.features.maps)
            with (self._folder / "images.txt").open("a", encoding="ascii") as index:
                index.writelines(f"{key}\n" for key in keys)
        self._rows.update({key: len(self._rows) + i for i, key in enumerate(keys)})

    def _append(self, voter: str, kind: str, tensors: Sequence[Tensor]) -> None:
        """Write rows behind the last whole one; what an interruption left there is written over."""
        path = self._path(voter, kind)
        if not tensors:
            return
        rows = torch.cat([t.reshape(len(t), -1) for t in tensors], dim=1)
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(len(self._rows) * rows.shape[1] * 4)
            file.write(rows.float().cpu().numpy().tobytes())

    def _read(self, voter: str, kind: str, rows: Sequence[int], batch: ImageBatch) -> list[Tensor]:
        shapes = [tuple(shape) for shape in self._shapes[voter][kind]]
        if not shapes:
            return []
        sizes = [int(np.prod(shape)) for shape in shapes]
        read = np.stack([self._row(self._path(voter, kind), row, sum(sizes)) for row in rows])
        values = torch.from_numpy(read).to(batch.pixels.device)
        parts = torch.split(values, sizes, dim=1)
        return [part.reshape(len(rows), *shape) for part, shape in zip(parts, shapes, strict=True)]

    def _row(self, path: Path, row: int, count: int) -> Any:
        found = np.fromfile(path, dtype=np.float32, count=count, offset=row * count * 4)
        if found.size != count:
            raise ArtifactError(f"{path}: damaged; remove {self._folder} and go on with --resume")
        return found

    def _path(self, voter: str, kind: str) -> Path:
        return self._folder / f"{sorted(self._shapes).index(voter):02d}-{kind}.f32"


class Recorded(Detector):
    """Stands for a fitted voter: shows what it saw, and computes nothing that was computed before.

    features: read its maps too; without, there is one map, the scores, which costs nothing.
    """

    id = "recorded"
    recordings_: Recordings

    def __init__(self, voter: str, recordings: Recordings, *, features: bool) -> None:
        super().__init__()
        self.recordings_ = recordings
        self._voter = voter
        self._features = features

    def features(self) -> tuple[FeatureSpec, ...]:
        """The maps recorded, or the scores as one."""
        scores = (FeatureSpec(f"{self._voter}/scores", 1, 1),)
        return self.recordings_.specs(self._voter) if self._features else scores

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        raise NotImplementedError("a recorded voter was fitted before it was recorded")

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        seen = self.recordings_.observation(self._voter, batch, features=self._features)
        if self._features:
            return seen
        maps = FeatureMaps((seen.scores.pixels[:, None],), (f"{self._voter}/scores",))
        return Observation(maps, seen.scores)


def _known(path: Path) -> dict[str, int]:
    """Row by image, of the images recorded whole."""
    if not path.exists():
        return {}
    whole = path.read_text(encoding="ascii").rpartition("\n")[0].split()  # what follows was interrupted
    write_text(path, "".join(f"{key}\n" for key in whole))
    return {key: row for row, key in enumerate(whole)}


def _shapes(found: Observation) -> dict[str, Any]:
    """The shapes of one image's rows, and the names of the maps."""
    return {
        "scores": [list(found.scores.pixels.shape[1:]), []],
        "features": [list(maps.shape[1:]) for maps in found.features.maps],
        "names": list(found.features.names),
    }


def _keys(batch: ImageBatch) -> list[str]:
    """A name for what each image shows."""
    pixels = batch.pixels.cpu().contiguous().numpy()
    valid = None if batch.valid is None else batch.valid.cpu().contiguous().numpy()
    keys = []
    for index, image in enumerate(pixels):
        content = hashlib.blake2b(image.tobytes(), digest_size=16)
        if valid is not None:
            content.update(valid[index].tobytes())
        keys.append(content.hexdigest())
    return keys


def _part(batch: ImageBatch, rows: list[int]) -> ImageBatch:
    """Some images of a batch; the batch itself where it is all of them."""
    return batch if len(rows) == len(batch) else batch.rows(rows)


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """A full disk is a sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ArtifactError(
            f"{folder}: cannot be written or read ({error.strerror or error}); free some space or choose "
            "another --out"
        ) from error
