"""A common scale for scores of any unit, learned from held-out good images and then frozen.

Members speak in their own units; before scores are fused, every member's are put on the scale of
how rare they are among good pixels. Both maps are strictly increasing, so that no member's own
ranking changes.

Pixels: -log of the share of good pixels that score higher. Inside the data it is the empirical
share; beyond a high quantile a generalised Pareto tail (Pickands, 1975) goes on. Its shape is held
at `LIGHTEST_TAIL` or heavier: a few held-out images cannot show that a tail is lighter, and with an
exponential tail one member's certainty would drown the others.
Images: asinh of the distance from the median good image in mean deviations; a handful of images
carries no more than a place and a spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leatherens.core.errors import InputError
from leatherens.core.spread import Spread, fit_spread
from leatherens.core.types import ScoreMap

LIGHTEST_TAIL = 0.2
TAIL_FROM = 0.98
"""The tail begins at this quantile of good pixels."""
KNOTS = 128
MOST_PIXELS = 1_000_000
"""More pooled good pixels than this are thinned evenly: the quantiles no longer move."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TailScale:
    """Score to -log(share of good pixels above): knots inside the data, a Pareto tail beyond."""

    knots: Floats
    """(K,) strictly increasing scores, the last is where the tail begins."""
    surprise: Floats
    """(K,) -log exceedance at the knots, in nats."""
    shape: float
    spread: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Any shape to the same shape, in nats."""
        at = scores.to(torch.float64)
        if at.device.type != "cpu":
            knots, surprise = (torch.from_numpy(v).to(at) for v in (self.knots, self.surprise))
            nats: Tensor = self._with_ends(at, _interpolated(at, knots, surprise), torch.log1p)
        else:  # numpy takes a quarter of torch's time
            values = at.numpy()
            inside = np.interp(values, self.knots, self.surprise)
            nats = torch.from_numpy(self._with_ends(values, inside, np.log1p))
        return nats.to(torch.float32)

    def _with_ends(self, at: Any, nats: Any, log1p: Any) -> Any:
        """Nats of scores outside the knots put right, in place; few, so that only theirs are worked out."""
        first, second, last = self.knots[0], self.knots[1], self.knots[-1]
        beyond, below = at > last, at < first
        further = log1p(self.shape * (at[beyond] - last) / self.spread) / self.shape
        nats[beyond] = self.surprise[-1] + further
        # Below all good scores nothing is surprising: ever slower, lest one calm member outweigh the others.
        nats[below] = -self.surprise[1] * log1p((first - at[below]) / (second - first))
        return nats


def _interpolated(at: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Float64 between rising knots, the end values outside: `numpy.interp` on any device."""
    inner = at.clamp(knots[0], knots[-1])
    right = torch.searchsorted(knots, inner).clamp(1, len(knots) - 1)
    slope = (values[right] - values[right - 1]) / (knots[right] - knots[right - 1])
    return values[right - 1] + slope * (inner - knots[right - 1])


def fit_tail(pixels: Floats) -> TailScale:
    """The scale of pooled good pixel scores (M,)."""
    ordered = np.sort(pixels)
    levels = 1 - np.geomspace(1, 1 - TAIL_FROM, KNOTS)  # denser towards the tail
    knots = np.quantile(ordered, levels)
    smallest = 1e-7 * (_extent(knots) or _extent(ordered) or 1e-12)
    steps = smallest * np.arange(KNOTS)
    knots = np.maximum.accumulate(knots - steps) + steps  # equal ones apart: strictly increasing
    excess = ordered[ordered > knots[-1]] - knots[-1]
    shape, spread = _pareto(excess) if len(excess) else (LIGHTEST_TAIL, smallest * KNOTS)
    return TailScale(knots, -np.log1p(-levels), shape, max(spread, smallest))


def _extent(ordered: Floats) -> float:
    """How large ascending values are, or how far apart."""
    return max(float(ordered[-1] - ordered[0]), abs(float(ordered[-1])))


def _pareto(excess: Floats) -> tuple[float, float]:
    """Shape and spread of a Pareto tail by probability-weighted moments (Hosking, Wallis, 1987)."""
    first = float(excess.mean())
    if len(excess) < 10:  # too few to show a shape
        return LIGHTEST_TAIL, first * (1 - LIGHTEST_TAIL)
    rank = np.arange(len(excess))  # ascending
    second = float((excess * (len(excess) - 1 - rank) / (len(excess) - 1)).mean())
    shape = 2 - first / max(first - 2 * second, 1e-12 * first)
    shape = float(np.clip(shape, LIGHTEST_TAIL, 0.9))
    return shape, first * (1 - shape)  # the spread that keeps the mean excess


@dataclass(frozen=True, slots=True)
class Scale:
    """One voter's scale for pixels and for images; `fit_scale` learns it."""

    tail: TailScale
    image: Spread

    def __call__(self, scores: ScoreMap) -> ScoreMap:
        """Scores of any unit to the common scale."""
        image = torch.asinh(self.image(scores.image)).to(torch.float32)
        return ScoreMap(self.tail(scores.pixels), image, scores.valid)

    def state(self) -> dict[str, Tensor]:
        """Tensors for the artifact."""
        scalars = [self.tail.shape, self.tail.spread, *self.image]
        return {
            "knots": torch.from_numpy(self.tail.knots),
            "surprise": torch.from_numpy(self.tail.surprise),
            "scalars": torch.tensor(scalars, dtype=torch.float64),
        }

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> Scale:
        """What `state` gave."""
        shape, spread, median, deviation = state["scalars"].tolist()
        tail = TailScale(state["knots"].numpy(), state["surprise"].numpy(), shape, spread)
        return cls(tail, Spread(median, deviation))


def fit_scale(good: Sequence[ScoreMap]) -> Scale:
    """Learn one voter's scale from batches of held-out good images."""
    if not good:
        raise InputError("a scale needs at least one held-out good image")
    pixels = torch.cat([scores.counted for scores in good])
    step = -(-len(pixels) // MOST_PIXELS) | 1  # odd: an even one would meet the same columns in every row
    thinned = pixels[::step].double().cpu().numpy()
    return Scale(fit_tail(thinned), fit_spread(torch.cat([scores.image for scores in good])))
