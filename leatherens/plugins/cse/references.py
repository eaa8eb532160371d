"""The good embeddings that images are compared with, and the comparison (section 3.5 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from leatherens.core.clusters import centres_of
from leatherens.core.geometry import mean_of

Kind = Literal["centre", "sample"]


def completed(maps: Tensor, counted: Tensor) -> Tensor:
    """Maps (N, C, h, w) that hold, outside `counted` (N, h, w), the mean of the maps that count there.

    A mean of completed maps is that of the counted ones. Where no map counts, all stay as they are.
    """
    inside = counted | ~counted.any(dim=0)  # (N, h, w)
    kept = inside[:, None]
    mean = (maps * kept).sum(dim=0) / kept.sum(dim=0)  # (C, h, w)
    return torch.where(kept, maps, mean)


def references_of(
    maps: Tensor, counted: Tensor, clusters: int, *, kind: Kind, seed: int, owner: str
) -> Tensor:
    """(clusters, C, h, w): centres of good maps (N, C, h, w), or the maps nearest to the centres."""
    rows = completed(maps, counted).flatten(1)
    found = centres_of(rows, clusters, seed=seed, owner=owner)
    if kind == "sample":
        exact = "donot_use_mm_for_euclid_dist"  # good images lie close together
        found = rows[torch.cdist(found, rows, compute_mode=exact).argmin(dim=1)]
    return found.view(clusters, *maps.shape[1:])


@dataclass(frozen=True, slots=True)
class Match:
    """Each image's nearest reference (B, C, h, w), the cosine distance to it at each position (B, h, w) and
    its mean over the positions that count (B,)."""

    reference: Tensor
    distances: Tensor
    image: Tensor


def matched(maps: Tensor, references: Tensor, counted: Tensor | None) -> Match:
    """Maps (B, C, h, w) against references (K, C, h, w), each position with its own; counted (B, h, w)."""
    distances = torch.stack(
        [1 - F.cosine_similarity(maps, r[None], dim=1) for r in references]
    )  # (K, B, h, w)
    images = torch.stack([mean_of(d, counted) for d in distances])  # (K, B)
    nearest = images.argmin(dim=0)
    each = torch.arange(len(maps), device=maps.device)
    return Match(references[nearest], distances[nearest, each], images[nearest, each])


def squared_distances(maps: Tensor, reference: Tensor) -> Tensor:
    """Half the squared distance of maps (B, C, h, w), divided by the number of positions; (B, h, w).

    The authors' score map; unlike their image score it depends on the length of embeddings, too.
    """
    height, width = maps.shape[-2:]
    return 0.5 * (maps - reference).square().sum(dim=1) / (height * width)
