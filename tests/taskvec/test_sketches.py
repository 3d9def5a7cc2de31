"""Sketches against an fp64 oracle: unbiased, of the variance that is derived, the same whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskvec.ingestion import ingest
from taskvec.store.factor_store import FactorStore
from taskvec.store.sketches import SIZE as STORED
from taskvec.store.sketches import Sketches, captured_estimate, random_matrix, sketched, sketched_arrays
from taskvec.zoo import Zoo
from taskvec_kernels import LowRankSVD, pairwise

DRAWS, SIZE = 3000, 12
SHARES = ("captured", "captured_out", "captured_in")


def orthonormal(rng: np.random.Generator, m: int, r: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((m, r)))[0]


@pytest.fixture(scope="module")
def two():
    """A source of 3 directions and a target of 4 that share some of both sides, one side more than the other."""
    rng = np.random.default_rng(0)
    U, V = orthonormal(rng, 20, 7), orthonormal(rng, 30, 7)
    turn = orthonormal(rng, 4, 4)
    source = U[:, :3], np.array([3.0, 2.0, 1.0]), V[:, :3]
    target = U[:, [0, 1, 3, 4]] @ turn, np.array([2.5, 2.0, 1.0, 0.5]), V[:, [0, 4, 5, 6]] @ orthonormal(rng, 4, 4)
    return source, target


@pytest.fixture(scope="module")
def draws(two):
    """Both sides' Gram blocks, a = G U₁ᵀ G U₂ (DRAWS, 3, 4), for random matrices of any draw."""
    (u1, _, v1), (u2, _, v2) = two
    rng = np.random.default_rng(1)
    blocks = []
    for one, other in ((u1, u2), (v1, v2)):
        G = rng.standard_normal((DRAWS, SIZE, len(one))) / SIZE**0.5
        blocks.append((G @ one).transpose(0, 2, 1) @ (G @ other))
    return blocks


def test_a_direction_is_unbiased_and_has_the_variance_that_is_derived(two, draws) -> None:
    """s² Var = (1 + s)(|τᵀu|² + |τ v|²) + |τ|² + (1 + 2s) d²: docs/SCALE.md."""
    (u1, _, v1), (u2, s2, v2) = two
    tau = u2 * s2 @ v2.T
    exact = u1.T @ tau @ v1  # [3, 3]
    found = (draws[0] * s2) @ draws[1].transpose(0, 2, 1)  # [DRAWS, 3, 3]
    of_u, of_v = np.square(u1.T @ tau).sum(1)[:, None], np.square(tau @ v1).sum(0)
    variance = ((1 + SIZE) * (of_u + of_v) + np.square(s2).sum() + (1 + 2 * SIZE) * exact**2) / SIZE**2
    assert (abs(found.mean(0) - exact) < 5 * np.sqrt(variance / DRAWS)).all()
    np.testing.assert_allclose(found.var(0), variance, rtol=0.15)


def test_captured_and_the_cosine_are_unbiased(two, draws) -> None:
    (u1, s1, v1), (u2, s2, v2) = two
    for whole in (np.sqrt(np.square(s2).sum()), 1.5 * np.sqrt(np.square(s2).sum())):  # directions may be left out
        norm = whole**2
        sides = [np.square(block * s2).sum((1, 2)) / norm for block in draws]
        block = np.square((draws[0] * s2) @ draws[1].transpose(0, 2, 1)).sum((1, 2)) / norm
        found = captured_estimate(block, *sides, np.full(1, 3), SIZE, np.square(s2).sum() / norm)
        exact = np.square(u1.T @ (u2 * s2) @ (v1.T @ v2).T).sum() / norm
        assert abs(found.mean() - exact) < 5 * found.std() / DRAWS**0.5
        assert block.mean() - exact > 50 * found.std() / DRAWS**0.5  # what it takes away
    cosines = np.einsum("k,dkl,dkl,l->d", s1, *draws, s2)
    exact_product = (u1 * s1 @ v1.T * (u2 * s2 @ v2.T)).sum()
    assert abs(cosines.mean() - exact_product) < 5 * cosines.std() / DRAWS**0.5


def shares(x: LowRankSVD, y: LowRankSVD) -> dict[str, np.ndarray]:
    """What x holds of y by their Gram blocks in fp64, (L, N, M): columns are not orthonormal in a sketch."""
    (xU, xS, xVh), (yU, yS, yVh) = ([t.double().numpy() for t in side] for side in (x, y))
    u, v = np.einsum("aimk,ajml->aijkl", xU, yU), np.einsum("aikn,ajln->aijkl", xVh, yVh)
    whole, of_x = (np.square(S).sum(-1) for S in (yS, xS))
    sides = {"captured_out": u * yS[:, None, :, None], "captured_in": v * yS[:, None, :, None]}
    sides["captured"] = np.einsum("aijkm,ajm,aijlm->aijkl", u, yS, v)
    found = {name: np.square(block).sum((-2, -1)) / whole[:, None] for name, block in sides.items()}
    inner = np.einsum("aik,aijkl,aijkl,ajl->aij", xS, u, v, yS)
    return found | {"cosine": inner / np.sqrt(of_x[:, :, None] * whole[:, None])}


def test_unrelated_pairs_deviate_by_the_rank_over_s_squared() -> None:
    """r/s² √(2 + 2/P) for s well above r, P the target's participation ratio: the noise of a candidate."""
    rng = np.random.default_rng(2)
    r, size, draws, S = 4, 80, 4000, np.array([2, 1, 1, 0.5])
    sides = []
    for _ in range(2):  # of vectors that are orthogonal to each other
        one, other = (rng.standard_normal((draws, size, r)) / size**0.5 for _ in range(2))
        sides.append(one.transpose(0, 2, 1) @ other)
    whole = np.square(S).sum()
    of = ((sides[0] * S) @ sides[1].transpose(0, 2, 1), *(side * S for side in sides))
    found = captured_estimate(*(np.square(one).sum((1, 2)) / whole for one in of), np.full(1, r), size)
    participation = whole**2 / (S**4).sum()
    assert found.std() == pytest.approx(r / size**2 * (2 + 2 / participation) ** 0.5, rel=0.15)
    assert abs(found.mean()) < 4 * found.std() / draws**0.5


def test_kernels_compare_sketches() -> None:
    """The metrics that candidates are chosen by, though columns of a sketch are not orthonormal."""
    generator = torch.Generator().manual_seed(3)
    svd = LowRankSVD(
        torch.linalg.qr(torch.randn(2, 5, 60, 4, generator=generator)).Q,
        torch.rand(2, 5, 4, generator=generator).sort(descending=True).values,
        torch.linalg.qr(torch.randn(2, 5, 40, 4, generator=generator)).Q.mT,
    )
    sketch = sketched(svd, ["h.0.q", "h.1.q"], 16)
    assert sketch.U.shape == (2, 5, 16, 4) and sketch.Vh.shape == (2, 5, 4, 16) and sketch.U.mT.is_contiguous()
    found, expected = pairwise(sketch, metrics=(*SHARES, "cosine")).forward, shares(sketch, sketch)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].numpy(), value, rtol=1e-5, atol=1e-5)


def test_a_sketch_depends_on_its_adapter_alone() -> None:
    generator = torch.Generator().manual_seed(4)
    svd = LowRankSVD(*(torch.randn(2, 3, *size, generator=generator) for size in ((30, 4), (4,), (4, 20))))
    whole = sketched_arrays(["a", "b"], svd, size=8)
    assert whole["sketch_U"].shape == (2, 3, 4, 8) and whole["sketch_V"].dtype == np.float32
    alone = sketched_arrays(["b"], LowRankSVD(*(t[1:, 2:] for t in svd)), size=8)
    for name, value in alone.items():
        np.testing.assert_allclose(value, whole[name][1:, 2:], atol=1e-5)
    again = sketched_arrays(["a", "b"], svd, size=8)
    assert all((again[name] == whole[name]).all() for name in whole)
    other = sketched_arrays(["a", "b"], svd, size=8, seed=1)
    assert all(abs(other[name] - whole[name]).max() > 0.1 for name in whole)


def test_random_matrices_are_standard_normal_and_differ() -> None:
    G = random_matrix("h.0.q", "U", 64, 500, 0) * 64**0.5
    assert abs(float(G.mean())) < 0.03 and float(G.var()) == pytest.approx(1, abs=0.03)
    assert float((G**4).mean()) == pytest.approx(3, abs=0.2)
    others = [random_matrix(*args) for args in (("h.1.q", "U", 64, 500, 0), ("h.0.q", "V", 64, 500, 0))]
    assert all(abs(float((G * other).mean()) * 8) < 0.03 for other in others)


def test_a_store_has_the_sketches_of_its_factors(adapter, tmp_path) -> None:
    spec = {f"h.{layer}.q": (30, 20, 4) for layer in range(2)}
    zoo = [adapter(f"a{i}", spec, seed=i) for i in range(3)]
    ingest(Zoo(tuple(zoo)), tmp_path / "zoo.zarr")
    store = FactorStore.open(tmp_path / "zoo.zarr")
    stored = store.sketches()
    assert stored is not None and stored.size == STORED
    asked = (tuple(spec), (2, 0), 6)
    found, expected = stored.read(*asked), Sketches(store, STORED).read(*asked)
    assert found.svd.U.shape == (2, 2, STORED, 6)
    for one, other in zip(found.svd, expected.svd, strict=True):
        torch.testing.assert_close(one, other)
    ingest(Zoo(tuple(zoo)), tmp_path / "none.zarr", sketch=0)
    assert FactorStore.open(tmp_path / "none.zarr").sketches() is None
