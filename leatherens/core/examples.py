"""What a score fusion may learn from: the voters' scores of held-out good images, and of such images spoilt.

Tables, not maps: a row is an image or a pixel, a column a voter, values stand on the common scale. All maps
of all voters would fill the memory; a fusion judges each pixel alone, so that a fair sample of them teaches
as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from leatherens.core.types import ScoreMap

Votes: TypeAlias = Mapping[str, ScoreMap]
"""Voter to its scores of a batch."""

GOOD_PIXELS = 200_000
"""Rows of good pixels, dealt out evenly among the images: their top percent is still 2000 rows."""
SPOILT_PIXELS = 50_000
"""Rows of anomalous pixels, dealt out evenly, so that a large anomaly does not outweigh many small ones."""


class Of(IntEnum):
    """What is fused, and the row where a fusion keeps what it learned for it."""

    images = 0
    pixels = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Scores by voter: `images` (n, V) and some of their `pixels` (P, V), float32 on the CPU.

    shares: (P,), each pixel's share of those its image gave; `None` where all are alike.
    """

    images: Tensor
    pixels: Tensor
    shares: Tensor | None = None

    def of(self, what: Of) -> Tensor:
        """The rows of one sort."""
        return self.images if what is Of.images else self.pixels

    def columns(self, chosen: Sequence[int]) -> Table:
        """The same rows of some voters."""
        return Table(self.images[:, list(chosen)], self.pixels[:, list(chosen)], self.shares)


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of good images, and of good images with an artificial anomaly; of these only pixels inside it.

    What lies around an anomaly is left out: a score map spreads beyond its defect, and good pixels come from
    whole images. voters: names in order of the columns, sorted.
    """

    voters: tuple[str, ...]
    good: Table
    spoilt: Table

    def rows(self, what: Of) -> tuple[Tensor, Tensor]:
        """Good and spoilt rows (n, V) and (m, V) of one sort."""
        return self.good.of(what), self.spoilt.of(what)

    def only(self, voters: Iterable[str]) -> Examples:
        """The same images as some of the voters saw them: one walk over them serves every subset."""
        kept = sorted(voters)
        columns = [self.voters.index(name) for name in kept]
        return Examples(tuple(kept), self.good.columns(columns), self.spoilt.columns(columns))


def table(
    voters: Sequence[str],
    seen: Iterable[tuple[Votes, Tensor | None]],
    *,
    pixels_per_image: int,
    generator: np.random.Generator,
) -> Table:
    """The rows of images seen batch by batch, each batch with the pixels (B, H, W) that count, all if `None`.

    An image of which nothing counts gives no row. The sample depends on the images' order, not on how they
    were cut into batches.
    """
    images, pixels, shares = [torch.empty(0, len(voters))], [torch.empty(0, len(voters))], [torch.empty(0)]
    for votes, counted in seen:
        image = torch.stack([votes[name].image for name in voters], dim=1).float().cpu()  # (B, V)
        maps = torch.stack([votes[name].pixels for name in voters], dim=-1)  # (B, H, W, V)
        for row, values in enumerate(maps):
            inside = values.flatten(0, 1) if counted is None else values[counted[row].to(values.device)]
            if len(inside):
                images.append(image[row, None])
                pixels.append(_some(inside, pixels_per_image, generator).float().cpu())
                shares.append(torch.full((len(pixels[-1]),), 1 / len(pixels[-1])))
    return Table(torch.cat(images), torch.cat(pixels), torch.cat(shares))


def _some(rows: Tensor, most: int, generator: np.random.Generator) -> Tensor:
    """At most so many of the rows (N, V), each as likely as any other."""
    if len(rows) <= most:
        return rows
    picked = generator.choice(len(rows), size=most, replace=False, shuffle=False)
    return rows[torch.from_numpy(np.sort(picked)).to(rows.device)]
