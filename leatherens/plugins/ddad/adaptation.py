"""How the feature extractor gets used to the product: good images and their reconstructions shall look alike.

DDAD, section 3.4. The reconstruction is another good image's, pulled towards the first.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from leatherens.core.reverse import flattened_loss
from leatherens.core.types import ImageBatch, ImagesInMemory


def halves(batch: ImageBatch) -> tuple[ImageBatch, ImageBatch]:
    """Two batches of equal length, of which the second is the first's partner; an odd image is left out."""
    count = len(batch) // 2
    parts = ImagesInMemory(batch)
    return parts.batch(range(count)), parts.batch(range(count, 2 * count))


def adaptation_loss(
    seen: Sequence[Tensor],
    rebuilt: Sequence[Tensor],
    frozen_seen: Sequence[Tensor],
    frozen_rebuilt: Sequence[Tensor],
    distillation: float,
    valid: Tensor | None = None,
) -> Tensor:
    """(B,): images and reconstructions shall look alike, and neither much unlike before.

    Each of the first four: levels (B, C, h, w), of the extractor that learns and of the one it was. Alike is
    the cosine of whole levels.
    """
    alike = flattened_loss(rebuilt, seen, valid)
    kept = flattened_loss(seen, frozen_seen, valid) + flattened_loss(rebuilt, frozen_rebuilt, valid)
    return alike + distillation * kept
