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


def global_state() -> dict[str, Any]:
    """What everybody in the process shares, in comparable form."""
    return {
        "torch's random generator": torch.get_rng_state().numpy().tobytes(),
        "numpy's random generator": repr([np.asarray(part).tobytes() for part in np.random.get_state()]),
        "Python's random generator": random.getstate(),
        "torch's thread count": torch.get_num_threads(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "cuDNN's benchmark mode": torch.backends.cudnn.benchmark,
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names of what differs."""
    return [name for name, value in before.items() if after[name] != value]


@contextmanager
def lent_globals(seed: int) -> Iterator[None]:
    """Seed the global generators for a while; afterwards they, and the settings of torch, are as before.

    With two seeds, a detector that secretly draws from a global generator gives two results.
    """
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()
    threads, dtype, grad = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])
        random.setstate(kept[2])
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark
