"""Adapters as points of a plane: classical multidimensional scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import coo_array
from scipy.sparse.linalg import LinearOperator, eigsh


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
    whole = max(float(np.trace(centred)), np.finfo(float).tiny)
    return plane_of(values, vectors, whole, "classical MDS of 1 − cosine")


def plane_of(values: NDArray[np.float64], vectors: NDArray[np.float64], whole: float, method: str) -> Plane:
    """Of the two largest eigenvalues of centred cosines and their vectors (N, 2); ``whole``: the trace."""
    # a sign for each axis, so that the same numbers give the same picture
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(0), [0, 1]] < 0, -1.0, 1.0)
    shares = float(values[0] / whole), float(values[1] / whole)
    return Plane(vectors * np.sqrt(values), shares, method)


def listed_map(
    source: NDArray[np.integer], target: NDArray[np.integer], cosine: NDArray[np.floating], adapters: int
) -> Plane:
    """``classical_map`` of N adapters of which some pairs are known, each in both directions; N ≥ 3.

    Cost:
        Some hundred products of the sparse matrix with a vector.
    """
    known = ~np.isnan(cosine)
    gram = coo_array((cosine[known], (source[known], target[known])), shape=(adapters, adapters)).tocsr()

    def centred(x: NDArray[np.float64]) -> NDArray[np.float64]:
        x = x.ravel() - x.mean()
        y = x + (gram @ x + gram.T @ x) / 2
        found: NDArray[np.float64] = y - y.mean()
        return found

    operator = LinearOperator((adapters, adapters), matvec=centred, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(adapters)
    values, vectors = eigsh(operator, k=2, which="LA", v0=start)
    whole = max(adapters - (adapters + float(gram.sum())) / adapters, np.finfo(float).tiny)
    order = np.argsort(-values)
    return plane_of(np.maximum(values[order], 0.0), vectors[:, order], whole, "classical MDS of 1 − cosine")


def landmark_map(cosine: NDArray[np.floating], landmarks: NDArray[np.integer]) -> Plane:
    """Landmark MDS (de Silva and Tenenbaum, 2004): the map of some adapters, every other one by its distances to them.

    Args:
        cosine: (N, n) of every adapter with the n landmarks; NaN of an adapter and itself, or of an unknown pair.
        landmarks: (n,) positions, n ≥ 3.

    Cost:
        Two eigenvectors of an n × n matrix, and N n numbers.
    """
    cosine = np.nan_to_num(cosine)
    cosine[landmarks, np.arange(len(landmarks))] = 1.0
    square = 2 - 2 * cosine.astype(np.float64)  # [N, n] squared distances
    between = square[landmarks]
    between = (between + between.T) / 2
    mean = between.mean(0)
    centred = -(between - mean - mean[:, None] + mean.mean()) / 2
    n = len(landmarks)
    values, vectors = eigh(centred, subset_by_index=[n - 2, n - 1])
    values, vectors = np.maximum(values[::-1], np.finfo(float).tiny), vectors[:, ::-1]
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(0), [0, 1]] < 0, -1.0, 1.0)
    points = (mean - square) @ (vectors / np.sqrt(values)) / 2
    return Plane(points, None, f"landmark MDS of 1 − cosine, by {n} adapters")
