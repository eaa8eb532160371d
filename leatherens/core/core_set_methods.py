"""Ways to choose the few rows a memory bank keeps, under one contract.

Each takes rows (N, d), how many to choose and a generator, and gives the indices (M,) of M <= count
different rows. What they cost and cover is measured by `benchmarks/core_sets.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from leatherens.core.core_set import greedy_core_set
from leatherens.core.neighbours import nearest_once
from leatherens.core.progress import Advance
from leatherens.core.randomness import kept_python_random

CoreSetMethod: TypeAlias = Literal["greedy", "batched", "k-means", "random"]
"""greedy: the farthest row again and again. batched: many nearly farthest rows at a time. k-means: the rows
nearest to the centres of mini-batch k-means. random: a uniform sample."""

Choose: TypeAlias = Callable[[Tensor, int, np.random.Generator, Advance], Tensor]
"""Rows (N, d), count <= N, generator, progress to indices (M,)."""

SLACK = 0.7
"""The batched method takes a row at least this share as far as the farthest of all."""

PASSES = 5
"""Most passes of k-means over all rows; centres move little after them."""

ROWS_A_STEP = 4096
"""Rows of one mini-batch of k-means."""


def chosen_rows(
    rows: Tensor,
    count: int,
    generator: np.random.Generator,
    *,
    method: CoreSetMethod = "greedy",
    advance: Advance = lambda taken: None,
) -> Tensor:
    """Indices (M,) of at most `count` of the rows (N, d); fewer where rows coincide.

    >>> chosen_rows(torch.tensor([[0.0], [0.0], [9.0]]), 2, np.random.default_rng(0)).sort().values.tolist()
    [0, 2]
    """
    return METHODS[method](rows, min(count, len(rows)), generator, advance)


def _greedy(rows: Tensor, count: int, generator: np.random.Generator, advance: Advance) -> Tensor:
    start = int(generator.integers(len(rows)))
    return greedy_core_set(rows, count, start=start, advance=advance)


def _batched(rows: Tensor, count: int, generator: np.random.Generator, advance: Advance) -> Tensor:
    start = int(generator.integers(len(rows)))
    return greedy_core_set(rows, count, start=start, slack=SLACK, advance=advance)


def _random(rows: Tensor, count: int, generator: np.random.Generator, advance: Advance) -> Tensor:
    taken = np.sort(generator.choice(len(rows), count, replace=False))
    advance(count)
    return torch.from_numpy(taken).to(rows.device)


def _k_means(rows: Tensor, count: int, generator: np.random.Generator, advance: Advance) -> Tensor:
    """Rows nearest to the centres; two centres may share one."""
    centres = _mini_batch_centres(rows, count, int(generator.integers(2**32)))
    nearest: Tensor = torch.unique(nearest_once(centres, rows).indices)
    advance(count)
    return nearest


def _mini_batch_centres(rows: Tensor, count: int, seed: int) -> Tensor:
    """(count, d) centres, started from random rows: k-means++ would cost as much as the greedy core set."""
    with kept_python_random():  # scikit-learn's first import draws from it
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning

    batch = min(ROWS_A_STEP, len(rows))
    means = MiniBatchKMeans(
        count, init="random", n_init=1, max_iter=PASSES, batch_size=batch, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows that coincide
        found = means.fit(rows.detach().cpu().numpy()).cluster_centers_
    return torch.from_numpy(found).to(rows)


METHODS: Mapping[CoreSetMethod, Choose] = {
    "greedy": _greedy,
    "batched": _batched,
    "k-means": _k_means,
    "random": _random,
}
