"""Adapters that hold much of each other stand next to each other: hierarchical clusters of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

LINKAGE = "average"
DISTANCE = "1 − mean of captured both ways"
OPTIMAL = 200  # adapters up to which the order of the leaves is the best one: its cost grows with their square or more


@dataclass(frozen=True)
class Tree:
    """Of N adapters.

    Attributes:
        merges: (N − 1, 2) the two nodes that become node N + row; nodes below N are adapters.
        heights: (N − 1,) the distance at which they do.
        order: (N,) adapters in the order of the leaves.
        linkage: (N − 1, 4) as scipy has it.
    """

    merges: NDArray[np.int32]
    heights: NDArray[np.float64]
    order: NDArray[np.intp]
    linkage: NDArray[np.float64]

    def cut(self, most: int) -> NDArray[np.intp]:
        """At most ``most`` clusters, as the ends of their leaves in ``order``: (clusters + 1,), 0 first and N last."""
        labels = fcluster(self.linkage, most, "maxclust")[self.order]
        return np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])


def tree(captured: NDArray[np.floating]) -> Tree:
    """Average linkage of 1 − (captured + its transpose)/2; pairs without a value are as far apart as can be.

    Args:
        captured: (N, N) with N ≥ 2.

    Cost:
        O(N²) time and memory.
    """
    distance = 1 - (captured + captured.T) / 2
    distance = np.clip(np.nan_to_num(distance, nan=1.0), 0.0, 1.0)
    np.fill_diagonal(distance, 0.0)
    condensed = squareform(distance, checks=False)
    links = linkage(condensed, LINKAGE)
    if len(captured) <= OPTIMAL:
        links = optimal_leaf_ordering(links, condensed)
    return Tree(links[:, :2].astype(np.int32), links[:, 2], leaves_list(links).astype(np.intp), links)
