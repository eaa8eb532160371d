"""One seed, independent generators, and global generators that nobody moved."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from leatherens.core.randomness import (
    derive,
    kept_python_random,
    lent_generators,
    numpy_generator,
    numpy_generators,
    seeded_construction,
    torch_generator,
)


@pytest.fixture(autouse=True)
def global_generators_untouched() -> Iterator[None]:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()
    yield
    assert torch.equal(torch.get_rng_state(), torch_before)
    numpy_after = np.random.get_state()
    assert numpy_after[0] == numpy_before[0]
    assert (numpy_after[1] == numpy_before[1]).all()
    assert numpy_after[2:] == numpy_before[2:]


def test_derive__depends_on_the_seed_and_on_every_part_of_the_path() -> None:
    paths = [(), ("stfpm",), ("draem",), ("stfpm", "epoch", 3), ("stfpm", "epoch", 4), ("epoch", "stfpm", 3)]
    seeds = {derive(seed, *path) for seed in (0, 1, -1) for path in paths}
    assert len(seeds) == 3 * len(paths)
    assert derive(7, "stfpm", 3) == derive(7, "stfpm", 3)


def test_derive__fits_every_generator() -> None:
    assert all(0 <= derive(0, i) < 2**63 for i in range(200))


def test_derive__gives_seeds_that_do_not_follow_each_other() -> None:
    """Neighbouring steps must not draw similar numbers: the means of 300 of them are those of noise."""
    first = np.array([numpy_generator(0, "step", i).random() for i in range(300)])
    assert abs(first.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 300)
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 4 / np.sqrt(300)


def test_generators__repeat_and_differ_by_path() -> None:
    assert numpy_generator(1, "a").random() == numpy_generator(1, "a").random()
    assert numpy_generator(1, "a").random() != numpy_generator(1, "b").random()
    first, again, other = (torch.rand(3, generator=torch_generator(1, path)) for path in "aab")
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_numpy_generators__are_one_for_each_image_and_repeat() -> None:
    first, again = (
        [g.random() for g in numpy_generators(torch_generator(0, "step", 1), 4)] for _ in range(2)
    )
    assert first == again
    assert len(set(first)) == 4


def test_seeded_construction__repeats_and_follows_seed_and_path() -> None:
    def weights(*path: str | int) -> torch.Tensor:
        with seeded_construction(*path):  # type: ignore[arg-type]
            return nn.Linear(5, 5).weight.detach()

    assert torch.equal(weights(0, "student"), weights(0, "student"))
    assert not torch.equal(weights(0, "student"), weights(1, "student"))
    assert not torch.equal(weights(0, "student"), weights(0, "teacher"))


def test_seeded_construction__puts_the_global_state_back_after_an_error_too() -> None:
    before = torch.get_rng_state()

    def fail() -> None:
        with seeded_construction(0, "x"):
            torch.rand(3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.equal(torch.get_rng_state(), before)


def test_kept_python_random__puts_the_global_generator_back_also_after_an_error() -> None:
    before = random.getstate()
    with kept_python_random():
        random.seed(5)
    assert random.getstate() == before
    with contextlib.suppress(ValueError), kept_python_random():
        random.seed(6)
        raise ValueError
    assert random.getstate() == before


def test_lent_generators__are_seeded_and_put_back():
    def drawn():
        return random.random(), float(np.random.random()), float(torch.rand(()))

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    seen = []
    for seed in (1, 1, 2):
        with lent_generators(seed, "a library"):
            seen.append(drawn())
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    assert seen[0] == seen[1]
    assert all(one != other for one, other in zip(seen[0], seen[2], strict=True))
    assert before == after
