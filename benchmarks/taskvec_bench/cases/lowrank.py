"""``lowrank_svd``: factors to U, S, Vh, beside dense and low-rank decompositions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

import taskvec_kernels as tk

from .case import Case, Provider, backend
from .inputs import Model, factors, scale

DENSE = 5_000_000  # elements of a matrix of which a dense SVD is still timed
LOOP = 16  # as many matrices are given to a Python loop
# ‖τ − U S Vᴴ‖ / ‖τ‖ allowed to ours, fp32 QR and SVD, the same on a GPU, and iterations
OURS, FACTORED, FACTORED_ON_GPU, SKETCHED = 1e-6, 5e-6, 2e-5, 1e-4

Factors = tuple[Tensor, Tensor, float]
Result = tuple[Tensor, Tensor, Tensor]
Kept = tuple[Factors, tuple[Tensor, ...]]  # with the memory that every call writes to


def lowrank_case(
    model: Model,
    count: int,
    r: int,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    few: int = 0,
    **also: Any,
) -> Case:
    """``count`` matrices of one shape in one call; on a GPU torch gets ``few`` of them. See ``Case`` for ``also``."""
    m, n, ours = model.m, model.n, backend("lowrank_svd", device)
    providers = {
        f"ours/{ours}": Provider(lambda x: tk.lowrank_svd(*x, backend=ours), truth=identity, agrees=within(OURS))
    }
    if device == "cpu":
        loop = min(count, LOOP)
        sketched: dict[str, Any] = {"part": 1 / count, "truth": identity, "agrees": within(SKETCHED)}
        providers |= {
            "ours/cpu reused": Provider(
                lambda x: tk.lowrank_svd(*x[0], backend=ours, out=tk.LowRankSVD(*x[1])),
                prepare=with_results,
                truth=identity,
                agrees=within(OURS),
            ),
            "torch/qr": Provider(lambda x: qr_svd(*x)),
            "torch/qr reused": Provider(lambda x: qr_svd_reused(*x), prepare=with_everything),
            "torch/qr loop": Provider(lambda x: looped(qr_svd, x, loop), part=loop / count),
            "scipy/qr": Provider(lambda x: looped(scipy_qr, x, loop), part=loop / count, needs="scipy"),
            "scipy/svds": Provider(lambda x: looped(scipy_svds, x, 1), needs="scipy", **sketched),
        }
        if m * n <= DENSE:
            providers["torch/svd"] = Provider(lambda x: looped(dense_svd, x, 1), part=1 / count)
            providers["torch/svd_lowrank"] = Provider(lambda x: looped(svd_lowrank, x, 1), **sketched)
    elif few:
        first = lambda x: (x[0][:few].float(), x[1][:few].float(), x[2])  # noqa: E731
        providers["torch/qr"] = Provider(
            lambda x: qr_svd(*x), prepare=first, part=few / count, truth=identity, agrees=within(FACTORED_ON_GPU)
        )
    return Case(
        function="lowrank_svd",
        variant="" if dtype == torch.float32 else str(dtype).removeprefix("torch."),
        shape=model.shape(r, N=count),
        # Gram matrix (half of it) and rotation of both factors; Jacobi on the core
        flop=count * (3 * r * r * (m + n) + 26 * r**3),
        bytes=count * ((dtype.itemsize + 4) * r * (m + n) + 4 * r),
        inputs=lambda: (*factors((count,), m, n, r, device, dtype), scale(m, n)),
        truth=identity,
        agrees=within(FACTORED),
        providers=providers,
        precision="float64",  # whatever the input's precision: τ's small singular values need it
        device=device,
        **also,
    )


def identity(inputs: Factors) -> Factors:
    return inputs


def within(tolerance: float) -> Callable[[Result, Factors], None]:
    """Compares the first and the last matrix of a result with b·a, all in fp64, without forming either."""

    def agrees(result: Result, inputs: Factors) -> None:
        S, (b, a, factor) = result[1], inputs
        for at, theirs in ((0, 0), (len(S) - 1, min(len(S), len(b)) - 1)):
            U, s, Vh = (t[at].double().cpu() for t in result)
            left = torch.cat([U * s, -factor * b[theirs].double().cpu()], -1)  # [m, k + r]
            right = torch.cat([Vh, a[theirs].double().cpu()])  # [k + r, n]
            error = float((torch.linalg.qr(left).R @ torch.linalg.qr(right.mT).R.mT).norm() / s.norm())
            orthogonal = float((U.mT @ U - torch.eye(len(s))).abs().max())
            assert error <= tolerance, f"‖U S Vᴴ − τ‖ is {error:.2g} ‖τ‖ at matrix {at}, allowed is {tolerance:.0e}"
            assert orthogonal <= 10 * tolerance, f"UᴴU is off by {orthogonal:.2g} at matrix {at}"

    return agrees


def qr_svd(b: Tensor, a: Tensor, factor: float) -> Result:
    qb, rb = torch.linalg.qr(b)
    qa, ra = torch.linalg.qr(a.mT)
    u, s, vh = torch.linalg.svd(factor * (rb @ ra.mT))
    return qb @ u, s, vh @ qa.mT


def with_results(inputs: Factors) -> Kept:
    """Memory for U, S and Vh, laid out as ``lowrank_svd`` makes them."""
    b, a, _ = inputs
    N, m, r = b.shape
    return inputs, (torch.zeros(N, r, m).mT, torch.zeros(N, r), torch.zeros(N, r, a.shape[-1]))


def with_everything(inputs: Factors) -> Kept:
    """Memory for every step of ``qr_svd``: both QRs, the core and its SVD, U, S and Vh."""
    b, a, _ = inputs
    N, m, r = b.shape
    n = a.shape[-1]
    left, right = torch.zeros(N, r, m).mT, torch.zeros(N, r, n).mT  # by column, as LAPACK writes
    squares = [torch.zeros(N, r, r) for _ in range(5)]
    return inputs, (left, right, *squares, torch.zeros(N, m, r), torch.zeros(N, r), torch.zeros(N, r, n))


def qr_svd_reused(inputs: Factors, kept: tuple[Tensor, ...]) -> Result:
    """``qr_svd`` with torch's own ``out=`` at every step."""
    (b, a, factor), (qb, qa, rb, ra, core, u, vh, U, S, Vh) = inputs, kept
    torch.linalg.qr(b, out=(qb, rb))
    torch.linalg.qr(a.mT, out=(qa, ra))
    torch.matmul(rb, ra.mT, out=core).mul_(factor)
    torch.linalg.svd(core, out=(u, S, vh))
    return torch.matmul(qb, u, out=U), S, torch.matmul(vh, qa.mT, out=Vh)


def looped(one: Callable[[Tensor, Tensor, float], Any], inputs: Factors, count: int) -> Result:
    b, a, factor = inputs
    parts = [one(b[i], a[i], factor) for i in range(count)]
    U, S, Vh = (torch.stack([torch.as_tensor(part[k]) for part in parts]) for k in range(3))
    return U, S, Vh


def dense_svd(b: Tensor, a: Tensor, factor: float) -> Result:
    u, s, vh = torch.linalg.svd(factor * (b @ a), full_matrices=False)
    r = b.shape[-1]
    return u[:, :r], s[:r], vh[:r]


def svd_lowrank(b: Tensor, a: Tensor, factor: float) -> Result:
    u, s, v = torch.svd_lowrank(factor * (b @ a), q=b.shape[-1])
    return u, s, v.mT


def scipy_qr(b: Tensor, a: Tensor, factor: float) -> tuple[np.ndarray[Any, Any], ...]:
    from scipy import linalg

    qb, rb = linalg.qr(b.numpy(), mode="economic")
    qa, ra = linalg.qr(a.numpy().T, mode="economic")
    u, s, vh = linalg.svd(factor * (rb @ ra.T))
    return qb @ u, s, vh @ qa.T


def scipy_svds(b: Tensor, a: Tensor, factor: float) -> tuple[np.ndarray[Any, Any], ...]:
    """ARPACK or PROPACK on products with the factors: the matrix is never formed."""
    from scipy.sparse.linalg import aslinearoperator, svds

    u, s, vh = svds(aslinearoperator(b.numpy()) @ aslinearoperator(factor * a.numpy()), k=b.shape[1], random_state=0)
    order = s.argsort()[::-1]
    return u[:, order].copy(), s[order].copy(), vh[order].copy()
