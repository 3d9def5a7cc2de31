"""``sparsify``: the sparse projection of many pairs, all steps of a pair in one kernel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...dispatch.values import check_weights
from ...solver import Solver
from .launch import ceil_div, next_power_of_2
from .solve import adam, exact

BYTES = 2048  # of d a program: the solvers work in fp64, or in four arrays


@triton.jit(do_not_specialize=["count", "k", "steps"])
def sparsify_rows(
    d_rows,  # [count, k]
    tau_norm,  # [count]
    lam,  # [count], fp64
    seed,  # [count], int64
    s_out,
    objective,
    steps_out,
    converged_out,
    count,
    k,
    steps,
    METHOD: tl.constexpr,
    SQUARED: tl.constexpr,
    POSITIVE: tl.constexpr,
    START: tl.constexpr,
    RELATIVE: tl.constexpr,
    DECAY: tl.constexpr,
    LR: tl.constexpr,
    TOL: tl.constexpr,
    BETA1: tl.constexpr,
    BETA2: tl.constexpr,
    EPS: tl.constexpr,
    INFO: tl.constexpr,
    ROWS: tl.constexpr,
    K: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, K)
    inside = row < count
    at = row[:, None] * k + c[None, :]
    live = inside[:, None] & (c[None, :] < k)
    d = tl.load(d_rows + at, mask=live, other=0.0)
    norm = tl.load(tau_norm + row, mask=inside, other=1.0)
    weight = tl.load(lam + row, mask=inside, other=0.0)
    if METHOD == "exact":
        s, loss, taken = exact(d, norm, weight, SQUARED)
        converged = tl.full((ROWS,), 1, tl.int32)
    else:
        start = tl.zeros((ROWS,), tl.uint64)
        if START == "normal":
            start = tl.load(seed + row, mask=inside, other=0).to(tl.uint64)
        s, loss, taken, converged = adam(
            d,
            norm,
            weight,
            start,
            live,
            steps,
            SQUARED,
            POSITIVE,
            START,
            RELATIVE,
            DECAY,
            LR,
            TOL,
            BETA1,
            BETA2,
            EPS,
            K,
        )
    tl.store(s_out + at, s, mask=live)
    if INFO:
        tl.store(objective + row, loss.to(d.dtype), mask=inside)
        tl.store(steps_out + row, taken, mask=inside)
        tl.store(converged_out + row, converged.to(tl.int8), mask=inside)


def constants(solver: Solver) -> dict[str, object]:
    """The solver as a kernel's constants."""
    return {
        "METHOD": solver.method,
        "SQUARED": solver.norm == "squared",
        "POSITIVE": solver.positive,
        "START": solver.start,
        "RELATIVE": solver.units == "tau",
        "DECAY": solver.schedule == "linear",
        "LR": solver.lr,
        "TOL": solver.tol,
        "BETA1": solver.betas[0],
        "BETA2": solver.betas[1],
        "EPS": solver.eps,
    }


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
    if slack is not None:
        check_weights(d, tau_norm, lam, slack)
    d, tau_norm, k = d.contiguous(), tau_norm.contiguous(), d.shape[-1]
    seed = None if seed is None else seed.contiguous()
    found = lam.shape if info else (0,)
    S, objective, steps, converged = out or (
        torch.empty((*lam.shape, k), dtype=d.dtype, device=d.device),
        torch.empty(found, dtype=d.dtype, device=d.device),
        torch.zeros(found, dtype=torch.int64, device=d.device),
        torch.zeros(found, dtype=torch.bool, device=d.device),
    )
    K = next_power_of_2(k)
    rows = max(1, BYTES // (d.element_size() * K))
    count = tau_norm.numel()
    for i, weight in enumerate(lam if count else ()):
        known = [t[i] if info else t for t in (objective, steps, converged.view(torch.int8))]
        sparsify_rows[(ceil_div(count, rows),)](
            d, tau_norm, weight.contiguous(), d if seed is None else seed, S[i], *known, count, k, solver.steps,
            **constants(solver), INFO=info, ROWS=rows, K=K, num_warps=4, maxnreg=255,
        )  # fmt: skip
    return S, objective, steps, converged
