"""k-means, step for step as scikit-learn takes it: AdaMSS clusters a base's directions, which no file has."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SEED, ROUNDS, TOLERANCE = 123456789, 10, 1e-4
Points = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]


def kmeans(points: Points, count: int) -> Labels:
    """The cluster of each point (n, r): KMeans(count, init="random", n_init=1, max_iter=10, random_state=123456789)."""
    tolerance = TOLERANCE * points.var(axis=0).mean()
    points = points - points.mean(axis=0)
    weights = np.ones(len(points), points.dtype)
    starts = np.random.RandomState(SEED).choice(len(points), count, replace=False, p=weights / weights.sum())
    centres, labels = points[starts], None
    for _ in range(ROUNDS):
        found = _nearest(points, centres)
        moved = _means(points, centres, found)
        shift = float(np.square(moved - centres).sum())
        centres = moved
        if labels is not None and np.array_equal(found, labels):
            return found
        labels = found
        if shift <= tolerance:
            break
    return _nearest(points, centres)


def _nearest(points: Points, centres: Points) -> Labels:
    nearest: Labels = np.argmin(np.square(centres).sum(axis=1) - 2 * points @ centres.T, axis=1)
    return nearest


def _means(points: Points, centres: Points, labels: Labels) -> Points:
    """The centre of each cluster; of an empty one the point that is farthest from its own."""
    sizes = np.bincount(labels, minlength=len(centres)).astype(points.dtype)
    sums = np.zeros_like(centres)
    np.add.at(sums, labels, points)
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        distances = np.square(points - centres[labels]).sum(axis=1)
        far = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
        for cluster, point in zip(empty, far, strict=True):
            sums[labels[point]] -= points[point]
            sizes[labels[point]] -= 1
            sums[cluster], sizes[cluster] = points[point], 1
    means: Points = sums / np.maximum(sizes, 1)[:, None]
    return means
