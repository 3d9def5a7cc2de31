"""Maps of adapters: the same plane by every way to it."""

from __future__ import annotations

import numpy as np
import pytest

from taskvec.errors import TaskvecError
from taskvec.queries import mapping
from taskvec.queries.mapping import check_map, classical_map, landmark_map, listed_map, umap_map


@pytest.fixture
def cosine() -> np.ndarray:
    """Of 30 vectors that lie near a plane, each with itself NaN."""
    random = np.random.default_rng(3)
    vectors = random.standard_normal((30, 3)) * [3.0, 1.5, 0.2]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = vectors @ vectors.T
    np.fill_diagonal(found, np.nan)
    return found


def test_a_list_of_all_pairs_has_the_classical_map(cosine) -> None:
    source, target = np.nonzero(~np.eye(30, dtype=bool))
    there, listed = classical_map(cosine), listed_map(source, target, cosine[source, target], 30)
    np.testing.assert_allclose(listed.points, there.points, atol=1e-8)
    np.testing.assert_allclose(listed.explained, there.explained, rtol=1e-9)


def test_pairs_that_are_not_listed_are_orthogonal(cosine) -> None:
    some = np.random.default_rng(1).random((30, 30)) < 0.3
    cosine[~(some | some.T)] = np.nan
    source, target = np.nonzero(~np.isnan(cosine))
    listed = listed_map(source, target, cosine[source, target], 30)
    np.testing.assert_allclose(listed.points, classical_map(cosine).points, atol=1e-8)


def test_landmarks_that_are_all_have_the_classical_map(cosine) -> None:
    found = landmark_map(cosine.copy(), np.arange(30))
    np.testing.assert_allclose(found.points, classical_map(cosine).points, atol=1e-8)


def test_few_landmarks_place_the_others_near_where_they_are(cosine) -> None:
    some = np.arange(0, 30, 2)
    found, there = landmark_map(cosine[:, some].copy(), some).points, classical_map(cosine).points
    # up to a rotation and a shift
    one, other = found - found.mean(0), there - there.mean(0)
    u, _, vt = np.linalg.svd(one.T @ other)
    assert np.abs(one @ u @ vt - other).max() < 0.15 * np.abs(other).max()


def test_umap_is_the_same_every_time(cosine) -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    one, two = umap_map(cosine), umap_map(cosine)
    np.testing.assert_array_equal(one.points, two.points)
    assert one.points.shape == (30, 2) and np.isfinite(one.points).all()
    assert umap_map(cosine[:4, :4]).points.shape == (4, 2)


def test_a_map_that_cannot_be_made(monkeypatch) -> None:
    monkeypatch.setattr(mapping, "has_umap", lambda: False)
    check_map("mds", 2)
    with pytest.raises(TaskvecError, match=r"needs umap-learn; pip install 'taskvec\[umap\]'"):
        check_map("umap", 30)
    with pytest.raises(TaskvecError, match="no map 'tsne'"):
        check_map("tsne", 30)
    monkeypatch.setattr(mapping, "has_umap", lambda: True)
    with pytest.raises(TaskvecError, match="four adapters"):
        check_map("umap", 3)
