"""A random forest as plain numbers: learned by scikit-learn, stored as one tensor, evaluated by numpy.

scikit-learn keeps its trees in objects that only pickle can store, and loading a pickle can run code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Self

from leatherens.core.randomness import kept_python_random

CHUNK = 16_384
"""Rows judged at once: what a tree needs of them stays in the processor's cache."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Forest:
    """T trees of at most N nodes, each array (T, N). A leaf is its own child, whichever way one goes.

    share: of the positive rows among those a node has seen, in 0..1, each class weighing the same.
    depth: steps to any leaf.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    share: NDArray[np.float64]
    depth: int

    def __call__(self, rows: Floats) -> Floats:
        """(M, V) float32 rows to (M,): the mean of the trees' shares."""
        chunks = [self._judged(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)]
        return np.concatenate([np.empty(0, np.float32), *chunks])

    def _judged(self, rows: Floats) -> Floats:
        total = np.zeros(len(rows))
        places = np.arange(len(rows))
        trees = zip(self.feature, self.threshold, self.left, self.right, self.share, strict=True)
        for feature, threshold, left, right, share in trees:
            at = np.zeros(len(rows), np.int64)
            for _ in range(self.depth):
                at = np.where(rows[places, feature[at]] <= threshold[at], left[at], right[at])
            total += share[at]
        return (total / len(self.feature)).astype(np.float32)

    def tensor(self) -> Tensor:
        """(5, T, N) float64 for the artifact; node numbers are exact in it."""
        return torch.from_numpy(np.stack([np.asarray(a, np.float64) for a in self._arrays()]))

    @classmethod
    def from_tensor(cls, stored: Tensor) -> Self:
        """What `tensor` gave."""
        feature, threshold, left, right, share = stored.double().cpu().numpy()
        left, right = left.astype(np.int64), right.astype(np.int64)
        return cls(feature.astype(np.int64), threshold, left, right, share, _depth(left, right))

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.feature, self.threshold, self.left, self.right, self.share


def grow_forest(rows: Floats, labels: NDArray[np.int64], *, trees: int, depth: int, seed: int) -> Forest:
    """A forest that tells rows (M, V) of label 1 from those of label 0 and rises with every column.

    Every column may be asked at every node. Columns are first put in an order that their values decide, so
    that the forest does not depend on what they are called.
    """
    with kept_python_random():  # scikit-learn's first import draws from it
        from sklearn.ensemble import RandomForestClassifier

    columns = [column.tolist() for column in rows.T]
    order = np.array(sorted(range(len(columns)), key=columns.__getitem__))
    model = RandomForestClassifier(
        trees,
        max_depth=depth,
        min_samples_leaf=max(1, min(5, len(rows) // 20)),
        max_features=None,
        class_weight="balanced",
        monotonic_cst=np.ones(len(order), np.int8),
        random_state=seed % 2**32,
    )
    model.fit(rows[:, order], labels)
    return rising(plain([estimator.tree_ for estimator in model.estimators_], order))


def rising(forest: Forest) -> Forest:
    """The same splits with shares bounded so that no column can lower the answer.

    scikit-learn's own bounds leave steps down of some hundredths (seen with 1.9). Below each split, the mean
    of its two sides bounds both: of two rows that part there, the one with the larger value answers no less.
    """
    share = forest.share.copy()
    for tree, (left, right) in enumerate(zip(forest.left, forest.right, strict=True)):
        waiting = [(0, 0.0, 1.0)]
        while waiting:
            node, low, high = waiting.pop()
            share[tree, node] = np.clip(share[tree, node], low, high)
            if left[node] != node:
                middle = np.clip(share[tree, [left[node], right[node]]].mean(), low, high)
                waiting += [(int(left[node]), low, middle), (int(right[node]), middle, high)]
    return replace(forest, share=share)


def plain(trees: list[Any], order: NDArray[np.int64]) -> Forest:
    """scikit-learn's trees as arrays, padded to one length with leaves nobody reaches."""
    nodes = max(tree.node_count for tree in trees)
    left, right = (np.tile(np.arange(nodes), (len(trees), 1)) for _ in range(2))
    feature = np.zeros((len(trees), nodes), np.int64)
    threshold, share = np.zeros((len(trees), nodes)), np.zeros((len(trees), nodes))
    for number, tree in enumerate(trees):
        inner = np.flatnonzero(tree.children_left >= 0)
        left[number, inner], right[number, inner] = tree.children_left[inner], tree.children_right[inner]
        feature[number, inner] = order[tree.feature[inner]]
        threshold[number, inner] = tree.threshold[inner]
        votes = tree.value[:, 0, :]  # (nodes, 2), counts or shares by version
        share[number, : tree.node_count] = votes[:, 1] / votes.sum(axis=1)
    return Forest(feature, threshold, left, right, share, _depth(left, right))


def _depth(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Steps after which every walk from the root stands still."""
    level, steps = {(tree, 0) for tree in range(len(left))}, 0
    while level := {
        (tree, int(child[tree, node]))
        for tree, node in level
        for child in (left, right)
        if child[tree, node] != node
    }:
        steps += 1
    return steps
