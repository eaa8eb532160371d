"""The two networks of DRAEM, learned together from nothing.

Layer sizes are the authors'; widths are free so that small machines and tests can learn too.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.geometry import resize


def conv_block(*channels: int) -> nn.Sequential:
    """3x3 convolution, batch normalisation and ReLU from each number of channels to the next."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def doubled(maps: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, 2H, 2W), bilinear with aligned corners as the authors do."""
    height, width = maps.shape[-2:]
    return resize(maps, (2 * height, 2 * width), align_corners=True)


class ReconstructiveNetwork(nn.Module):
    """An autoencoder without skip connections that gives back the image as if it were good.

    Image (B, 3, H, W) with H and W divisible by 16, to an image of the same shape without a final activation.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        w = width
        sizes = [3, w, 2 * w, 4 * w, 8 * w]
        self.encoder = nn.ModuleList([conv_block(a, b, b) for a, b in [*pairwise(sizes), (8 * w, 8 * w)]])
        ends = [(8 * w, 4 * w), (4 * w, 2 * w), (2 * w, w), (w, w)]
        self.up = nn.ModuleList([conv_block(a, a) for a, _ in ends])
        self.decoder = nn.ModuleList([conv_block(a, a, b) for a, b in ends])
        self.out = nn.Conv2d(w, 3, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction (B, 3, H, W) and the bottleneck (B, 8 width, H / 16, W / 16)."""
        bottleneck = self.encoder[0](image)
        for stage in self.encoder[1:]:
            bottleneck = stage(F.max_pool2d(bottleneck, 2))
        maps = bottleneck
        for up, stage in zip(self.up, self.decoder, strict=True):
            maps = stage(up(doubled(maps)))
        return self.out(maps), bottleneck


class DiscriminativeNetwork(nn.Module):
    """A U-Net that sees the reconstruction and the image and says where they differ in a way that matters.

    (B, 6, H, W) with H and W divisible by 32, to logits (B, 2, H, W): good, anomalous.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        sizes = [6, w, 2 * w, 4 * w, 8 * w, 8 * w, 8 * w]
        self.encoder = nn.ModuleList([conv_block(a, b, b) for a, b in pairwise(sizes)])
        ups = [(8 * w, 8 * w), (8 * w, 4 * w), (4 * w, 2 * w), (2 * w, w), (w, w)]
        self.up = nn.ModuleList([conv_block(a, b) for a, b in ups])
        skips = [8 * w, 8 * w, 4 * w, 2 * w, w]
        self.decoder = nn.ModuleList([conv_block(b + s, b, b) for (_, b), s in zip(ups, skips, strict=True)])
        self.out = nn.Conv2d(w, 2, 3, padding=1)

    def forward(self, pair: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Logits, the six encoder stages at stride 1 to 32, and the five decoder stages at stride 16 to 1."""
        encoded = [self.encoder[0](pair)]
        for stage in self.encoder[1:]:
            encoded.append(stage(F.max_pool2d(encoded[-1], 2)))
        decoded = [encoded[-1]]
        for up, stage, skip in zip(self.up, self.decoder, reversed(encoded[:-1]), strict=True):
            decoded.append(stage(torch.cat([up(doubled(decoded[-1])), skip], dim=1)))
        return self.out(decoded[-1]), encoded, decoded[1:]


class DraemNetworks(nn.Module):
    """Both networks; the discriminative one sees (reconstruction, image) in this order."""

    def __init__(self, width: int, discriminative_width: int) -> None:
        super().__init__()
        self.reconstructive = ReconstructiveNetwork(width)
        self.discriminative = DiscriminativeNetwork(discriminative_width)
        self.apply(_initialised)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image (B, 3, H, W) to its reconstruction (B, 3, H, W) and the logits (B, 2, H, W)."""
        reconstruction, _ = self.reconstructive(image)
        logits, _, _ = self.discriminative(torch.cat([reconstruction, image], dim=1))
        return reconstruction, logits


def _initialised(module: nn.Module) -> None:
    """As the authors: convolutions N(0, 0.02), biases torch's own, batch normalisation N(1, 0.02) and 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
