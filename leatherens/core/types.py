"""What flows through the pipeline: images in, feature maps and score maps out.

Everything is float32, channels first, and a batch is always the first axis. Scores: higher means
more anomalous, in any unit, and never depend on which other images share the batch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from leatherens.core.errors import InputError, did_you_mean
from leatherens.core.loading import loaded_ahead


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Photographs ready for a detector.

    pixels: (B, 3, H, W) float32 RGB in 0..1, not normalised (mean and std belong to the weights).
    ids: B names, for messages and reports.
    valid: (B, H, W) bool, False where there is nothing to inspect; `None` means everywhere.
    hidden: (B, H, W) bool, False wherever `valid` is True: pixels that nobody may read. They are replaced by
        the mean colour of the image's others. `None`: whatever is not valid is hidden. What is neither valid
        nor hidden may be looked at, though nothing counts there.
    """

    pixels: Tensor
    ids: tuple[str, ...]
    valid: Tensor | None = None
    hidden: Tensor | None = None

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        if len(self.ids) != len(self.pixels):
            raise InputError(f"a batch of {len(self.pixels)} images needs as many ids, got {len(self.ids)}")
        if self.valid is not None:
            _check_valid(self.valid, self.pixels, self.ids)
            seen = self.valid if self.hidden is None else _seen(self.hidden, self.valid, self.ids)
            object.__setattr__(self, "pixels", _filled(self.pixels, seen))
        elif self.hidden is not None:
            raise InputError("pixels are hidden, but all are valid; give the valid mask as well")
        _check_values(self.pixels, self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape[-2:]
        return height, width

    def to(self, device: torch.device | str) -> ImageBatch:
        """The same batch on another device."""
        valid, hidden = (None if m is None else m.to(device) for m in (self.valid, self.hidden))
        return replace(self, pixels=self.pixels.to(device), valid=valid, hidden=hidden)

    def rows(self, rows: Sequence[int]) -> ImageBatch:
        """Some of its images."""
        chosen = list(rows)
        valid, hidden = (None if m is None else m[chosen] for m in (self.valid, self.hidden))
        return ImageBatch(self.pixels[chosen], tuple(self.ids[i] for i in chosen), valid, hidden)


def all_finite(values: Tensor) -> bool:
    """Whether none is NaN or infinite, of any shape and memory order, mostly in one pass.

    A finite sum has finite terms only; where it is not, it may only have grown too large.

    >>> all_finite(torch.tensor([3e38, 3e38])), all_finite(torch.tensor([1.0, float("nan")]))
    (True, False)
    """
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


def _check_pixels(pixels: Tensor) -> None:
    if pixels.ndim != 4 or pixels.shape[1] != 3:
        raise InputError(f"expected images of shape (B, 3, H, W), got {tuple(pixels.shape)}")
    if pixels.dtype != torch.float32:
        raise InputError(f"expected float32 images in 0..1, got {pixels.dtype}")


def _check_values(pixels: Tensor, ids: Sequence[str]) -> None:
    lowest, highest = pixels.aminmax() if pixels.numel() else (torch.zeros(()), torch.zeros(()))
    if bool(lowest >= 0) and bool(highest <= 1):  # both are false for NaN
        return
    for name, image in zip(ids, pixels, strict=True):
        if not bool(image.isfinite().all()):
            raise InputError(f"{name}: the image holds NaN or infinite values")
        if bool(image.min() < 0) or bool(image.max() > 1):
            found = f"{float(image.min()):.8g}..{float(image.max()):.8g}"
            raise InputError(f"{name}: expected values in 0..1, got {found}; divide 8-bit images by 255")


def _check_valid(valid: Tensor, pixels: Tensor, ids: Sequence[str]) -> None:
    batch, _, height, width = pixels.shape
    if valid.dtype != torch.bool or valid.shape != (batch, height, width):
        expected = (batch, height, width)
        raise InputError(
            f"expected a bool valid mask of shape {expected}, got {valid.dtype} {tuple(valid.shape)}"
        )
    inspected = valid.flatten(1).any(dim=1)  # (B,)
    if not bool(inspected.all()):
        raise InputError(f"{ids[int(inspected.int().argmin())]}: the valid mask leaves nothing to inspect")


def _seen(hidden: Tensor, valid: Tensor, ids: Sequence[str]) -> Tensor:
    if hidden.dtype != torch.bool or hidden.shape != valid.shape:
        raise InputError(
            f"expected a bool mask of hidden pixels of shape {tuple(valid.shape)}, got {hidden.dtype} "
            f"{tuple(hidden.shape)}"
        )
    both = (hidden & valid).flatten(1).any(dim=1)
    if bool(both.any()):
        raise InputError(f"{ids[int(both.int().argmax())]}: pixels are hidden and valid at once")
    return ~hidden


def _filled(pixels: Tensor, valid: Tensor) -> Tensor:
    inside = valid[:, None]  # (B, 1, H, W)
    kept = torch.where(inside, pixels, 0.0)
    mean = kept.sum(dim=(2, 3), keepdim=True) / inside.sum(dim=(2, 3), keepdim=True)  # (B, 3, 1, 1)
    return torch.where(inside, pixels, mean)


@dataclass(frozen=True, slots=True)
class FeatureMaps:
    """Named maps of one member or backbone, fine to coarse: each (B, C_i, H_i, W_i) float32.

    ids: of the B images, for messages; empty where nobody said them. `Detector.observe` does.
    """

    maps: tuple[Tensor, ...]
    names: tuple[str, ...]
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.maps) != len(self.names):
            raise InputError(f"{len(self.maps)} feature maps need as many names, got {self.names}")

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            near = did_you_mean(name, self.names)
            raise InputError(f"no feature map '{name}'{near} (there are: {', '.join(self.names)})")
        return self.maps[self.names.index(name)]

    def select(self, names: Sequence[str]) -> FeatureMaps:
        """Only these maps, in the order they stand here."""
        kept = [i for i, name in enumerate(self.names) if name in names]
        return replace(self, maps=tuple(self.maps[i] for i in kept), names=tuple(self.names[i] for i in kept))


@dataclass(frozen=True, slots=True)
class ScoreMap:
    """How anomalous each pixel and each image is; higher is more anomalous, any unit.

    pixels: (B, H, W) float32 at the batch's size.
    image: (B,) float32, the method's own image score (the map's maximum unless its paper says otherwise).
    valid: (B, H, W) bool, the batch's; elsewhere the map says nothing. `None` means everywhere.
    """

    pixels: Tensor
    image: Tensor
    valid: Tensor | None = None

    def to(self, device: torch.device | str) -> ScoreMap:
        """The same scores on another device."""
        valid = None if self.valid is None else self.valid.to(device)
        return ScoreMap(self.pixels.to(device), self.image.to(device), valid)

    @property
    def counted(self) -> Tensor:
        """(N,) the scores of the pixels that count, in order."""
        return self.pixels.flatten() if self.valid is None else self.pixels[self.valid]


@dataclass(frozen=True, slots=True)
class Observation:
    """What one member sees in a batch.

    reconstruction: (B, 3, H, W) float32 RGB at the batch's size, each image as it would look if it were good,
        for people to compare; only from detectors with `capabilities.reconstructs`.
    """

    features: FeatureMaps
    scores: ScoreMap
    reconstruction: Tensor | None = None


@dataclass(frozen=True, slots=True)
class CalibratedScores:
    """Scores with a promise: 1 - (1 + held-out good images scoring as high) / (n + 1), in 0..1.

    A type of its own, so that no threshold on a rate can be handed a raw score. `normals` is n:
    no false-alarm rate under 1 / (n + 1) can be promised.
    """

    image: Tensor
    normals: int


@runtime_checkable
class ImageSource(Protocol):
    """Images that can be walked again and again, and picked at random."""

    @property
    def ids(self) -> tuple[str, ...]:
        """One name per image, in order."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every image, in pixels."""
        ...

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        """The images at these positions."""
        ...


@dataclass(frozen=True, slots=True)
class ImagesInMemory:
    """An `ImageSource` over one batch."""

    images: ImageBatch

    @property
    def ids(self) -> tuple[str, ...]:
        """One name per image."""
        return self.images.ids

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.images.size

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        """The images at these positions."""
        return self.images.rows(indices)


Batches: TypeAlias = "Generator[ImageBatch, None, None]"
"""A walk; closed, it loads nothing further."""


class FromDisk:
    """What an `ImageSource` inherits from if its batches take time to load: walks then load ahead."""


def batches(source: ImageSource, size: int, order: Sequence[int] | None = None) -> Batches:
    """Walk a source in batches of `size`, in its own order or the one given."""
    order = range(len(source.ids)) if order is None else order
    return walked(source, (order[start : start + size] for start in range(0, len(order), size)))


def walked(source: ImageSource, picks: Iterable[Sequence[int]]) -> Batches:
    """The batches of these positions, one after the other; made ahead of use where they come from disk."""
    if isinstance(source, FromDisk):
        return loaded_ahead(source.batch, picks)
    return (source.batch(pick) for pick in picks)
