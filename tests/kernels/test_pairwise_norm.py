"""``pairwise`` told ‖τ‖: a truncated dense update is longer than its S."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, Solver, pairwise, reference

from .cases import ALL_PAIRWISE, DTYPES, by_direction, name_of, random, zoo
from .compare import assert_same_bits, skew

USE_NORM = ("cosine", "residual", "energy", "excess", "captured", "captured_out", "captured_in")


def truncated(adapters: int, m: int, n: int, k: int, seed: int = 0) -> tuple[LowRankSVD, Tensor]:
    """The k largest directions of dense τ (N, m, n), and ‖τ‖ (N)."""
    tau = random(adapters, m, n, seed=seed) + 3 * random(adapters, m, 1, seed=seed + 1) * random(n, seed=seed + 2)
    U, S, Vh = torch.linalg.svd(tau, full_matrices=False)
    cut = LowRankSVD(by_direction(U[..., :k]), S[..., :k].contiguous(), Vh[..., :k, :].contiguous())
    return cut, torch.linalg.matrix_norm(tau)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_truncated_update_is_as_long_as_it_was(backend: str) -> None:
    """An update on its own directions: what is outside of them is in the residual, and in nothing but the norm."""
    x, norm = truncated(4, 14, 12, 3)
    out = pairwise(x, metrics=ALL_PAIRWISE, p=3.0, norm=norm, backend=backend).forward
    own = torch.arange(4)
    kept = x.S.square().sum(-1) / norm.square()
    for name in ("energy", "captured", "captured_out", "captured_in"):
        torch.testing.assert_close(out[name][own, own], kept)
    torch.testing.assert_close(out["residual"][own, own].square(), 1 - kept)
    torch.testing.assert_close(out["cosine"][own, own], kept)
    torch.testing.assert_close(out["excess"][own, own], kept * 14 * 12 / 3)
    rebuilt = x.U @ torch.diag_embed(x.S) @ x.Vh
    inner = torch.einsum("imn,jmn->ij", rebuilt, rebuilt)
    torch.testing.assert_close(out["cosine"], inner / (norm[:, None] * norm))
    plain = pairwise(x, metrics=ALL_PAIRWISE, p=3.0, backend=backend).forward
    for name in set(ALL_PAIRWISE) - set(USE_NORM):
        assert_same_bits(out[name], plain[name])


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("solver", [Solver([0.0, 0.1, 0.5]), Solver(0.2, norm="squared"), Solver(0.2, "adam", steps=9)])
def test_against_the_oracle(solver: Solver, dtype: torch.dtype) -> None:
    (x, x_norm), (y, y_norm) = truncated(7, 14, 12, 3), truncated(5, 14, 12, 2, seed=9)
    x, y = (LowRankSVD(*(t.to(dtype) for t in side)) for side in (x, y))
    options = {"metrics": ALL_PAIRWISE, "spectra": True, "p": 2.0, "solver": solver}
    got = pairwise(x, y, norm=(x_norm, y_norm), **options)  # type: ignore[arg-type]
    want = reference.pairwise(x, y, norm=(x_norm, y_norm), **options)  # type: ignore[arg-type]
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 2e-4, "atol": 2e-4}
    for one, other, target in zip(got, want, (y, x), strict=True):
        assert one is not None and other is not None
        # one side of a target whose other side is not orthonormal
        skews = {"captured_out": skew(target.Vh, target.S), "captured_in": skew(target.U.mT, target.S)}
        for name in other:
            slack = float(skews[name].max()) if name in skews else 0.0
            atol = tolerance["atol"] + slack
            torch.testing.assert_close(
                one[name].double(), other[name], rtol=tolerance["rtol"], atol=atol, equal_nan=True
            )


def test_the_length_of_s_itself_changes_nothing() -> None:
    x = zoo(6, 19, 21, 4)
    for lam in (0.0, [0.0, 0.3]):
        told = pairwise(x, metrics=ALL_PAIRWISE, p=3.0, lam=lam, norm=x.S.double().norm(dim=-1)).forward
        plain = pairwise(x, metrics=ALL_PAIRWISE, p=3.0, lam=lam).forward
        for name, value in plain.items():
            torch.testing.assert_close(told[name], value, rtol=1e-5, atol=2e-5, equal_nan=True)


def test_kinds_and_shapes() -> None:
    x, y = zoo(4, 9, 8, 3, batch=(2,)), zoo(3, 9, 8, 2, batch=(2,), seed=10)
    norms = 2 * x.S.norm(dim=-1), 3 * y.S.norm(dim=-1)
    names = ["energy", "cosine"]
    want = pairwise(x, y, norm=norms, metrics=names)
    assert_same_bits(pairwise(x, y, norm=tuple(t.double() for t in norms), metrics=names), want)  # type: ignore[arg-type]
    arrays = (LowRankSVD(*(t.numpy() for t in side)) for side in (x, y))
    got = pairwise(*arrays, norm=tuple(t.numpy() for t in norms), metrics=names).forward  # type: ignore[arg-type]
    assert_same_bits({name: torch.from_numpy(t) for name, t in got.items()}, want.forward)
    same = 2 * norms[0][0].maximum(norms[0][1])  # of both modules
    assert_same_bits(pairwise(x, norm=same, metrics=names), pairwise(x, norm=same.expand(2, 4), metrics=names))
    strided = norms[0].repeat_interleave(2, -1)[..., ::2]
    assert_same_bits(pairwise(x, norm=strided, metrics=names), pairwise(x, norm=norms[0], metrics=names))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_errors(backend: str) -> None:
    x = zoo(4, 9, 8, 3)
    norm = 2 * x.S.norm(dim=-1)
    short = norm.clone()
    short[2] = 0.1
    wrong = {
        r"norm of x is below ‖S‖ for the adapter at \[2\]: got 0.1\d*, ‖S‖ is .*whole update": lambda: {"norm": short},
        r"norm has shape \[3\], expected \[4\]": lambda: {"norm": norm[:3]},
        "norm must be one tensor for x and one for y, got 1": lambda: {"y": x, "norm": norm},
        "norm must be one tensor, for x, got 2": lambda: {"norm": (norm, norm)},
    }
    for message, given in wrong.items():
        with pytest.raises(ValueError, match=f"^pairwise: {message}"):
            pairwise(x, backend=backend, **given())
    with pytest.raises(TypeError, match=r"pairwise: .* mix NumPy arrays and torch tensors"):
        pairwise(x, norm=np.ones(4))
    pairwise(x, norm=x.S.norm(dim=-1) * (1 - 1e-6), backend=backend)
