"""``project`` and ``project_dense``: the target on the source's singular directions."""

from __future__ import annotations

from collections.abc import Sequence

from .dispatch.arguments import broadcast, check_factors, give_back, scale_tensor, shape, to_tensors
from .dispatch.operators import call, fill
from .dispatch.outputs import Given, memory
from .types import ArrayT


def project(
    U: ArrayT,
    Vh: ArrayT,
    b: ArrayT,
    a: ArrayT,
    scale: float | ArrayT = 1.0,
    *,
    clip: bool = True,
    backend: str | None = None,
    out: ArrayT | None = None,
) -> ArrayT:
    """S₂ = max(0, d), d = diag(Uᴴ · scale·b·a · V), for a batch of pairs of raw factors (docs/METHOD.md §2).

    Args:
        U: (..., m, k) directions of the source, as ``lowrank_svd`` gives them; any float dtype and strides.
        Vh: (..., k, n).
        b: (..., m, r) factor of the target.
        a: (..., r, n); leading dimensions of all four broadcast.
        scale: a number, or a tensor that broadcasts to the leading dimensions.
        clip: False gives d itself, signed.
        backend: forces one; None picks.
        out: (..., k) where d goes, contiguous, and what is returned; it shares no memory with an input.

    Returns:
        (..., k), fp32, or fp64 if any input is fp64.

    Gradients:
        To every tensor, in both modes, any order; at d = 0 the clipped S₂ has derivative 0, as ``torch.relu``.

    Raises:
        TypeError, ValueError: an argument of the wrong kind, dtype, device or shape; a backend that cannot run.
        RuntimeError: ``out`` where a derivative is asked for.

    Cost:
        2 k r (m + n) flop a pair; two (..., k, r) products besides inputs and output.
    """
    (u, vh, left, right), home = to_tensors("project", U=U, Vh=Vh, b=b, a=a)
    check_directions("project", u.shape, vh.shape)
    check_factors("project", left.shape, right.shape)
    check_size("project", u.shape, vh.shape, left.shape[-2], right.shape[-1], "b·a")
    batch, (u, vh, left, right) = broadcast("project", 2, U=u, Vh=vh, b=left, a=right)
    scales = scale_tensor("project", scale, batch, left)
    if out is not None:
        fill("project", [Given("out", memory("project", "out", out, home))], u, vh, left, right, scales, clip, backend)
        return out
    d: ArrayT = give_back(call("project", u, vh, left, right, scales, clip, backend), home)
    return d


def project_dense(
    U: ArrayT, Vh: ArrayT, tau: ArrayT, *, clip: bool = True, backend: str | None = None, out: ArrayT | None = None
) -> ArrayT:
    """S₂ = max(0, d), d = diag(Uᴴ τ V), for a dense τ, which is read once (docs/METHOD.md §2).

    Args:
        U: (..., m, k) directions of the source; any float dtype and strides.
        Vh: (..., k, n).
        tau: (..., m, n); leading dimensions of all three broadcast.
        clip: False gives d itself, signed.
        backend: forces one; None picks.
        out: (..., k) where d goes, contiguous, and what is returned; it shares no memory with an input.

    Returns:
        (..., k), fp32, or fp64 if any input is fp64.

    Gradients:
        As those of ``project``.

    Raises:
        TypeError, ValueError: an argument of the wrong kind, dtype, device or shape; a backend that cannot run.
        RuntimeError: ``out`` where a derivative is asked for.

    Cost:
        2 k m n flop a matrix; besides inputs and output a few MiB of working rows.
    """
    (u, vh, target), home = to_tensors("project_dense", U=U, Vh=Vh, tau=tau)
    check_directions("project_dense", u.shape, vh.shape)
    if target.dim() < 2:
        raise ValueError(f"project_dense: tau (..., m, n) needs 2 dimensions, got {shape(target)}")
    check_size("project_dense", u.shape, vh.shape, target.shape[-2], target.shape[-1], "tau")
    _, (u, vh, target) = broadcast("project_dense", 2, U=u, Vh=vh, tau=target)
    if out is not None:
        fill("project_dense", [Given("out", memory("project_dense", "out", out, home))], u, vh, target, clip, backend)
        return out
    d: ArrayT = give_back(call("project_dense", u, vh, target, clip, backend), home)
    return d


def check_directions(function: str, U: Sequence[int], Vh: Sequence[int]) -> None:
    """ValueError unless the shapes are (..., m, k) and (..., k, n)."""
    if len(U) < 2 or len(Vh) < 2:
        raise ValueError(
            f"{function}: U (..., m, k) and Vh (..., k, n) need 2 dimensions, got {list(U)} and {list(Vh)}"
        )
    if U[-1] != Vh[-2]:
        raise ValueError(f"{function}: U (..., m, k) and Vh (..., k, n) disagree on k, got {list(U)} and {list(Vh)}")


def check_size(function: str, U: Sequence[int], Vh: Sequence[int], m: int, n: int, target: str) -> None:
    """ValueError unless the m × n target is of the size that the shapes of U and Vh are for."""
    if U[-2] != m or Vh[-1] != n:
        raise ValueError(f"{function}: U and Vh are for a {U[-2]} × {Vh[-1]} matrix, {target} is {m} × {n}")
