"""The two small networks of CSE: all convolutions are 1 x 1, so that a position sees its own features only.

Layer sizes follow from the backbone's channels and are the authors' for EfficientNet-B3 (136 and 384).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.geometry import block_mean, resize


def pointwise(before: int, after: int) -> nn.Sequential:
    """1 x 1 convolution without bias, ReLU, batch normalisation: in this order, so values may be negative."""
    return nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.ReLU(), nn.BatchNorm2d(after))


class Embedder(nn.Module):
    """Two levels of a pyramid, (B, fine, h, w) and (B, deep, h / 2, w / 2), in `embedding` channels."""

    def __init__(self, fine: int, deep: int, embedding: int) -> None:
        super().__init__()
        both = fine + deep
        self.layers = nn.Sequential(
            pointwise(both, both // 2), pointwise(both // 2, both // 4), pointwise(both // 4, embedding)
        )

    def forward(self, fine: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w), and the same averaged to (B, C, h / 2, w / 2)."""
        height, width = fine.shape[-2:]
        grown = resize(deep, (height, width), align_corners=True)
        embedded = self.layers(torch.cat([fine, grown], dim=1)).float()
        return embedded, block_mean(embedded, 2)


class Decoder(nn.Module):
    """From the embedding back to both levels; needed while learning only."""

    def __init__(self, fine: int, deep: int, embedding: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(pointwise(embedding, fine // 2), pointwise(fine // 2, fine))
        self.wide = pointwise(embedding, deep // 2)
        self.deep = pointwise(deep // 2, deep)

    def forward(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) to (B, fine, h, w) and (B, deep, h / 2, w / 2)."""
        deep = self.deep(F.max_pool2d(self.wide(embedded), 2))
        return self.fine(embedded).float(), deep.float()
