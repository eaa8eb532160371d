"""Where a position lies, as channels: sines and cosines of its column and row (Vaswani et al., 2017)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from leatherens.core.geometry import Size


def position_code(size: Size, channels: int) -> Tensor:
    """(channels, h, w) in -1..1; `channels` is a multiple of 4.

    The first half speaks of the column x, the second of the row y; in each, even channels are sin(x w_i) and
    odd ones cos(x w_i) with w_i falling from 1 to nearly 1e-4. The code of CFLOW-AD and AST.

    >>> position_code((2, 3), 4)[:, 0, 0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    if channels % 4:
        raise ValueError(f"a position code has a multiple of 4 channels, got {channels}")
    height, width = size
    across = _waves(width, channels // 2)[:, None, :].expand(-1, height, -1)
    down = _waves(height, channels // 2)[:, :, None].expand(-1, -1, width)
    return torch.cat([across, down])


def _waves(length: int, channels: int) -> Tensor:
    """(channels, length): sine and cosine in turn, each pair slower than the one before."""
    frequencies = torch.exp(torch.arange(0, channels, 2) * (-math.log(1e4) / channels))
    phases = frequencies[:, None] * torch.arange(length)  # (channels / 2, length)
    return torch.stack([phases.sin(), phases.cos()], dim=1).flatten(0, 1)
