"""Adapters as points of a plane: classical multidimensional scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh


@dataclass(frozen=True)
class Plane:
    """N points.

    Attributes:
        points: (N, 2).
        explained: the share of the variance that each of the two axes has.
        method: how they were found, in words.
    """

    points: NDArray[np.float64]
    explained: tuple[float, float] | None
    method: str


def classical_map(cosine: NDArray[np.floating]) -> Plane:
    """Classical MDS of 1 − cosine: 2(1 − cosine) is the squared distance of two task vectors of length 1.

    So the centred cosines are the Gram matrix of the points, and their two largest eigenvectors the plane that keeps
    most of it. A pair without a cosine counts as orthogonal.

    Args:
        cosine: (N, N), N ≥ 2; the diagonal is not read.

    Cost:
        Two eigenvectors of an N × N matrix.
    """
    gram = np.nan_to_num(cosine)
    gram = (gram + gram.T) / 2
    np.fill_diagonal(gram, 1.0)
    centred = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    N = len(gram)
    values, vectors = eigh(centred, subset_by_index=[N - 2, N - 1])
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    # a sign for each axis, so that the same numbers give the same picture
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(0), [0, 1]] < 0, -1.0, 1.0)
    whole = max(float(np.trace(centred)), np.finfo(float).tiny)
    shares = float(values[0] / whole), float(values[1] / whole)
    return Plane(vectors * np.sqrt(values), shares, "classical MDS of 1 − cosine")
