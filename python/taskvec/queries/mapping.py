"""Adapters as points of a plane: classical multidimensional scaling."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import coo_array
from scipy.sparse.linalg import LinearOperator, eigsh

from ..errors import TaskvecError


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


def umap_map(cosine: NDArray[np.floating]) -> Plane:
    """UMAP (McInnes, Healy and Melville, 2018) of 1 − cosine: who is near whom; distances between groups say little.

    The seed is fixed, so that the same numbers give the same picture.

    Args:
        cosine: (N, N), N ≥ 4; the diagonal is not read. A pair without a cosine counts as orthogonal.

    Raises:
        TaskvecError: umap-learn is not installed, or N is less than 4.
    """
    check_map("umap", N := len(cosine))
    from umap import UMAP  # type: ignore[import-not-found, unused-ignore]

    distance = 1 - np.nan_to_num(cosine).astype(np.float64)
    distance = np.clip((distance + distance.T) / 2, 0.0, 2.0)
    np.fill_diagonal(distance, 0.0)
    model = UMAP(metric="precomputed", random_state=0, n_neighbors=min(15, N - 1), init="random", n_jobs=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="using precomputed metric")
        points = np.asarray(model.fit_transform(distance), np.float64)
    return Plane(points, None, "UMAP of 1 − cosine, seed 0")


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


MAPS: Mapping[str, Callable[[NDArray[np.floating]], Plane]] = {"mds": classical_map, "umap": umap_map}


def has_umap() -> bool:
    return find_spec("umap") is not None


def check_map(name: str, adapters: int) -> None:
    """TaskvecError, before any work, for a map that cannot be made."""
    if name not in MAPS:
        raise TaskvecError(f"no map {name!r}", expected=f"one of {', '.join(MAPS)}")
    if name == "umap" and not has_umap():
        raise TaskvecError("UMAP needs umap-learn", fix="pip install 'taskvec[umap]'")
    if name == "umap" and adapters < 4:
        raise TaskvecError("UMAP needs four adapters", got=str(adapters), fix="leave --map umap out")
