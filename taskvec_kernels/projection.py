"""``project`` and ``project_dense``: the target on the source's singular directions."""

from __future__ import annotations

import torch

from .arguments import Array, batch_shape, check_factors, expanded, expect, give_back, scale_tensor, shape, to_tensors


def project(
    U: Array,
    Vh: Array,
    b: Array,
    a: Array,
    scale: float | Array = 1.0,
    *,
    clip: bool = True,
    backend: str | None = None,
) -> Array:
    """S₂ = max(0, d), d = diag(Uᴴ · scale·b·a · V), for a batch of pairs of raw factors (docs/METHOD.md §2).

    Args:
        U: (..., m, k) directions of the source, as ``lowrank_svd`` gives them; any float dtype and strides.
        Vh: (..., k, n).
        b: (..., m, r) factor of the target.
        a: (..., r, n); leading dimensions of all four broadcast.
        scale: a number, or a tensor that broadcasts to the leading dimensions.
        clip: False gives d itself, signed.
        backend: forces one; None picks.

    Returns:
        (..., k), fp32, or fp64 if any input is fp64. Not differentiable.

    Raises:
        TypeError, ValueError: an argument of the wrong kind, dtype, device or shape; a backend that cannot run.

    Cost:
        2 k r (m + n) flop a pair; two (..., k, r) products besides inputs and output.
    """
    (U, Vh, b, a), numpy = to_tensors("project", U=U, Vh=Vh, b=b, a=a)
    check_directions("project", U, Vh)
    check_factors("project", b, a)
    expect(
        b.shape[-2] == U.shape[-2] and a.shape[-1] == Vh.shape[-1],
        lambda: (
            f"project: U and Vh are for a {U.shape[-2]} × {Vh.shape[-1]} matrix, b·a is {b.shape[-2]} × {a.shape[-1]}"
        ),
    )
    batch = batch_shape("project", U=U.shape[:-2], Vh=Vh.shape[:-2], b=b.shape[:-2], a=a.shape[:-2])
    U, Vh, b, a = (expanded(t, batch, 2) for t in (U, Vh, b, a))
    scales = scale_tensor("project", scale, batch, b)
    return give_back(torch.ops.taskvec.project(U, Vh, b, a, scales, clip, backend), numpy)


def project_dense(U: Array, Vh: Array, tau: Array, *, clip: bool = True, backend: str | None = None) -> Array:
    """S₂ = max(0, d), d = diag(Uᴴ τ V), for a dense τ, which is read once (docs/METHOD.md §2).

    Args:
        U: (..., m, k) directions of the source; any float dtype and strides.
        Vh: (..., k, n).
        tau: (..., m, n); leading dimensions of all three broadcast.
        clip: False gives d itself, signed.
        backend: forces one; None picks.

    Returns:
        (..., k), fp32, or fp64 if any input is fp64. Not differentiable.

    Raises:
        TypeError, ValueError: an argument of the wrong kind, dtype, device or shape; a backend that cannot run.

    Cost:
        2 k m n flop a matrix; besides inputs and output a few MiB of working rows.
    """
    (U, Vh, tau), numpy = to_tensors("project_dense", U=U, Vh=Vh, tau=tau)
    check_directions("project_dense", U, Vh)
    expect(tau.dim() >= 2, lambda: f"project_dense: tau (..., m, n) needs 2 dimensions, got {shape(tau)}")
    expect(
        tuple(tau.shape[-2:]) == (U.shape[-2], Vh.shape[-1]),
        lambda: f"project_dense: U and Vh are for a {U.shape[-2]} × {Vh.shape[-1]} matrix, tau is {shape(tau)}",
    )
    batch = batch_shape("project_dense", U=U.shape[:-2], Vh=Vh.shape[:-2], tau=tau.shape[:-2])
    U, Vh, tau = (expanded(t, batch, 2) for t in (U, Vh, tau))
    return give_back(torch.ops.taskvec.project_dense(U, Vh, tau, clip, backend), numpy)


def check_directions(function: str, U: torch.Tensor, Vh: torch.Tensor) -> None:
    expect(
        U.dim() >= 2 and Vh.dim() >= 2,
        lambda: f"{function}: U (..., m, k) and Vh (..., k, n) need 2 dimensions, got {shape(U)} and {shape(Vh)}",
    )
    expect(
        U.shape[-1] == Vh.shape[-2],
        lambda: f"{function}: U (..., m, k) and Vh (..., k, n) disagree on k, got {shape(U)} and {shape(Vh)}",
    )
