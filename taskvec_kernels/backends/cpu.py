"""The backend "cpu": the operators' flat signatures on the compiled core, which fills outputs given or made here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .. import _C
from ..dispatch.arguments import DTYPES, result_dtype
from ..dispatch.outputs import batch_stride
from ..dispatch.values import check_weights
from ..solver import Solver
from ..types import Adapters, LowRankSVD

NAMES = {dtype: str(dtype).removeprefix("torch.") for dtype in DTYPES}


def lowrank_svd(
    b: Tensor, a: Tensor, scale: Tensor, out: Sequence[Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    batch, (m, r), n = b.shape[:-2], b.shape[-2:], a.shape[-1]
    k, dtype = min(r, m, n), result_dtype(b, a)
    b3, a3 = b.reshape(-1, m, r), a.reshape(-1, r, n)
    scales = scale.reshape(-1).contiguous()
    Ut, S, Vh = out or (torch.empty(*batch, *size, dtype=dtype) for size in ((k, m), (k,), (k, n)))
    _C.lowrank_svd(
        len(b3), r, operand(b3, -1, -2), operand(a3), scales.data_ptr(), svd_outputs(Ut, S, Vh),
        torch.get_num_threads(),
    )  # fmt: skip
    return Ut, S, Vh


def svd_outputs(Ut: Tensor, S: Tensor, Vh: Tensor) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """How the core is told of these outputs: addresses, and strides from matrix to matrix."""
    return (
        (Ut.data_ptr(), batch_stride(Ut, 2)),
        (S.data_ptr(), batch_stride(S, 1)),
        (Vh.data_ptr(), batch_stride(Vh, 2)),
    )


def operand(t: Tensor, direction: int = -2, position: int = -1) -> tuple[str, int, int, tuple[int, int, int]]:
    """How the core is told of a batch of factors of any strides, by the dimensions of directions and positions."""
    strides = t.stride()
    batch = strides[0] if len(strides) == 3 else 0
    return NAMES[t.dtype], t.data_ptr(), t.shape[position], (batch, strides[direction], strides[position])


def one_batch(t: Tensor) -> Tensor:
    """Leading dimensions as one; a copy only where no stride can name them."""
    return t if t.dim() <= 3 else t.flatten(0, -3)


def project(
    U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: Tensor, clip: bool, out: Sequence[Tensor] | None = None
) -> Tensor:
    *batch, _, k = U.shape
    dtype = result_dtype(U, Vh, b, a)
    d = torch.empty(*batch, k, dtype=dtype) if out is None else out[0]
    if len(batch) > 1:
        U, Vh, b, a = one_batch(U), one_batch(Vh), one_batch(b), one_batch(a)
    scale = scale.contiguous()
    _C.project(
        dtype == torch.float64, scale.numel(), k, b.shape[-1],
        operand(U, -1, -2), operand(Vh), operand(b, -1, -2), operand(a),
        scale.data_ptr(), clip, d.data_ptr(), torch.get_num_threads(),
    )  # fmt: skip
    return d


def project_dense(U: Tensor, Vh: Tensor, tau: Tensor, clip: bool, out: Sequence[Tensor] | None = None) -> Tensor:
    batch, k, dtype = U.shape[:-2], U.shape[-1], result_dtype(U, Vh, tau)
    d = torch.empty(*batch, k, dtype=dtype) if out is None else out[0]
    U, Vh, tau = one_batch(U), one_batch(Vh), one_batch(tau)
    _C.project_dense(
        dtype == torch.float64, batch.numel(), k, operand(U, -1, -2), operand(Vh), operand(tau),
        clip, d.data_ptr(), torch.get_num_threads(),
    )  # fmt: skip
    return d


def compare_spectra(
    s1: Tensor, s2: Tensor, metrics: Sequence[str], p: float | None, out: Sequence[Tensor] | None = None
) -> list[Tensor]:
    batch, k, dtype = s1.shape[:-1], s1.shape[-1], result_dtype(s1, s2)
    s1, s2 = s1.to(dtype).contiguous(), s2.to(dtype).contiguous()
    values = [torch.empty(batch, dtype=dtype) for _ in metrics] if out is None else list(out)
    pointers = {name: t.data_ptr() for name, t in zip(metrics, values, strict=True)}
    count = s1.numel() // k
    _C.compare_spectra(
        dtype == torch.float64, count, k, s1.data_ptr(), s2.data_ptr(), p or 1.0, pointers, torch.get_num_threads()
    )
    return values


def sparsify(
    d: Tensor,
    tau_norm: Tensor,
    lam: Tensor,
    seed: Tensor | None,
    solver: Solver,
    info: bool,
    slack: float | None,
    out: Sequence[Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    d, tau_norm, k = d.contiguous(), tau_norm.contiguous(), d.shape[-1]
    seed = None if seed is None else seed.contiguous()
    settings = as_tuple(solver)
    found = lam.shape if info else (0,)
    S, objective, steps, converged = out or (
        torch.empty(*lam.shape, k, dtype=d.dtype),
        torch.empty(found, dtype=d.dtype),
        torch.zeros(found, dtype=torch.int64),
        torch.zeros(found, dtype=torch.bool),
    )
    for i, weight in enumerate(lam):  # [...]
        weight = weight.contiguous()
        outputs = [t[i].data_ptr() for t in (objective, steps, converged)] if info else [0, 0, 0]
        valid = _C.sparsify(
            d.dtype == torch.float64, weight.numel(), k, settings, d.data_ptr(), tau_norm.data_ptr(), weight.data_ptr(),
            0 if seed is None else seed.data_ptr(), S[i].data_ptr(), outputs[0], outputs[1], outputs[2],
            slack, torch.get_num_threads(),
        )  # fmt: skip
        if not valid and slack is not None:
            check_weights(d, tau_norm, lam, slack)
    return S, objective, steps, converged


def as_tuple(solver: Solver) -> tuple[str, str, str, str, bool, bool, int, float, float, float, float, float]:
    """The solver without λ and seed, as the core takes it."""
    return (
        solver.method, solver.norm, solver.positive, solver.start, solver.units == "tau", solver.schedule == "linear",
        solver.steps, solver.lr, solver.tol, *solver.betas, solver.eps,
    )  # fmt: skip


def pairwise(
    x: Adapters,
    y: Adapters | None,
    metrics: Sequence[str],
    spectra: bool,
    precision: str,
    p: float | None,
    solver: Solver,
    out: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    batch, dtype, lams = x.S.shape[:-2], result_dtype(x.U), solver.lams
    m, n = x.U.shape[-2], x.Vh.shape[-1]
    left = stored_by_direction(x, dtype)
    right = left if y is None else stored_by_direction(y, dtype)

    given = None if out is None else iter(out)

    def outputs(source: Adapters, target: Adapters) -> dict[str, Tensor]:
        shape, k = (*batch, source.S.shape[-2], target.S.shape[-2]), source.S.shape[-1]
        sizes = {name: (len(lams), *shape) for name in metrics}
        if spectra:
            sizes |= {"spectra": (len(lams), *shape, k), "d": (*shape, k)}
        return {name: next(given) if given else torch.empty(*size, dtype=dtype) for name, size in sizes.items()}

    forward = outputs(left, right)
    backward = {} if y is None else outputs(right, left)
    _C.pairwise(
        (NAMES[x.U.dtype], batch.numel(), m, n), addresses(left), None if y is None else addresses(right),
        precision, p or 1.0, lams, as_tuple(solver),
        {name: t.data_ptr() for name, t in forward.items()},
        {name: t.data_ptr() for name, t in backward.items()},
        torch.get_num_threads(),
    )  # fmt: skip
    return [*forward.values(), *backward.values()]


def route(x: LowRankSVD, y: LowRankSVD | None, precision: str) -> tuple[str, str]:
    """How ``pairwise`` multiplies left and right directions: "dots", "panels", "fixed", "3 slices" or "2 slices"."""
    *batch, _, m, _ = x.U.shape
    shape = str(x.U.dtype).removeprefix("torch."), math.prod(batch), m, x.Vh.shape[-1]
    left = x.S.shape[-2], x.S.shape[-1]
    right = None if y is None else (y.S.shape[-2], y.S.shape[-1])
    return _C.pairwise_route(shape, left, right, precision)


def stored_by_direction(x: Adapters, dtype: torch.dtype) -> Adapters:
    """(Uᵀ (..., N, k, m), S, Vh, …), contiguous: no copy for what ``lowrank_svd`` made."""
    norm, seed = (None if t is None else t.contiguous() for t in (x.norm, x.seed))
    return Adapters(x.U.mT.contiguous(), x.S.to(dtype).contiguous(), x.Vh.contiguous(), norm, seed)


def addresses(x: Adapters) -> tuple[int, int, int, int, int, int, int]:
    """Adapters as the core takes them: count, k, and where U, S, Vh, norms and seeds lie."""
    norm, seed = (0 if t is None else t.data_ptr() for t in (x.norm, x.seed))
    return *x.S.shape[-2:], x.U.data_ptr(), x.S.data_ptr(), x.Vh.data_ptr(), norm, seed
