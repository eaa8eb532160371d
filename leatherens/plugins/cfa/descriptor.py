"""What CFA learns: a 1x1 convolution with coordinates (CoordConv: Liu et al., NeurIPS 2018), and a radius."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def with_coordinates(maps: Tensor) -> Tensor:
    """(B, C, h, w) to (B, C + 2, h, w): then the row and the column of each position, from -1 to 1."""
    batch, _, height, width = maps.shape
    rows, columns = (torch.linspace(-1, 1, side, device=maps.device) for side in (height, width))
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))  # (2, h, w)
    return torch.cat([maps, grid.expand(batch, -1, -1, -1)], dim=1)


class Descriptor(nn.Module):
    """A 1x1 convolution that knows where it stands, and the radius all hyperspheres share.

    The authors' layer holds a second convolution, without coordinates, that nothing uses; it is left out.
    """

    def __init__(self, channels: int, adapted: int, radius: float) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels + 2, adapted, 1)
        self.radius = nn.Parameter(torch.tensor(radius))

    def forward(self, maps: Tensor) -> Tensor:
        """Descriptors (B, C, h, w) to adapted features (B, C', h, w)."""
        return self.convolution(with_coordinates(maps))  # type: ignore[no-any-return]
