"""A random forest as plain numbers: learned by scikit-learn, stored as one tensor, evaluated by numpy.

scikit-learn keeps its trees in objects that only pickle can store, and loading a pickle can run code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

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

    threshold: up to it one goes left. share: of the positive rows among those a node has seen, in 0..1, each
    class weighing the same.
    """

    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    share: Floats

    def __call__(self, columns: Floats) -> Floats:
        """Rows by column (V, M), float32, to (M,): the mean of the trees' shares."""
        answers = np.empty(columns.shape[1], np.float32)
        for start in range(0, len(answers), CHUNK):
            chunk = slice(start, start + CHUNK)
            total = sum(self._answer(tree, 0, columns[:, chunk]) for tree in range(len(self.feature)))
            answers[chunk] = total / len(self.feature)
        return answers

    def _answer(self, tree: int, node: int, columns: Floats) -> Floats | np.float32:
        """What the tree says below a node. To ask all rows everything is faster than to send each its way."""
        left, right = int(self.left[tree, node]), int(self.right[tree, node])
        if left == node:
            return cast("np.float32", self.share[tree, node])
        goes_left = columns[self.feature[tree, node]] <= self.threshold[tree, node]
        return np.where(goes_left, self._answer(tree, left, columns), self._answer(tree, right, columns))

    def tensor(self) -> Tensor:
        """(5, T, N) float64 for the artifact; node numbers are exact in it."""
        arrays = self.feature, self.threshold, self.left, self.right, self.share
        return torch.from_numpy(np.stack([array.astype(np.float64) for array in arrays]))

    @classmethod
    def from_tensor(cls, stored: Tensor) -> Self:
        """What `tensor` gave."""
        feature, threshold, left, right, share = stored.double().cpu().numpy()
        floats = threshold.astype(np.float32), share.astype(np.float32)
        return cls(
            feature.astype(np.int64), floats[0], left.astype(np.int64), right.astype(np.int64), floats[1]
        )


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
    threshold, share = (np.zeros((len(trees), nodes), np.float32) for _ in range(2))
    for number, tree in enumerate(trees):
        inner = np.flatnonzero(tree.children_left >= 0)
        left[number, inner], right[number, inner] = tree.children_left[inner], tree.children_right[inner]
        feature[number, inner] = order[tree.feature[inner]]
        threshold[number, inner] = _rounded_down(tree.threshold[inner])
        votes = tree.value[:, 0, :]  # (nodes, 2), counts or shares by version
        share[number, : tree.node_count] = votes[:, 1] / votes.sum(axis=1)
    return Forest(feature, threshold, left, right, share)


def _rounded_down(thresholds: NDArray[np.float64]) -> Floats:
    """To float32, never up: float32 values then answer as they do to the exact threshold."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
