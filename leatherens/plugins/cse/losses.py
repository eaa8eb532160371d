"""What CSE's embedder learns from, as one value per image or pair (sections 3.3 and 3.4 of the paper).

`counted` masks (B, ...) bool leave positions out; `None` counts them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from leatherens.core.geometry import mean_of, positions_of

Axis = Literal["channels", "width"]


def similarity(first: Tensor, second: Tensor, axis: Axis, counted: Tensor | None = None) -> Tensor:
    """Mean cosine similarity of embeddings (B, C, h, w); (B,).

    axis: "channels" compares what both images hold at a position and averages over positions. "width", as in
        the authors' code, compares the rows of each channel and averages over channels and rows.
    counted: positions (B, h, w).
    """
    if axis == "channels":
        return mean_of(F.cosine_similarity(first, second, dim=1), counted)
    if counted is None:
        return mean_of(F.cosine_similarity(first, second, dim=3))
    kept = counted[:, None]  # (B, 1, h, w)
    cosines = F.cosine_similarity(first * kept, second * kept, dim=3)  # (B, C, h)
    return mean_of(cosines, kept.any(dim=3).expand_as(cosines))


def contrastive(similarities: Tensor, defects: Tensor) -> Tensor:
    """Pairs (B,) whose second image is good lose 1 - cos, those where it is spoilt (1 + cos) / 2."""
    return torch.where(defects, (1 + similarities) / 2, 1 - similarities)


def reconstruction(decoded: Sequence[Tensor], levels: Sequence[Tensor], valid: Tensor | None) -> Tensor:
    """Half the squared distance of unit features, averaged over positions, then over levels; (B,).

    decoded, levels: (B, C_i, h_i, w_i) each. valid: pixels (B, H, W).
    """
    halves = [
        0.5 * (F.normalize(d, dim=1) - F.normalize(m, dim=1)).square().sum(dim=1)  # (B, h, w)
        for d, m in zip(decoded, levels, strict=True)
    ]
    means = [mean_of(half, positions_of(level, valid)) for half, level in zip(halves, levels, strict=True)]
    return torch.stack(means).mean(dim=0)
