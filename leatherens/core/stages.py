"""Every stage of an EfficientNet or MobileNet, of which timm's pyramid shows the last one of each stride."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from leatherens.core.errors import ConfigError

PROBE = 64
"""Side of the picture that tells each stage's channels and stride; a multiple of every stride."""


class Stages(nn.Module):
    """A stem and the blocks behind it, cut after the deepest one wanted; tensors keep timm's names."""

    def __init__(self, pyramid: Any, layers: Sequence[int]) -> None:
        super().__init__()
        self.conv_stem, self.bn1 = pyramid.conv_stem, pyramid.bn1
        self.act1 = getattr(pyramid, "act1", nn.Identity())  # an EfficientNet's norm activates by itself
        self.blocks = pyramid.blocks[: layers[-1] + 1]
        self.layers = tuple(layers)
        self.pretrained_cfg = pyramid.pretrained_cfg
        self.feature_info = self._info()

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to the wanted stages' maps."""
        seen: list[Tensor] = []
        maps = self.act1(self.bn1(self.conv_stem(pixels)))
        for i, block in enumerate(self.blocks):
            maps = block(maps)
            if i in self.layers:
                seen.append(maps)
        return seen

    def _info(self) -> Any:
        from timm.models import FeatureInfo

        with torch.no_grad():
            maps = self.eval()(torch.zeros(1, 3, PROBE, PROBE))
        found = [
            {"num_chs": m.shape[1], "reduction": PROBE // m.shape[-1], "module": f"blocks.{i}"}
            for i, m in zip(self.layers, maps, strict=True)
        ]
        return FeatureInfo(found, tuple(range(len(found))))


def stages_of(pyramid: Any, model: str, layers: Sequence[int]) -> Stages:
    """The stages `layers` (0 is the first behind the stem) of a timm pyramid that keeps all its blocks."""
    if not all(hasattr(pyramid, part) for part in ("conv_stem", "bn1", "blocks")):
        raise ConfigError(f"{model}: has no stages that its levels do not show; ask for levels")
    count = len(pyramid.blocks)
    if layers[-1] >= count:
        raise ConfigError(f"{model}: cannot give stages {tuple(layers)} of 0..{count - 1}")
    return Stages(pyramid, layers)
