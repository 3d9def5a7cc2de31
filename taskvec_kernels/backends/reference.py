"""The backend "reference": the functions of ``reference`` behind the operators' flat signatures.

The oracle makes its results itself: into outputs that are given they are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from .. import reference
from ..dispatch.arguments import result_dtype
from ..dispatch.values import check_weights
from ..solver import Solver
from ..types import Adapters


def copied(run: Callable[..., Any]) -> Callable[..., Any]:
    """``run`` that can also be given its outputs."""

    @wraps(run)
    def into(*arguments: Any, out: Sequence[Tensor] | None = None) -> Any:
        values = run(*arguments)
        if out is not None:
            for target, value in zip(out, (values,) if isinstance(values, Tensor) else values, strict=True):
                target.copy_(value)
        return values

    return into


@copied
def lowrank_svd(b: Tensor, a: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    U, S, Vh = reference.lowrank_svd(b, a, scale)
    dtype = result_dtype(b, a)
    return U.mT.to(dtype, memory_format=torch.contiguous_format).contiguous(), S.to(dtype), Vh.to(dtype).contiguous()


@copied
def project(U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: Tensor, clip: bool) -> Tensor:
    return reference.project(U, Vh, b, a, scale, clip=clip).to(result_dtype(U, Vh, b, a)).contiguous()


@copied
def project_dense(U: Tensor, Vh: Tensor, tau: Tensor, clip: bool) -> Tensor:
    return reference.project_dense(U, Vh, tau, clip=clip).to(result_dtype(U, Vh, tau)).contiguous()


@copied
def compare_spectra(s1: Tensor, s2: Tensor, metrics: Sequence[str], p: float | None) -> list[Tensor]:
    values = reference.compare_spectra(s1, s2, metrics=metrics, p=p)
    return [value.to(result_dtype(s1, s2)).contiguous() for value in values.values()]


@copied
def sparsify(
    d: Tensor, tau_norm: Tensor, lam: Tensor, seed: Tensor | None, solver: Solver, info: bool, slack: float | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if slack is not None:
        check_weights(d, tau_norm, lam, slack)
    parts = zip(*(reference.solve(d, tau_norm, weight, solver, seed) for weight in lam), strict=True)
    S, objective, steps, converged = (torch.stack(part) for part in parts)
    if not info:
        objective, steps, converged = (t.new_empty(0) for t in (objective, steps, converged))
    return S.to(d.dtype), objective.to(d.dtype), steps, converged


@copied
def pairwise(
    x: Adapters,
    y: Adapters | None,
    metrics: Sequence[str],
    spectra: bool,
    precision: str,
    p: float | None,
    solver: Solver,
) -> list[Tensor]:
    del precision  # always fp64
    forward = reference.one_way(x, x if y is None else y, metrics, spectra, p, solver)
    backward = {} if y is None else reference.one_way(y, x, metrics, spectra, p, solver)
    values = [*forward.values(), *backward.values()]
    return [value.to(result_dtype(x.U)).contiguous() for value in values]
