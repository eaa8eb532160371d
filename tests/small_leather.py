"""What the tests of detectors share: small hides, a context to learn in, and an interruption."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import Detector, FitContext
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.leather import good_hide
from leatherens.core.progress import Advance, Silent
from leatherens.core.randomness import numpy_generator
from leatherens.core.types import ImageBatch, ImagesInMemory, Observation
from leatherens.core.weights import WeightFinder

D = TypeVar("D", bound=Detector)


def leather(count: int, *, size: tuple[int, int] = (64, 96), seed: int = 0) -> ImageBatch:
    """Good hides of one colour."""
    hides = [
        good_hide(numpy_generator(seed, "hide", i), scenario="one-colour", size=size) for i in range(count)
    ]
    pixels = torch.from_numpy(np.stack(hides)).permute(0, 3, 1, 2).float() / 255
    return ImageBatch(pixels, tuple(f"hide{i}" for i in range(count)))


def context(**changes: Any) -> FitContext:
    """One of seed 3 with a pool of its own."""
    return replace(FitContext(BackbonePool(WeightFinder(), cache=FeatureCache()), seed=3), **changes)


def learned(detector: D, images: ImageBatch, found: FitContext | None = None, *, held_out: int = 2) -> D:
    """The detector after it learned from these images, validated on other hides of their size."""
    others = ImagesInMemory(leather(held_out, size=images.size, seed=9))
    return detector.fit(ImagesInMemory(images), validation=others, context=found or context())


def seen(detector: Detector, batch: ImageBatch) -> Observation:
    """What a detector sees in a batch, through a pool of its own."""
    return detector.observe(batch, context().pool.pyramids(batch, detector.backbones()))


def remembered(found: FitContext) -> int:
    """How many images' features a context's pool remembers."""
    cache = found.pool._cache
    assert cache is not None
    return len({key.partition("/")[0] for key in cache._kept})


class Interrupted(Silent):
    """Ctrl-C after so many units of learning."""

    def __init__(self, after: int = 3) -> None:
        self.left = after

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        """Counts only the steps of a training."""

        def advance(units: int) -> None:
            self.left -= units if title.endswith(": learning") else 0
            if self.left <= 0:
                raise KeyboardInterrupt

        yield advance
