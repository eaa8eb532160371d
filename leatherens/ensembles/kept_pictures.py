"""What reports show of a run and none of its other files holds: `pictures.zip`, to make a report again.

```text
pictures.zip
  images.json            of each image: size, view, how it was prepared, the ends of its maps; the remarks
  photographs/N.jpg      small ones, for when the photographs have moved
  valid/N.png            where scores count, of images that are not inspected everywhere
  maps/S/N.png           score maps of members, S by their place in images.json, 10 bits between their ends
  reconstructions/S/N.jpg
```
The ensemble's own maps lie in `maps/`, as they were scored. Nothing but reports reads this file: a run does
without it. Of maps of 256 x 256 pixels each takes about 36 kB, a small photograph of leather 12 kB.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from leatherens.core.artifact import written_whole
from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.params import Params, parse_params
from leatherens.core.photographs import Photograph, resize_photograph
from leatherens.core.preparation import FloatMap, Frame
from leatherens.core.reading import Sample
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.scoring import ScorerScores, Scores, TiledScores, WholeScores
from leatherens.ensembles.tiled_photographs import Source

FORMAT = 1
LONGEST = 320
"""Pixels on the longer side of a small photograph: what a card of the report shows."""
LEVELS = 1023
"""Steps between a map's lowest and highest score: four for each colour that a report paints them in."""
LONGEST_MAP = 1024
"""Pixels on the longer side of members' maps of photographs in tiles, each the highest of its block."""

_QUALITY = 85  # of JPEG
_INDEX = "images.json"

Ends = tuple[float, float]
Size = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class KeptImage(Params):
    """Of one image: its photograph's size, that of the prepared picture and the way there (`Frame`).

    masked: whether somebody had marked its defect. ends: by scorer, the lowest and highest score of its map.
    """

    id: str
    view: str = ""
    size: Size
    prepared: Size
    warp: tuple[tuple[float, ...], ...] | None = None
    masked: bool = False
    ends: dict[str, Ends] = Field(default_factory=dict)

    @property
    def frame(self) -> Frame:
        """How the prepared picture lies in the photograph."""
        return Frame(self.size, self.prepared, None if self.warp is None else np.array(self.warp, np.float64))


class Index(Params):
    """What images.json says. scorers: whose maps are kept; alike: those whose maps are the ensemble's.

    step: maps of photographs in tiles were thinned to each `step`-th pixel of each `step`-th row.
    remarks: what the report told a reader.
    """

    format: int = FORMAT
    scorers: tuple[str, ...]
    alike: tuple[str, ...] = ()
    step: int = 1
    remarks: tuple[str, ...] = ()
    images: tuple[KeptImage, ...]


def keep_pictures(path: Path, source: Source, scores: Scores, remarks: Sequence[str]) -> None:
    """Write what a report shows of scored images, one after the other, so that memory holds one."""
    alike = [scorer for scorer in scores.by_scorer if scorer != ENSEMBLE and _alike(scores, scorer)]
    kept = [scorer for scorer in scores.by_scorer if scorer != ENSEMBLE and scorer not in alike]
    with written_whole(path) as beside, zipfile.ZipFile(beside, "w") as file:
        found = [_keep_image(file, number, source, scores, kept) for number in range(len(scores.ids))]
        whole = scores.by_scorer[ENSEMBLE]
        index = Index(
            scorers=tuple(scores.by_scorer),
            alike=tuple(alike),
            step=whole.step if isinstance(whole, TiledScores) else 1,
            remarks=tuple(remarks),
            images=tuple(found),
        )
        text = json.dumps(index.model_dump(mode="json"), ensure_ascii=False)
        _write(file, _INDEX, text.encode())


def _write(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    """One entry without a date, so that the same run gives the same file; pictures are compressed already."""
    method = zipfile.ZIP_DEFLATED if name == _INDEX else zipfile.ZIP_STORED
    file.writestr(zipfile.ZipInfo(name), content, compress_type=method)


def _alike(scores: Scores, scorer: str) -> bool:
    """Whether a scorer's maps are the ensemble's, as those of a member that is alone."""
    own, all_of_them = scores.by_scorer[scorer], scores.by_scorer[ENSEMBLE]
    return all(np.array_equal(_raw(own, i), _raw(all_of_them, i)) for i in range(len(scores.ids)))


def _raw(scores: ScorerScores, index: int) -> NDArray[np.float32]:
    """A map at the size it was made at."""
    return scores.maps[index].numpy() if isinstance(scores, WholeScores) else scores.map(index)


def _keep_image(
    file: zipfile.ZipFile, number: int, source: Source, scores: Scores, kept: Sequence[str]
) -> KeptImage:
    """Write the pictures of one image; returns what else is to be known of it."""
    whole, sample = scores.by_scorer[ENSEMBLE], source.samples[number]
    photograph = source.photograph(number)
    _write(file, f"photographs/{number}.jpg", _jpeg(_small(photograph)))
    if isinstance(whole, WholeScores):
        frame, valid = whole.frames[number], whole.valids[number]
        marks = None if valid is None else valid.numpy()
    else:
        size = photograph.shape[0], photograph.shape[1]
        frame, marks = Frame(size, size), whole.valid(number)
    if marks is not None and not marks.all():
        _write(file, f"valid/{number}.png", _png(marks))
    ends = {}
    for scorer in kept:
        found, place = scores.by_scorer[scorer], list(scores.by_scorer).index(scorer)
        levels, ends[scorer] = _levels(_kept_size(found, number))
        _write(file, f"maps/{place}/{number}.png", _png(levels))
    for place, found in enumerate(scores.by_scorer.values()):
        if isinstance(found, WholeScores) and found.pictures:
            picture = found.pictures[number]
            _write(file, f"reconstructions/{place}/{number}.jpg", _jpeg(_small(picture)))
    return _kept_image(sample, frame, ends)


def _kept_image(sample: Sample, frame: Frame, ends: dict[str, Ends]) -> KeptImage:
    return KeptImage(
        id=sample.id,
        view=sample.view,
        size=frame.original,
        prepared=frame.prepared,
        warp=None if frame.warp is None else tuple(tuple(map(float, row)) for row in frame.warp),
        masked=bool(sample.masks),
        ends=ends,
    )


def _kept_size(scores: ScorerScores, index: int) -> FloatMap:
    """A map as large as it is kept."""
    pixels = _raw(scores, index)
    step = -(-max(pixels.shape) // LONGEST_MAP)
    if step == 1 or isinstance(scores, WholeScores):
        return pixels
    down, across = (np.arange(0, side, step) for side in pixels.shape)
    highest: FloatMap = np.maximum.reduceat(np.maximum.reduceat(pixels, down, axis=0), across, axis=1)
    return highest


def _levels(pixels: FloatMap) -> tuple[NDArray[np.uint16], Ends]:
    low, high = float(pixels.min()), float(pixels.max())
    span = (pixels.astype(np.float64) - low) / ((high - low) or 1.0)
    return np.round(LEVELS * span).astype(np.uint16), (low, high)


def scores_at(levels: NDArray[np.uint16], ends: Ends) -> FloatMap:
    """Levels 0 to `LEVELS` as scores between the ends.

    >>> scores_at(np.array([[0, 1023]], np.uint16), (1.0, 3.0)).tolist()
    [[1.0, 3.0]]
    """
    low, high = ends
    return (low + (high - low) / LEVELS * levels.astype(np.float64)).astype(np.float32)


def _small(picture: Photograph) -> Photograph:
    height, width = picture.shape[:2]
    factor = min(1.0, LONGEST / max(height, width))
    return resize_photograph(picture, (max(1, round(height * factor)), max(1, round(width * factor))))


def _jpeg(picture: Photograph) -> bytes:
    return _file(picture, "JPEG", quality=_QUALITY)


def _png(pixels: NDArray[Any]) -> bytes:
    return _file(pixels, "PNG", compress_level=3)


def _file(pixels: NDArray[Any], kind: str, **options: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind, **options)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class KeptPictures:
    """What `keep_pictures` wrote; pictures are read when asked for, by the image's id."""

    path: Path
    index: Index
    numbers: Mapping[str, int]
    names: frozenset[str]

    @classmethod
    def at(cls, path: Path) -> KeptPictures:
        """Open the file; an `ArtifactError` says that it is missing, damaged or of a newer version."""
        try:
            with zipfile.ZipFile(path) as file:
                broken = file.testzip()
                content = json.loads(file.read(_INDEX))
                names = frozenset(file.namelist())
        except FileNotFoundError:
            raise ArtifactError(
                f"{path} is not there; it was deleted, or the run was made by an older version"
            ) from None
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read ({error.strerror or error})") from None
        except Exception as error:  # noqa: BLE001 - zipfile raises anything on damaged bytes
            raise ArtifactError(f"{path}: damaged ({error}); delete it") from None
        if broken is not None:
            raise ArtifactError(f"{path}: damaged ({broken} in it); delete it")
        made = content.get("format") if isinstance(content, dict) else None
        if isinstance(made, int) and made > FORMAT:
            raise ArtifactError(f"{path}: of format {made}, this leatherens reads up to {FORMAT}; update it")
        try:
            index = parse_params(Index, content, owner=str(path))
        except ConfigError as error:
            raise ArtifactError(f"{path}: damaged ({error}); delete it") from None
        return cls(path, index, {image.id: n for n, image in enumerate(index.images)}, names)

    def image(self, id: str) -> KeptImage | None:
        """What is known of an image, `None` where it is not among them."""
        number = self.numbers.get(id)
        return None if number is None else self.index.images[number]

    def photograph(self, id: str) -> Photograph | None:
        """The small photograph."""
        return self._picture(f"photographs/{self.numbers.get(id)}.jpg")

    def valid(self, id: str) -> Tensor | None:
        """Where scores count, bool at the size of the maps; `None` everywhere."""
        found = self._picture(f"valid/{self.numbers.get(id)}.png")
        return None if found is None else torch.from_numpy(found > 0)

    def holds_map(self, id: str, scorer: str) -> bool:
        """Whether a member's map of an image is there."""
        image = self.image(id)
        return image is not None and scorer in image.ends and self._map_name(id, scorer) in self.names

    def map(self, id: str, scorer: str) -> Tensor:
        """A member's map at the size it is kept at."""
        image, levels = self.image(id), self._picture(self._map_name(id, scorer))
        assert image is not None
        assert levels is not None
        return torch.from_numpy(scores_at(levels.astype(np.uint16), image.ends[scorer]))

    def reconstructs(self, scorer: str) -> bool:
        """Whether a scorer's reconstructions are there, of all images."""
        names = (self._reconstruction_name(image.id, scorer) for image in self.index.images)
        return scorer in self.index.scorers and all(name in self.names for name in names)

    def reconstruction(self, id: str, scorer: str) -> Photograph:
        """An image as a member reconstructs it."""
        found: Photograph | None = self._picture(self._reconstruction_name(id, scorer))
        assert found is not None
        return found

    def _map_name(self, id: str, scorer: str) -> str:
        return f"maps/{self.index.scorers.index(scorer)}/{self.numbers[id]}.png"

    def _reconstruction_name(self, id: str, scorer: str) -> str:
        return f"reconstructions/{self.index.scorers.index(scorer)}/{self.numbers[id]}.jpg"

    def _picture(self, name: str) -> NDArray[Any] | None:
        from PIL import Image

        if name not in self.names:
            return None
        with zipfile.ZipFile(self.path) as file, Image.open(io.BytesIO(file.read(name))) as picture:
            return np.array(picture)


def enlarged(pixels: FloatMap, size: tuple[int, int]) -> FloatMap:
    """(h, w) to (H, W): each pixel where its block lay."""
    step = -(-max(size) // LONGEST_MAP)
    whole: FloatMap = np.repeat(np.repeat(pixels, step, axis=0), step, axis=1)[: size[0], : size[1]]
    return whole
