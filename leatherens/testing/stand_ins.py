"""What stands in for the world around a detector: weights, image sources, progress, global state."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from leatherens.core.backbones import BackbonePool
from leatherens.core.global_state import global_state, put_back
from leatherens.core.progress import Advance, Silent
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import ImageBatch
from leatherens.core.weights import WeightFinder, Weights


class RandomWeights(WeightFinder):
    """Seeded random tensors under the right names for any model, so that no check needs files or a network.

    Conformance is about behaviour; how good a detector is with pretrained weights is a benchmark's question.
    """

    def find(self, model: str, weights: str = "pretrained") -> Weights:
        """The tensors of the whole timm model, classifier included, as a weights file would hold them."""
        import timm

        with seeded_construction(0, "conformance", model):
            module: Any = timm.create_model(model, pretrained=False)
        return Weights(module.state_dict(), "conformance kit (random)")


def random_pool(device: str = "cpu") -> BackbonePool:
    """A pool whose every backbone has seeded random weights."""
    return BackbonePool(RandomWeights(), device=device)


@dataclass
class WatchedImages:
    """An `ImageSource` that counts its batches, and hands out its own tensors where it can, not copies.

    A detector that writes into its training images is thereby seen.
    """

    images: ImageBatch
    served: int = field(default=0, init=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """One name per image."""
        return self.images.ids

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.images.size

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        """The images at these positions; neighbours in order are a view, not a copy."""
        self.served += 1
        rows = list(indices)
        ids = tuple(self.images.ids[i] for i in rows)
        run = rows == list(range(rows[0], rows[0] + len(rows))) if rows else False
        pick: Any = slice(rows[0], rows[0] + len(rows)) if run else rows
        valid = None if self.images.valid is None else self.images.valid[pick]
        return ImageBatch(self.images.pixels[pick], ids, valid)


class Counter(Silent):
    """Progress that counts the units of each step, by title."""

    def __init__(self) -> None:
        self.units: dict[str, int] = {}

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        """Open a step that is counted."""

        def advance(units: int) -> None:
            self.units[title] = self.units.get(title, 0) + units

        yield advance

    @property
    def longest(self) -> str:
        """The title of the step with the most units; empty when there was none."""
        return max(self.units, key=lambda title: self.units[title], default="")


class Interrupter(Silent):
    """Progress that presses Ctrl-C once, when half of the step of this title is done."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.fired = False

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        """Open a step that may be interrupted."""
        done = 0

        def advance(units: int) -> None:
            nonlocal done
            done += units
            if title == self.title and not self.fired and done >= max(1, total // 2):
                self.fired = True
                raise KeyboardInterrupt

        yield advance


@contextmanager
def lent_globals(seed: int) -> Iterator[None]:
    """Seed the global generators for a while; afterwards they, and the settings of torch, are as before.

    With two seeds, a detector that secretly draws from a global generator gives two results.
    """
    before = global_state()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        put_back(before)
