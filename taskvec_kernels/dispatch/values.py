"""Checks that read values, which a GPU would have to be waited for: backends make them where they are wanted."""

from __future__ import annotations

import torch
from torch import Tensor


def slack(*dtypes: torch.dtype) -> float:
    """How far ‖d‖² may lie above ‖τ₂‖², relative: what rounding of inputs of these dtypes, or of fp32, explains."""
    return max(4e-6, *(2 * torch.finfo(dtype).eps for dtype in dtypes))


def check_weights(d: Tensor, tau_norm: Tensor, lam: Tensor, slack: float) -> None:
    """ValueError for a λ that is no weight, and for ‖τ₂‖ < ‖d‖ beyond rounding."""
    wrong = ~((lam >= 0) & lam.isfinite())
    if wrong.any():
        raise ValueError(f"sparsify: λ must be a finite number ≥ 0, got {float(lam[wrong][0])}")
    if found := shortest(d, tau_norm, slack):
        where, norm, length = found
        raise ValueError(
            f"sparsify: tau_norm is below ‖d‖{' for the pair at ' + where if where else ''}: got {norm}, ‖d‖ is "
            f"{length}; pass ‖τ₂‖_F of the whole target"
        )


def check_norm(name: str, S: Tensor, norm: Tensor) -> None:
    """ValueError for an adapter of ``pairwise`` whose ‖τ‖ is below ‖S‖ beyond rounding."""
    if found := shortest(S, norm, slack(S.dtype)):
        where, given, length = found
        raise ValueError(
            f"pairwise: norm of {name} is below ‖S‖ for the adapter at {where}: got {given}, ‖S‖ is {length}; "
            "pass ‖τ‖_F of the whole update, not of its rest"
        )


def shortest(parts: Tensor, norm: Tensor, slack: float) -> tuple[str, str, str] | None:
    """Where the first ``norm`` (...) is below the length of ``parts`` (..., k), with both; None when nowhere."""
    length = torch.linalg.vector_norm(parts, dim=-1, dtype=torch.float64)
    below = (norm < 0) | (length.square() * (1 - slack) > norm.double().square())
    if not below.any():
        return None
    where = str([int(i) for i in below.nonzero()[0]]) if below.dim() else ""
    return where, f"{float(norm[below][0]):.9g}", f"{float(length[below][0]):.9g}"
