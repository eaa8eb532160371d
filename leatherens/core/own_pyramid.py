"""A backbone of a detector's own: it begins with the pool's weights, learns on, and is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from leatherens.core.backbones import BackboneRequest
from leatherens.core.pyramid_models import image_by_image, normalise, untrained_pyramid


class OwnPyramid(nn.Module):
    """Images (B, 3, H, W) in 0..1 to the levels that a request names, float32.

    mean, std: what the weights are used to. Make it under `randomness.seeded_construction`, and give it
    weights with `BackbonePool.copy_into(own.network, request)`.
    """

    def __init__(self, request: BackboneRequest, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)
        self.network = untrained_pyramid(request.model, request.layers, stages=request.stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        """In evaluation each image by itself on a CPU, so that its levels do not depend on the others."""
        pixels = normalise(images, self.mean, self.std)
        levels: Any = self.network(pixels) if self.training else image_by_image(self.network, pixels)
        return [level.float() for level in levels]
