"""What an image scores: how suspicious the voters find it, and how far they agree on where.

Every voter's image score rests on the place that it finds worst, wherever that is. A place that several find
odd, none of them much, shows only in their fused map. An image therefore scores by two parts, weighed alike:
the fused image score, and the mean of the highest hundredth of its fused pixels, both in deviations of
held-out good images. Image scores go through asinh: they are largest values and know no end; the fused pixels
are logarithms already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leatherens.core.errors import InputError
from leatherens.core.spread import Spread, fit_spread
from leatherens.core.types import ScoreMap

TOP = 0.01
"""Share of the pixels that decides: a maximum is one pixel's noise, a tenth of the image drowns a scratch."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The image score of fused scores; `fit_agreement` learns it."""

    image: Spread
    top: Spread

    def __call__(self, fused: ScoreMap) -> Tensor:
        """(B,) image scores of fused scores on the common scale."""
        told = torch.asinh(self.image(fused.image))
        return ((told + self.top(top_mean(fused.pixels, fused.valid))) / 2).to(torch.float32)

    def state(self) -> dict[str, Tensor]:
        """Tensors for the artifact."""
        return {"spreads": torch.tensor([[*self.image], [*self.top]], dtype=torch.float64)}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> Agreement:
        """What `state` gave."""
        image, top = (Spread(*row) for row in state["spreads"].tolist())
        return cls(image, top)


def fit_agreement(good: Sequence[ScoreMap]) -> Agreement:
    """Learn it from batches of fused scores of held-out good images."""
    if not good:
        raise InputError("an agreement needs at least one held-out good image")
    image = torch.cat([scores.image for scores in good])
    top = torch.cat([top_mean(scores.pixels, scores.valid) for scores in good])
    return Agreement(fit_spread(image), fit_spread(top))


def top_mean(pixels: Tensor, valid: Tensor | None = None) -> Tensor:
    """(B,): the mean of the highest `TOP` of the valid pixels of maps (B, H, W), of one at least.

    >>> top_mean(torch.arange(400.0).view(1, 20, 20)).tolist()
    [397.5]
    """
    flat = pixels.flatten(1)
    if valid is None:
        return flat.topk(max(1, round(TOP * flat.shape[1])), dim=1, sorted=False).values.mean(dim=1)
    count = (TOP * valid.flatten(1).sum(dim=1)).round().clamp_min(1).long()  # (B,)
    flat = flat.masked_fill(~valid.flatten(1), -torch.inf)
    highest = flat.topk(int(count.max()), dim=1).values
    counted = torch.arange(highest.shape[1], device=flat.device) < count[:, None]
    return highest.where(counted, 0.0).sum(dim=1) / count
