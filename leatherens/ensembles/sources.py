"""An `ImageSource` over files: decoded by several threads, prepared, resized, and kept up to a bound."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from typing_extensions import Self

from leatherens.core.colours import Lab, image_colour
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.photographs import (
    Mask,
    Photograph,
    read_at_least,
    read_mask,
    read_masks,
    read_photograph,
    resize_photograph,
)
from leatherens.core.preparation import (
    Frame,
    Preparation,
    Prepared,
    Working,
    at_working_size,
    prepare,
    stacked,
)
from leatherens.core.progress import Progress, Silent
from leatherens.core.reading import Sample
from leatherens.core.saturation import Region, read_region
from leatherens.core.types import FromDisk, ImageBatch

MEMORY_MB = 1024
"""Enough for 5461 images of 256 x 256."""

_THREADS = min(8, os.cpu_count() or 1)
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """A sample that cannot be used; `reason` names the file and what to do."""

    id: str
    reason: str


class Shown(Protocol):
    """What a report shows of images, whether they are scored now or were before."""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What is known of each."""
        ...

    @property
    def ids(self) -> tuple[str, ...]:
        """One name per image."""
        ...

    def photograph(self, index: int) -> Photograph:
        """A photograph, to be shown."""
        ...

    def mask(self, index: int) -> Mask | None:
        """The marked defect at the size of the maps; `None` where nobody has marked it."""
        ...


class FileSource(FromDisk):
    """Samples as batches of one size, (height, width) in pixels; the aspect ratio is not kept.

    preparation: steps that a photograph goes through before it is resized, fitted.
    memory_mb: bound on the resized images kept, so that later epochs decode nothing.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        size: tuple[int, int],
        preparation: Sequence[Preparation] = (),
        memory_mb: int = MEMORY_MB,
    ) -> None:
        if min(size) < 1:
            raise ConfigError(
                f"size: expected a height and a width of at least 1 pixel, got {size[0]} x {size[1]}"
            )
        self.samples = tuple(samples)
        self._decoded = _Decoded(size, tuple(preparation), memory_mb)

    @property
    def ids(self) -> tuple[str, ...]:
        """One name per image."""
        return tuple(sample.id for sample in self.samples)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every batch."""
        return self._decoded.size

    @property
    def preparation(self) -> tuple[Preparation, ...]:
        """The steps that a photograph goes through."""
        return self._decoded.preparation

    @property
    def frames(self) -> tuple[Frame, ...]:
        """How every prepared picture lies in its photograph."""
        unknown = [sample for sample in self.samples if sample.path not in self._decoded.frames]
        self._decoded.load(unknown)
        return tuple(self._decoded.frames[sample.path] for sample in self.samples)

    @property
    def original_sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of every photograph on disk, upright."""
        return tuple(frame.original for frame in self.frames)

    @property
    def remarks(self) -> Mapping[str, tuple[str, ...]]:
        """What the preparation has to tell of images, by id; only of those that were loaded."""
        told = {sample.id: self._decoded.remarks.get(sample.path, ()) for sample in self.samples}
        return {id: remarks for id, remarks in told.items() if remarks}

    @property
    def colours(self) -> Lab:
        """(N, 3) the colour of every photograph as it is on disk, before any preparation."""
        unknown = [sample for sample in self.samples if sample.path not in self._decoded.colours]
        self._decoded.load(unknown)
        return np.array([self._decoded.colours[sample.path] for sample in self.samples]).reshape(-1, 3)

    def only(self, ids: Collection[str]) -> Self:
        """These samples, in the order they stand here, sharing what is decoded."""
        part = copy.copy(self)
        part.samples = only(self.samples, ids)
        return part

    @property
    def teaching(self) -> Self:
        """What members learn from."""
        return self

    @property
    def validating(self) -> Self:
        """What sets scales and chooses epochs."""
        return self

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        """The images at these positions."""
        chosen = [self.samples[i] for i in indices]
        return batch_of(self._decoded.load(chosen), [sample.id for sample in chosen])

    def photograph(self, index: int) -> Photograph:
        """A photograph as it lies on disk, to be shown."""
        return read_photograph(self.samples[index].path)

    def mask(self, index: int) -> Mask | None:
        """The marked defect at original size: nothing of a good image, `None` where nobody has marked it."""
        sample = self.samples[index]
        if not sample.masks and sample.defective is not False:
            return None
        return read_masks(sample.masks, self._decoded.original_size(sample))

    def masks(self) -> list[Mask | None]:
        """`mask` of every sample."""
        return [self.mask(index) for index in range(len(self.samples))]

    def regions(self, index: int) -> list[Region] | None:
        """The defects of an image, each with how much must be found; `None` where the data do not say."""
        sample = self.samples[index]
        size = self._decoded.original_size(sample)
        regions = [read_region(mask, sample.saturations, size) for mask in sample.masks if sample.saturations]
        return regions or None

    def problems(self, progress: Progress | None = None) -> list[Problem]:
        """Open every photograph and mask, and tell which cannot be used; the work is kept for `batch`.

        Truncated files look well until they are decoded to the end, so they are.
        """
        return problems_of(self.samples, self._check, threads=_THREADS, progress=progress)

    def _check(self, sample: Sample) -> None:
        size = self._decoded.original_size(sample)
        for mask in sample.masks:
            read_mask(mask, size)
            if sample.saturations:
                read_region(mask, sample.saturations)


def problems_of(
    samples: Sequence[Sample], check: Callable[[Sample], None], *, threads: int, progress: Progress | None
) -> list[Problem]:
    """What `check` refuses with an `InputError`, in the samples' order, however many are checked at once."""

    def problem(sample: Sample) -> Problem | None:
        try:
            check(sample)
        except InputError as error:
            return Problem(sample.id, str(error))
        return None

    found: list[Problem] = []
    reporting = (progress or Silent()).step("checking the photographs", len(samples))
    with reporting as advance, ThreadPoolExecutor(threads) as pool:
        for one in pool.map(problem, samples):
            found += [one] if one else []
            advance(1)
    return found


def only(samples: Sequence[Sample], ids: Collection[str]) -> tuple[Sample, ...]:
    """The samples of these ids, in the order they stand."""
    wanted = set(ids)
    if missing := wanted - {sample.id for sample in samples}:
        raise InputError(f"no image is called {min(missing)}; the data have changed since they were split")
    return tuple(sample for sample in samples if sample.id in wanted)


def batch_of(working: Sequence[Working], ids: Sequence[str]) -> ImageBatch:
    """Pictures at working size as one batch."""
    stack = np.stack([one.pixels for one in working])  # (B, H, W, 3)
    channels_first = torch.from_numpy(stack).permute(0, 3, 1, 2)  # (B, 3, H, W)
    pixels = channels_first.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    valid = stacked([one.valid for one in working], elsewhere=True)
    hidden = None if valid is None else stacked([one.hidden for one in working], elsewhere=False)
    return ImageBatch(pixels, tuple(ids), valid, hidden)


def require_no_problems(problems: Sequence[Problem], total: int) -> None:
    """Refuse to learn or to evaluate with files that cannot be used, listing up to ten of them."""
    if not problems:
        return
    if len(problems) == 1:
        raise InputError(problems[0].reason)
    lines = [f"{len(problems)} of {total} images cannot be used:"]
    lines += [f"  {problem.reason}" for problem in problems[:_LISTED]]
    if len(problems) > _LISTED:
        lines.append(f"  and {len(problems) - _LISTED} more")
    raise InputError("\n".join(lines))


class _Decoded:
    """Photographs at one size. The first ones stay, up to the bound; the others are decoded each time.

    Epochs walk over all images: dropping the oldest would drop each one just before its turn.
    """

    def __init__(self, size: tuple[int, int], preparation: tuple[Preparation, ...], memory_mb: int) -> None:
        self.size = size
        self.preparation = preparation
        self.frames: dict[Path, Frame] = {}
        self.remarks: dict[Path, tuple[str, ...]] = {}
        self.colours: dict[Path, Lab] = {}
        self._kept: dict[Path, Working] = {}
        self._left = memory_mb << 20
        self._lock = threading.Lock()

    def load(self, samples: Sequence[Sample]) -> list[Working]:
        """The photographs at working size; several are decoded at once."""
        if sum(sample.path not in self._kept for sample in samples) < 2:
            return [self._load(sample) for sample in samples]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(self._load, samples))

    def original_size(self, sample: Sample) -> tuple[int, int]:
        """Height and width on disk."""
        if sample.path not in self.frames:
            self._load(sample)
        return self.frames[sample.path].original

    def _load(self, sample: Sample) -> Working:
        path = sample.path
        if path in self._kept:
            return self._kept[path]
        working, remarks, colour = self._prepared(sample) if self.preparation else self._plain(path)
        with self._lock:
            self.frames[path] = working.frame
            self.remarks[path] = remarks
            self.colours[path] = colour
            if path not in self._kept and working.nbytes <= self._left:
                self._kept[path] = working
                self._left -= working.nbytes
        return working

    def _prepared(self, sample: Sample) -> tuple[Working, tuple[str, ...], Lab]:
        photograph = read_photograph(sample.path)
        prepared = prepare(sample.id, photograph, self.preparation)
        height, width, _ = photograph.shape
        colour = self._colour(sample.path, photograph)
        return at_working_size(prepared, (height, width), self.size), prepared.remarks, colour

    def _plain(self, path: Path) -> tuple[Working, tuple[str, ...], Lab]:
        """A photograph that nothing happens to, decoded no larger than it is needed."""
        pixels, original = read_at_least(path, self.size)
        working = Working(resize_photograph(pixels, self.size), None, None, Frame(original, original))
        return working, (), self._colour(path, pixels)

    def _colour(self, path: Path, pixels: Photograph) -> Lab:
        return image_colour(pixels) if path not in self.colours else self.colours[path]


@dataclass(frozen=True, slots=True)
class Photographs:
    """Samples as photographs at full size after some steps of a preparation, decoded anew at each access."""

    samples: Sequence[Sample]
    steps: tuple[Preparation, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Prepared:
        sample = self.samples[index]
        return prepare(sample.id, read_photograph(sample.path), self.steps)
