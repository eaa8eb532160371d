"""The images of a finished run with what its files still hold of them, each picture read when asked for.

What is gone raises `InputError` when it is asked for, and `remarks` tell it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, TypeVar, overload

import numpy as np
import torch
from torch import Tensor

from leatherens.configs.recipe import Recipe
from leatherens.core.errors import InputError
from leatherens.core.listing import counted, named
from leatherens.core.overview import block_for
from leatherens.core.photographs import Mask, Photograph, read_masks, read_photograph, resize_photograph
from leatherens.core.preparation import Frame
from leatherens.core.reading import Sample
from leatherens.core.reporting import ScoredImage
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.finding import Found
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.kept_pictures import KeptPictures, enlarged
from leatherens.ensembles.map_files import read_map
from leatherens.ensembles.scored_table import ScoredLine
from leatherens.ensembles.scoring import ScorerScores, Scores, TiledScores, WholeScores
from leatherens.ensembles.tiled_photographs import (
    TiledPhotographs,
    small_photograph,
    thinned_mask,
    thinned_size,
)
from leatherens.ensembles.tiled_scoring import KeptMap

T = TypeVar("T")


class Each(Sequence[T]):
    """n things that are read when they are asked for, and again the next time."""

    def __init__(self, count: int, read: Callable[[int], T]) -> None:
        self._places = range(count)
        self._read = read

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        places = self._places[index]
        return self._read(places) if isinstance(places, int) else [self._read(place) for place in places]


class Filed:
    """The images of a run in the place of a source.

    sizes: height and width of the ensemble's map of each image of which it is there, by id.
    kept: what pictures.zip holds, `None` where there is none.
    """

    def __init__(
        self,
        folder: RunFolder,
        recipe: Recipe,
        lines: Sequence[ScoredLine],
        found: Found,
        sizes: Mapping[str, tuple[int, int]],
        kept: KeptPictures | None,
    ) -> None:
        self.folder = folder
        self.recipe = recipe
        self.lines = tuple(lines)
        self.there = found.there
        self.samples = tuple(_of_its_view(sample, kept) for sample in found.samples)
        self._sizes = sizes
        self._kept = kept

    @cached_property
    def step(self) -> int:
        """Of the maps of photographs in tiles each `step`-th pixel of each `step`-th row is looked at."""
        if self.recipe.tile is None:
            return 1
        if self._kept is not None:
            return self._kept.index.step
        return TiledPhotographs.step_of(list(self._sizes.values()))

    @property
    def ids(self) -> tuple[str, ...]:
        """One name per image."""
        return tuple(sample.id for sample in self.samples)

    def photograph(self, index: int) -> Photograph:
        """The photograph if it is there, else the small one that was kept, else `InputError`."""
        sample = self.samples[index]
        if sample.id in self.there:
            try:
                return (read_photograph if self.recipe.tile is None else small_photograph)(sample.path)
            except InputError:
                pass
        small = None if self._kept is None else self._kept.photograph(sample.id)
        if small is None:
            raise InputError(f"{sample.id}: the photograph is gone")
        return resize_photograph(small, self._shown_size(sample))

    def mask(self, index: int) -> Mask | None:
        """The marked defect at the size of the map; `None` without a mask or a map."""
        sample = self.samples[index]
        size = self._sizes.get(sample.id)
        if size is None or (not sample.masks and sample.defective is not False):
            return None
        if not sample.masks:
            return np.zeros(thinned_size(size, self.step), np.bool_)
        try:
            if self.recipe.tile is None:
                return read_masks(sample.masks, size)
            return thinned_mask(sample.masks, size, self.step)
        except InputError:
            return None

    def remarks(self, with_truth: int) -> tuple[str, ...]:
        """What is missing beside photographs; with_truth: how many images had a mask, or needed none."""
        total, told = len(self.lines), []
        gone = [id for id in self.ids if id not in self._sizes]
        if gone:
            told.append(
                f"{len(gone)} of {counted(total, 'score map')} are missing or damaged in "
                f"{self.folder.path / 'maps'} ({named(gone)}): nothing that rests on their pixels is shown"
            )
        if lost := self._lost_masks(with_truth):
            told.append(
                f"the masks of {counted(len(lost), 'image')} are gone or damaged ({named(lost)}), so "
                "they are not shown; tables hold what was measured with them"
            )
        return tuple(told)

    def _lost_masks(self, with_truth: int) -> list[str]:
        """The images whose defect was marked and whose mask cannot be read any more."""
        marked = [self.mask(index) is not None for index in range(len(self.samples))]
        unmarked = [
            sample.id
            for sample, there in zip(self.samples, marked, strict=True)
            if sample.defective and not there and sample.id in self._sizes
        ]
        if self._kept is not None:
            kept = {id: self._kept.image(id) for id in unmarked}
            return [id for id, image in kept.items() if image is not None and image.masked]
        lost = with_truth - sum(marked) - (len(self.lines) - len(self._sizes))
        return unmarked if lost > 0 else []

    def scores(self, scorers: Sequence[str], metrics: Mapping[str, Any]) -> Scores:
        """What was scored, maps and pictures read when they are asked for."""
        rows = {ENSEMBLE: metrics["ensemble"], **metrics["members"]}
        spent = {scorer: rows.get(scorer, {}).get("ms_per_image", math.nan) for scorer in scorers}
        return Scores(self.ids, {scorer: self._scores_of(scorer) for scorer in scorers}, spent)

    def as_written(self, index: int, image: ScoredImage) -> ScoredImage:
        """An image with the verdict that was written, without what cannot be read any more."""
        maps = {scorer: read for scorer, read in image.member_maps.items() if self._holds(image.id, scorer)}
        path = image.path if image.id in self.there else None
        return replace(image, flagged=self.lines[index].flagged, member_maps=maps, path=path)

    def _holds(self, id: str, scorer: str) -> bool:
        """Whether a member's map is there."""
        if self._kept is None:
            return False
        return id in self._sizes if scorer in self._kept.index.alike else self._kept.holds_map(id, scorer)

    def _scores_of(self, scorer: str) -> ScorerScores:
        images = np.array([line.scores[scorer] for line in self.lines], np.float32)
        alike = self._kept is not None and scorer in self._kept.index.alike
        own = scorer == ENSEMBLE or alike
        if self.recipe.tile is not None:
            thinned = self._thinned if own else partial(self._member_thinned, scorer)
            return TiledScores(images, self._each(thinned), self.step)
        valids = self._each(self._valid)
        pictures = self._pictures(scorer)
        if not own:
            frames = [self._frame(id) for id in self.ids]
            return WholeScores(
                images, self._each(partial(self._member_map, scorer)), valids, frames, pictures
            )
        frames = [Frame(frame.original, frame.original) for frame in map(self._frame, self.ids)]
        return WholeScores(
            images, self._each(self._map), self._each(self._valid_as_it_lies), frames, pictures
        )

    def _each(self, read: Callable[[int], T]) -> Each[T]:
        return Each(len(self.lines), read)

    def _frame(self, id: str) -> Frame:
        """How the prepared picture lay in the photograph; without what was kept, as if nothing moved it."""
        image = None if self._kept is None else self._kept.image(id)
        if image is not None and self.recipe.tile is None:
            return image.frame
        size = self._sizes.get(id, self.recipe.size)
        return Frame(size, size)

    def _map(self, index: int) -> Tensor:
        """The ensemble's map as the photograph lies."""
        id = self.ids[index]
        if id not in self._sizes:
            raise InputError(f"{id}: its score map is missing or damaged")
        return torch.from_numpy(read_map(self.folder.map(id), self.step))

    def _valid(self, index: int) -> Tensor | None:
        return None if self._kept is None else self._kept.valid(self.ids[index])

    def _valid_as_it_lies(self, index: int) -> Tensor | None:
        valid = self._valid(index)
        return None if valid is None else torch.from_numpy(self._frame(self.ids[index]).back_valid(valid))

    def _member_map(self, scorer: str, index: int) -> Tensor:
        """A member's map as it is kept."""
        id = self.ids[index]
        if self._kept is None or not self._kept.holds_map(id, scorer):
            raise InputError(f"{id}: the score map of {scorer} was not kept")
        return self._kept.map(id, scorer)

    def _thinned(self, index: int) -> KeptMap:
        scores, valid = self._map(index).numpy(), self._valid(index)
        marks = None if valid is None or valid.shape != scores.shape else valid.numpy()
        return KeptMap(scores, marks, float(scores.max()))

    def _member_thinned(self, scorer: str, index: int) -> KeptMap:
        """A member's map, each pixel where its block lay among those of the ensemble's."""
        size = self._sizes.get(self.ids[index])
        small = self._member_map(scorer, index).numpy()
        scores = small if size is None else enlarged(small, thinned_size(size, self.step))
        return KeptMap(scores, None, float(scores.max()))

    def _pictures(self, scorer: str) -> Sequence[Photograph]:
        """A member's reconstructions, of all images or of none."""
        if self._kept is None or not self._kept.reconstructs(scorer):
            return ()
        kept = self._kept
        return self._each(lambda index: kept.reconstruction(self.ids[index], scorer))

    def _shown_size(self, sample: Sample) -> tuple[int, int]:
        """Height and width of a photograph as reports get it; of one in tiles, those of its overview."""
        image = None if self._kept is None else self._kept.image(sample.id)
        if image is not None:
            return image.size
        size = self._sizes.get(sample.id, self.recipe.size)
        if self.recipe.tile is None:
            return size
        block = block_for(size)
        return -(-size[0] // block), -(-size[1] // block)


def _of_its_view(sample: Sample, kept: KeptPictures | None) -> Sample:
    """The sample with its view, where its images could not be read as before."""
    image = None if kept is None else kept.image(sample.id)
    return sample if sample.view or image is None else replace(sample, view=image.view)
