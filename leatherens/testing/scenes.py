"""Small synthetic image sets with planted defects: what the conformance kit shows to a detector.

Grey-brown grain, the same everywhere, and loud striped blobs. Images are non-square, and no defect
stands where a mirror, a half turn or a transposition would put another pixel of the same defect: a
map that is turned or has height and width swapped therefore misses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from leatherens.core.geometry import smooth
from leatherens.core.randomness import torch_generator
from leatherens.core.types import ImageBatch

Size = tuple[int, int]

LEATHER = (0.46, 0.39, 0.33)
GRAIN = (0.07, 0.06, 0.05)
BLOBS = (((0.05, 0.10, 0.55), (0.85, 0.95, 1.00)), ((0.95, 0.90, 0.15), (0.30, 0.00, 0.05)))
"""Two kinds of defect, each striped in two colours no good pixel has."""
PLACES = ((0.18, 0.65), (0.35, 0.85), (0.82, 0.35), (0.65, 0.15))
"""Centres as shares of height and width. Their images under mirrors, half turn and transposition lie
further away than a blob is wide."""


@dataclass(frozen=True)
class Scene:
    """Good images to learn from and to validate, and good and defective ones to score.

    defects: (B, H, W) bool, True on the defect, for the images of `defective`.
    """

    teach: ImageBatch
    validate: ImageBatch
    good: ImageBatch
    defective: ImageBatch
    defects: Tensor

    @cached_property
    def mixed(self) -> ImageBatch:
        """The good images to score, then the defective ones."""
        ids = self.good.ids + self.defective.ids
        return ImageBatch(torch.cat([self.good.pixels, self.defective.pixels]), ids)


def make_scene(size: Size, *, seed: int = 0, teach: int = 12, validate: int = 3, test: int = 6) -> Scene:
    """A scene of images of height and width `size`; equal seeds give equal pixels.

    >>> scene = make_scene((48, 64), teach=2)
    >>> tuple(scene.teach.pixels.shape), tuple(scene.defects.shape)
    ((2, 3, 48, 64), (6, 48, 64))
    """
    clean = leather(test, size, seed=seed, part="defective")
    defects = blobs(test, size)
    return Scene(
        teach=named("teach", leather(teach, size, seed=seed, part="teach")),
        validate=named("validate", leather(validate, size, seed=seed, part="validate")),
        good=named("good", leather(test, size, seed=seed, part="good")),
        defective=named("defective", paint(clean, defects)),
        defects=defects,
    )


def named(part: str, pixels: Tensor) -> ImageBatch:
    """A batch whose images are called after their part and number."""
    return ImageBatch(pixels, tuple(f"{part}-{i}" for i in range(len(pixels))))


def leather(count: int, size: Size, *, seed: int, part: str) -> Tensor:
    """(count, 3, H, W) of coarse and fine grain around one colour."""
    generator = torch_generator(seed, "scene", part, *size)
    coarse, fine, speckle = (torch.randn(count, *size, generator=generator) for _ in range(3))
    relief = 0.5 * _unit(smooth(coarse, 5.0)) + 0.5 * _unit(smooth(fine, 1.0)) + 0.2 * speckle  # (B, H, W)
    base = torch.tensor(LEATHER).view(1, 3, 1, 1)
    return (base + torch.tensor(GRAIN).view(1, 3, 1, 1) * relief[:, None]).clamp(0, 1)


def _unit(relief: Tensor) -> Tensor:
    return relief / relief.flatten(1).std(dim=1)[:, None, None].clamp_min(1e-6)


def blobs(count: int, size: Size) -> Tensor:
    """(count, H, W) bool: one ellipse per image, a tenth of each side in radius, at the `PLACES` in turn."""
    height, width = size
    rows, columns = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
    places = torch.tensor([PLACES[i % len(PLACES)] for i in range(count)])  # (B, 2)
    down = (rows - places[:, :1, None] * height) / (0.1 * height)
    across = (columns - places[:, 1:, None] * width) / (0.1 * width)
    return down.square() + across.square() <= 1


def paint(pixels: Tensor, defects: Tensor) -> Tensor:
    """(B, 3, H, W) with the masked pixels (B, H, W) replaced by stripes of the two kinds in turn."""
    stripes = (torch.arange(pixels.shape[-1]) // 2 % 2).view(1, 1, -1)  # (1, 1, W), two pixels wide
    painted = pixels.clone()
    for i, mask in enumerate(defects):
        dark, light = (torch.tensor(colour).view(3, 1, 1) for colour in BLOBS[i % len(BLOBS)])
        painted[i] = torch.where(mask, torch.where(stripes == 1, light, dark), pixels[i])
    return painted


def patches(count: int, size: Size, *, seed: int = 0) -> Tensor:
    """(count, H, W) bool masks that keep about half of each image, in blocks of a sixth of a side."""
    generator = torch_generator(seed, "patches", *size)
    keep = torch.rand(count, 1, 6, 6, generator=generator) < 0.5
    keep[:, :, 0, 0], keep[:, :, 5, 5] = True, False  # never all, never none
    return torch.nn.functional.interpolate(keep.float(), size=size, mode="nearest")[:, 0] > 0.5
