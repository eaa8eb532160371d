"""The contract of a detector: learn from good images, then show feature maps and scores of any image.

Authors fill `_fit` and `_observe`; the public methods check shapes, types, finiteness and fittedness
once for everybody. A detector that learns by gradient steps hands a task to `core.training`; one that
fills a bank or gathers statistics walks the images. Neither pretends to be the other.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from typing_extensions import Self

from leatherens.core.backbones import BackbonePool, BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.component import Component
from leatherens.core.errors import ConfigError, InputError, PartFailed, did_you_mean
from leatherens.core.geometry import silence
from leatherens.core.learning import LearningObserver, Unobserved
from leatherens.core.memory import saying_what_fits
from leatherens.core.progress import Progress, Silent
from leatherens.core.types import (
    FeatureMaps,
    ImageBatch,
    ImageSource,
    Observation,
    ScoreMap,
    all_finite,
    batches,
)


class Effort(str, Enum):
    """How much work fitting may be: `full` is the published schedule, `quick` fits two CPU cores."""

    quick = "quick"
    full = "full"


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature map a fitted detector delivers: its name (`stfpm/difference2`), channels and stride."""

    name: str
    channels: int
    stride: int


@dataclass(frozen=True, slots=True)
class Keeping:
    """Checkpoints that stay: a file in this folder every so many steps, named after its step."""

    folder: Path
    every: int

    def file(self, step: int) -> Path:
        """The checkpoint after so many steps."""
        return self.folder / f"{step}.safetensors"

    def files(self) -> dict[int, Path]:
        """Those there are, by step."""
        found = {int(path.stem): path for path in self.folder.glob("*.safetensors") if path.stem.isdigit()}
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class FitContext:
    """What a fit may use besides images.

    seed: the run's; derive a generator per purpose with `randomness`.
    checkpoint: file for the last checkpoint while training; `None` keeps none.
    keeping: other checkpoints, to compare later; they change nothing of what is learned.
    until: step at which a training is over, whatever its schedule; from such a checkpoint nothing is left to
        learn, and the fit gives the detector as it was then.
    observer: told how each training goes; it changes nothing of what is learned.
    """

    pool: BackbonePool
    seed: int = 0
    device: str = "cpu"
    progress: Progress = field(default_factory=Silent)
    checkpoint: Path | None = None
    keeping: Keeping | None = None
    until: int | None = None
    observer: LearningObserver = field(default_factory=Unobserved)

    def pyramids(self, batch: ImageBatch, requests: Sequence[BackboneRequest]) -> Pyramids:
        """The frozen pyramids of training images, remembered from epoch to epoch and across members."""
        return self.pool.pyramids(batch, requests, keep=True)

    def walk(
        self, images: ImageSource, requests: Sequence[BackboneRequest], title: str, *, batch_size: int = 8
    ) -> Iterator[tuple[ImageBatch, Pyramids]]:
        """Every image once, in order, on the device, with its frozen pyramids; progress counts images."""
        with self.progress.step(title, len(images.ids)) as advance:
            for loaded in batches(images, batch_size):
                batch = loaded.to(self.device)
                yield batch, self.pyramids(batch, requests)
                advance(len(batch))


class Detector(Component):
    """A published technique: learns from good images only, exposes feature maps and score maps."""

    capabilities: ClassVar[Capabilities] = Capabilities()
    default_cut: ClassVar[tuple[str, ...]] = ("*",)
    """Patterns of the feature maps that fusion takes unless a recipe says otherwise."""

    size_: list[int]
    """Height and width learned from; only detectors that learn each position remember it."""

    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        """The options for an effort: the paper's at `full`, a declared smaller set at `quick`."""
        return cls.Params()

    def backbones(self) -> Sequence[BackboneRequest]:
        """The frozen pyramids this detector wants computed for it; none by default."""
        return ()

    @final
    def fit(self, images: ImageSource, *, validation: ImageSource, context: FitContext) -> Self:
        """Learn from good images, forgetting earlier fits.

        validation: other good images, to choose an epoch or a scale by; never scored for a result.
        """
        self.check_size(images.size)
        needed = self.capabilities.min_images
        if len(images.ids) < needed or not len(validation.ids):
            found = f"{len(images.ids)} to learn from and {len(validation.ids)} to validate on"
            raise InputError(
                f"{self.id}: needs at least {needed} good images and one to validate, got {found}"
            )
        self.check_pyramids([context.pool.spec(request) for request in self.backbones()], images.size)
        self.forget()
        try:
            with self._saying_what_fits("learning from", self._taught_at_once, images.size):
                self._fit(images, validation, context)
        except BaseException:  # Ctrl-C too: half learned is not learned
            self.forget()
            raise
        if not self.fitted:
            raise PartFailed(
                f"{self.id}: nothing is learned after fit; what is learned lives in attributes that end in "
                "_, such as self.bank_"
            )
        return self.to(context.device)

    @final
    def update(self, images: ImageSource, *, validation: ImageSource, context: FitContext) -> Self:
        """Take in further good images beside those learned from; only where `capabilities.updates`.

        validation: good images old and new that did not teach. Interrupted, the detector is as it was.
        """
        self.require_fitted("update")
        if not self.capabilities.updates:
            raise InputError(f"{self.id}: {self.why_it_stays}; fit it anew to learn from further images")
        self.check_size(images.size)
        if not len(images.ids) or not len(validation.ids):
            found = f"{len(images.ids)} to learn from and {len(validation.ids)} to validate on"
            raise InputError(f"{self.id}: update needs a good image and one to validate, got {found}")
        doing = "taking in"
        with self.as_it_was_on_failure(), self._saying_what_fits(doing, self._taught_at_once, images.size):
            self._update(images, validation, context)
        return self.to(context.device)

    @property
    def why_it_stays(self) -> str:
        """Why a detector without `capabilities.updates` takes in no further images."""
        learned = "learned by gradient steps" if self.capabilities.trains else "cannot take in further images"
        return f"{learned} and stays as it is"

    @final
    def observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        """The feature maps and scores of a batch. Changes nothing; each image is scored on its own."""
        self.require_fitted("observe")
        self.check_size(batch.size)
        with torch.inference_mode(), self._saying_what_fits("scoring", len(batch), batch.size):
            seen = self._observe(batch, pyramids)
        self._check_observation(seen, batch)
        return Observation(
            replace(seen.features, ids=batch.ids),
            ScoreMap(silence(seen.scores.pixels, batch.valid), seen.scores.image, batch.valid),
            None if seen.reconstruction is None else seen.reconstruction.clamp(0, 1),
        )

    @abstractmethod
    def features(self) -> tuple[FeatureSpec, ...]:
        """What a fitted detector delivers, in the order it delivers it."""

    @abstractmethod
    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        """Learn; put what is learned into attributes ending in `_`."""

    def _update(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        """Learn these besides; put new values into the attributes, never write into the old tensors."""
        raise NotImplementedError(f"{self.id}: declares updates, but has no _update")

    @abstractmethod
    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        """Score a batch on the device it is on; `batch.valid` marks what may count for the image score."""

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse a height and width this detector cannot take, naming the nearest it can."""
        height, width = size
        flags = self.capabilities
        if min(size) < flags.min_size or height % flags.multiple_of or width % flags.multiple_of:
            near = " x ".join(str(_nearest(side, flags)) for side in size)
            divisible = f"divisible by {flags.multiple_of} and " if flags.multiple_of > 1 else ""
            raise InputError(
                f"{self.id}: expected images of height and width {divisible}at least {flags.min_size}, "
                f"got {height} x {width}; the nearest size is {near}"
            )

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse options that do not fit the pyramids of `backbones()` or images of this height and width.

        Asked before a run begins and before each fit; by default all fit.
        """

    def require_learned_size(self, size: tuple[int, int]) -> None:
        """Refuse a size other than the one learned from (`size_`): for detectors that learn each position."""
        if tuple(size) != tuple(self.size_):
            raise InputError(
                f"{self.id}: learned every position of images of {self.size_[0]} x {self.size_[1]}, got "
                f"{size[0]} x {size[1]}; bring the images to that size or fit anew"
            )

    @property
    def _taught_at_once(self) -> int | None:
        """Images of one step, where that is an option."""
        batch: int | None = getattr(self.params, "batch_size", None)
        return batch

    def _saying_what_fits(
        self, doing: str, batch: int | None, size: tuple[int, int]
    ) -> AbstractContextManager[None]:
        step, smallest = self.capabilities.multiple_of, self.capabilities.min_size
        return saying_what_fits(self.id, doing, batch=batch, size=size, multiple=step, smallest=smallest)

    def _check_observation(self, seen: Observation, batch: ImageBatch) -> None:
        shapes = tuple(seen.scores.pixels.shape), tuple(seen.scores.image.shape)
        expected = (len(batch), *batch.size), (len(batch),)
        if shapes != expected:
            raise InputError(f"{self.id}: delivered scores of shapes {shapes}, expected {expected}")
        self._check_reconstruction(seen.reconstruction, batch)
        for name, value in [
            ("score map", seen.scores.pixels),
            ("image score", seen.scores.image),
            *zip(seen.features.names, seen.features.maps, strict=True),
            *([] if seen.reconstruction is None else [("reconstruction", seen.reconstruction)]),
        ]:
            if value.dtype != torch.float32:
                raise InputError(f"{self.id}: {name} is {value.dtype}, expected float32")
            if not all_finite(value):
                bad = batch.ids[next(i for i, one in enumerate(value) if not all_finite(one))]
                raise InputError(f"{self.id}: {name} of {bad} holds NaN or infinite values")

    def _check_reconstruction(self, reconstruction: Tensor | None, batch: ImageBatch) -> None:
        declared = self.capabilities.reconstructs
        if (reconstruction is not None) != declared:
            delivered = "no" if reconstruction is None else "a"
            raise InputError(
                f"{self.id}: delivered {delivered} reconstruction, but reconstructs={declared} is declared"
            )
        if reconstruction is not None and reconstruction.shape != batch.pixels.shape:
            shapes = tuple(reconstruction.shape), tuple(batch.pixels.shape)
            raise InputError(
                f"{self.id}: delivered a reconstruction of shape {shapes[0]}, expected {shapes[1]}"
            )


def _nearest(side: int, flags: Capabilities) -> int:
    step = flags.multiple_of
    smallest = -(-flags.min_size // step) * step
    return max(smallest, round(side / step) * step)


def cut(features: FeatureMaps, patterns: Sequence[str]) -> FeatureMaps:
    """The maps whose name, with or without the member's prefix, matches one of the patterns.

    >>> import torch
    >>> maps = FeatureMaps((torch.zeros(1), torch.ones(1)), ("stfpm/teacher1", "stfpm/difference1"))
    >>> cut(maps, ["difference*"]).names
    ('stfpm/difference1',)
    """
    return features.select(matching(features.names, patterns))


def matching(names: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """The names that match one of the patterns; a `ConfigError` where a pattern matches none.

    >>> matching(["stfpm/teacher1", "stfpm/difference1"], ["difference*"])
    ('stfpm/difference1',)
    """
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            near = did_you_mean(pattern, (*(name.split("/", 1)[-1] for name in names), *names))
            raise ConfigError(f"no feature map matches '{pattern}'{near} (there are: {', '.join(names)})")
    if not patterns:
        raise ConfigError(f"no feature map was asked for (there are: {', '.join(names)})")
    return tuple(name for name in names if any(_matches(name, pattern) for pattern in patterns))


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) or fnmatch(name.split("/", 1)[-1], pattern)


def observe_all(
    detector: Detector, images: ImageSource, pool: BackbonePool, *, batch_size: int = 8
) -> ScoreMap:
    """One detector's scores of a whole source, in memory: for tests, examples and small sets."""
    seen = [
        detector.observe(batch, pool.pyramids(batch, detector.backbones())).scores
        for batch in batches(images, batch_size)
    ]
    return ScoreMap(torch.cat([s.pixels for s in seen]), torch.cat([s.image for s in seen]))
