"""Which key points of two pictures are the same: brute force over Hamming distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leatherens.core.registration.key_points import KeyPoints


def matches(first: KeyPoints, second: KeyPoints, *, ratio: float) -> NDArray[np.int64]:
    """(M, 2) rows of `first` and of `second` that are each other's nearest, and clearly so.

    ratio: the nearest must be closer than this times the second nearest, in both directions (Lowe, IJCV 2004,
        section 7.1): a point that several others resemble says nothing about where it lies.
    Cross-check and ratio test are both symmetric here, so that exchanging the pictures exchanges the columns.
    """
    if min(len(first), len(second)) < 2:  # without a second nearest nothing is clearly nearest
        return np.zeros((0, 2), dtype=np.int64)
    there, clear_there = _nearest(first, second, ratio)
    back, clear_back = _nearest(second, first, ratio)
    rows = np.arange(len(first))
    same = clear_there & clear_back[there] & (back[there] == rows)
    return np.column_stack([rows[same], there[same]])


def _nearest(
    queries: KeyPoints, others: KeyPoints, ratio: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) the row of each query's nearest, and whether it is clearly nearer than the next."""
    import cv2

    distances, rows = cv2.batchDistance(
        queries.descriptors, others.descriptors, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=2
    )
    return rows[:, 0].astype(np.int64), distances[:, 0] < ratio * distances[:, 1]
