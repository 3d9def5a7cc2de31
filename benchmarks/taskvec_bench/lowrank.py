"""``lowrank_svd``: factors to U, S, Vh, beside dense and low-rank decompositions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

import taskvec_kernels as tk

from .case import Case, DisagreementError, Provider
from .shapes import Model, factors, scale

DENSE = 5_000_000  # elements of a matrix of which a dense SVD is still timed
LOOP = 16  # as many matrices are given to a Python loop
FACTORED, SKETCHED = 5e-6, 1e-4  # ‖τ − U S Vᴴ‖ / ‖τ‖ that is allowed to fp32 QR and SVD, and to iterations

Factors = tuple[Tensor, Tensor, float]
Result = tuple[Tensor, Tensor, Tensor]


def lowrank_case(model: Model, count: int, r: int, **also: Any) -> Case:
    """``count`` matrices of one shape in one call; see ``Case`` for ``also``."""
    m, n = model.m, model.n
    one, few = 1 / count, min(count, LOOP)
    providers = {
        "ours/cpu": Provider(lambda x: tk.lowrank_svd(*x, backend="cpu"), agrees=within(1e-6), truth=identity),
        "torch/qr": Provider(lambda x: qr_svd(*x)),
        "torch/qr loop": Provider(lambda x: looped(qr_svd, x, few), part=few / count),
        "scipy/qr": Provider(lambda x: looped(scipy_qr, x, few), part=few / count, needs=("scipy",)),
        "scipy/svds": Provider(
            lambda x: looped(scipy_svds, x, 1), part=one, agrees=within(SKETCHED), truth=identity, needs=("scipy",)
        ),
    }
    if m * n <= DENSE:
        providers["torch/svd"] = Provider(lambda x: looped(dense_svd, x, 1), part=one)
        sketched = Provider(lambda x: looped(svd_lowrank, x, 1), part=one, agrees=within(SKETCHED), truth=identity)
        providers["torch/svd_lowrank"] = sketched
    return Case(
        function="lowrank_svd",
        shape={"model": model.name, "N": count, "m": m, "n": n, "r": r},
        # Gram matrix (half of it) and rotation of both factors; Jacobi on the core
        flop=count * (3 * r * r * (m + n) + 26 * r**3),
        bytes=4 * count * (2 * r * (m + n) + r),
        inputs=lambda: (*factors((count,), m, n, r), scale(m, n)),
        truth=identity,
        agrees=within(FACTORED),
        providers=providers,
        precision="float64",  # whatever the input's precision: τ's small singular values need it
        **also,
    )


def identity(inputs: Factors) -> Factors:
    return inputs


def within(tolerance: float) -> Any:
    """Compares the first and the last matrix of a result with b·a, all in fp64, without forming either."""

    def agrees(result: Result, inputs: Factors) -> None:
        (U, S, Vh), (b, a, factor) = result, inputs
        for at, theirs in ((0, 0), (len(S) - 1, min(len(S), len(b)) - 1)):
            k = S.shape[-1]
            left = torch.cat([U[at].double() * S[at].double(), -factor * b[theirs].double()], -1)  # [m, k + r]
            right = torch.cat([Vh[at].double(), a[theirs].double()])  # [k + r, n]
            _, rest_left = torch.linalg.qr(left)
            _, rest_right = torch.linalg.qr(right.mT)
            error = float((rest_left @ rest_right.mT).norm() / S[at].double().norm())
            orthogonal = float((U[at].double().mT @ U[at].double() - torch.eye(k)).abs().max())
            if not error <= tolerance:
                raise DisagreementError(
                    f"‖U S Vᴴ − τ‖ is {error:.2g} ‖τ‖ at matrix {at}, at most {tolerance:.0e} is allowed"
                )
            if not orthogonal <= 10 * tolerance:
                raise DisagreementError(f"UᴴU is off by {orthogonal:.2g} at matrix {at}")

    return agrees


def qr_svd(b: Tensor, a: Tensor, factor: float) -> Result:
    qb, rb = torch.linalg.qr(b)
    qa, ra = torch.linalg.qr(a.mT)
    u, s, vh = torch.linalg.svd(factor * (rb @ ra.mT))
    return qb @ u, s, vh @ qa.mT


def looped(one: Any, inputs: Factors, count: int) -> Result:
    b, a, factor = inputs
    parts = [one(b[i], a[i], factor) for i in range(count)]
    return tuple(torch.stack([torch.as_tensor(part[k]) for part in parts]) for k in range(3))  # type: ignore[return-value]


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
    from scipy.sparse.linalg import LinearOperator, svds

    left, right = b.numpy(), factor * a.numpy()
    operator = LinearOperator(
        (len(left), right.shape[1]), matvec=lambda x: left @ (right @ x), rmatvec=lambda x: right.T @ (left.T @ x),
        matmat=lambda x: left @ (right @ x), rmatmat=lambda x: right.T @ (left.T @ x), dtype=left.dtype,
    )  # fmt: skip
    u, s, vh = svds(operator, k=left.shape[1], random_state=0)
    order = s.argsort()[::-1]
    return u[:, order].copy(), s[order].copy(), vh[order].copy()
