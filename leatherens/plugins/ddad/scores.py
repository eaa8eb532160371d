"""How far an image is from its reconstruction, in pixels and in features (DDAD, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from leatherens.core.geometry import Size, neighbourhood_mean, resize_scores
from leatherens.core.own_pyramid import OwnPyramid


def pixel_distance(image: Tensor, reconstruction: Tensor) -> Tensor:
    """(B, 3, H, W) twice to (B, H, W): the mean absolute difference of the channels."""
    return (image - reconstruction).abs().mean(dim=1)


def feature_distances(seen: Sequence[Tensor], rebuilt: Sequence[Tensor]) -> list[Tensor]:
    """Levels (B, C, h, w) twice to (B, h, w) each: 1 - cosine of what 3 x 3 positions show on average."""
    return [
        1 - F.cosine_similarity(neighbourhood_mean(one, 3), neighbourhood_mean(other, 3), dim=1)
        for one, other in zip(seen, rebuilt, strict=True)
    ]


def summed(levels: Sequence[Tensor], size: Size) -> Tensor:
    """Maps (B, h, w) brought to (B, H, W), corners on corners, and added."""
    return torch.stack([resize_scores(level, size, align_corners=True) for level in levels]).sum(dim=0)


@dataclass(frozen=True, slots=True)
class Distances:
    """Of images from their reconstructions: pixels (B, H, W), the compared levels (B, h, w) and their sum
    (B, H, W), and what separates unit features, (B, C, h, w) a level."""

    pixels: Tensor
    levels: list[Tensor]
    features: Tensor
    differences: list[Tensor]


def distances(extractor: OwnPyramid, pixels: Tensor, rebuilt: Tensor) -> Distances:
    """Of images (B, 3, H, W) in 0..1; pixels differ by up to 2. All but the finest level count."""
    seen, again = extractor(pixels)[1:], extractor(rebuilt)[1:]
    levels = feature_distances(seen, again)
    height, width = pixels.shape[-2:]
    differences = [F.normalize(one) - F.normalize(other) for one, other in zip(seen, again, strict=True)]
    apart = 2 * pixel_distance(pixels, rebuilt)
    return Distances(apart, levels, summed(levels, (height, width)), differences)


def balance(feature_peaks: Tensor, pixel_peaks: Tensor) -> float:
    """What pixel distances are multiplied by, so that good images' peaks are those of feature distances.

    Peaks: each good image's largest distance, (N,). The authors take the largest of all images under test
    that happen to share a batch. Where nothing differs in any pixel, pixels say nothing: 0.

    >>> balance(torch.tensor([1.0, 3.0]), torch.tensor([0.25, 0.75]))
    4.0
    """
    pixels = float(pixel_peaks.double().mean())
    return float(feature_peaks.double().mean()) / pixels if pixels > 0 else 0.0
