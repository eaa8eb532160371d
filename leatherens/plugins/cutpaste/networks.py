"""What learns to tell good images from pasted ones: a backbone of its own, and a head on its means."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.geometry import positions_of
from leatherens.core.own_pyramid import OwnPyramid

HIDDEN, LAST = 512, 128
"""Units of the head's layers and of its last one."""

CLASSES = 3
"""Good, with a pasted rectangle, with a pasted scar."""


def pooled(maps: Tensor, valid: Tensor | None = None) -> Tensor:
    """(B, C, h, w) to (B, C): the mean over positions that hold something to inspect (B, H, W)."""
    counted = positions_of(maps, valid)
    if counted is None:
        return maps.mean(dim=(2, 3))
    weights = counted[:, None].to(maps)
    return (maps * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))


class Head(nn.Module):
    """Embeddings (B, C) to logits (B, 3), through so many hidden layers and a last narrow one."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        widths = [channels, *[HIDDEN] * layers, LAST]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU())
                for before, after in pairwise(widths)
            )
        )
        self.out = nn.Linear(LAST, CLASSES)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Good, pasted, scarred."""
        logits: Tensor = self.out(self.layers(embeddings))
        return logits


class Classifier(nn.Module):
    """Images (B, 3, H, W) to logits (B, 3), by the mean of the backbone's deepest level."""

    def __init__(self, backbone: OwnPyramid, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor, valid: Tensor | None = None) -> Tensor:
        """valid: (B, H, W), what counts."""
        logits: Tensor = self.head(pooled(self.backbone(images)[-1], valid))
        return logits


def told_apart(logits: Tensor) -> Tensor:
    """(3 B, 3) to (B,): the mean cross-entropy of B good images, the same pasted, and the same scarred."""
    kinds = torch.arange(CLASSES, device=logits.device).repeat_interleave(len(logits) // CLASSES)
    return F.cross_entropy(logits.float(), kinds, reduction="none").view(CLASSES, -1).mean(dim=0)
