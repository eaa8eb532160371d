"""One seed, many independent generators; the global generators are never seeded and never moved.

Every random decision takes its generator from `derive(seed, *path)`, where the path says what the
decision is for ("stfpm", "epoch", 3). The same seed gives the same run whatever else was drawn,
and a resumed training needs no generator state on disk.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, *path: str | int) -> int:
    """A 63-bit seed for one purpose, from the run's seed and the purpose's path.

    >>> derive(7, "stfpm") == derive(7, "stfpm") != derive(7, "draem")
    True
    """
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, *path: str | int) -> np.random.Generator:
    """A numpy generator for one purpose."""
    return np.random.default_rng(derive(seed, *path))


def torch_generator(seed: int, *path: str | int, device: str = "cpu") -> torch.Generator:
    """A torch generator for one purpose."""
    import torch

    return torch.Generator(device=device).manual_seed(derive(seed, *path))


def numpy_generators(generator: torch.Generator, count: int) -> list[np.random.Generator]:
    """Independent numpy generators, one for each image of a step, from the step's torch generator."""
    import torch

    seeds = torch.randint(2**62, (count,), generator=generator, device=generator.device)
    return [np.random.default_rng(seed) for seed in seeds.tolist()]


@contextmanager
def kept_python_random() -> Iterator[None]:
    """Puts Python's global generator back: a library that draws from it while it is imported moves it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def seeded_construction(seed: int, *path: str | int) -> Iterator[None]:
    """Build torch modules from a seed.

    torch's layers draw their first weights from the global generator and take no other; this lends
    them a seeded one and puts the global state back as it was.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, *path))
        yield


@contextmanager
def lent_generators(seed: int, *path: str | int) -> Iterator[None]:
    """Run a library that draws from the global generators, and takes no others, from a seed.

    Python's, numpy's and torch's are seeded for one purpose and put back as they were, what the library's
    imports draw included.
    """
    kept = random.getstate(), np.random.get_state()
    random.seed(derive(seed, *path, "python"))
    np.random.seed(derive(seed, *path, "numpy") % 2**32)
    try:
        with seeded_construction(seed, *path, "torch"):
            yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
