"""``lowrank_svd``: the canonical form of a task vector, from its factors."""

from __future__ import annotations

from .dispatch.arguments import (
    broadcast,
    check_factors,
    common_dtype,
    expect,
    give_back,
    scale_tensor,
    shape,
    to_tensors,
)
from .dispatch.operators import call, fill
from .dispatch.outputs import Given, memory
from .types import ArrayT, LowRankSVD


def lowrank_svd(
    b: ArrayT,
    a: ArrayT,
    scale: float | ArrayT = 1.0,
    *,
    backend: str | None = None,
    out: LowRankSVD[ArrayT] | None = None,
) -> LowRankSVD[ArrayT]:
    """Thin SVD of τ = scale · b · a without forming the m × n matrix (docs/METHOD.md §1).

    fp64 Gram of each factor, Cholesky-QR, SVD of the r × r core by one-sided Jacobi, rotation back. Singular values
    ≤ max(m, n) · 2.2e-16 · S_max are exact zeros and their columns of U and V are zero. A factor whose Gram matrix does
    not show all its directions is factored by Householder reflectors. NaN or Inf in a matrix gives NaN for that matrix.

    Args:
        b: (..., m, r) float64, float32, float16 or bfloat16; any strides; tensor or NumPy array.
        a: (..., r, n), the same; leading dimensions broadcast.
        scale: a number, or a tensor that broadcasts to the leading dimensions.
        backend: "cpu", "cuda", "reference" to force one; None picks.
        out: where the results go, with the same bits, and what is returned. Each matrix as below, any one stride from
            matrix to matrix: U ``torch.empty(..., k, m).mT``, S (..., k), Vh (..., k, n). No memory of an input.
            Memory that is used again takes half the time of fresh pages.

    Returns:
        U (..., m, k), S (..., k) descending, Vh (..., k, n) with k = min(r, m, n); fp32, or fp64 for fp64 input.
        U is stored by direction: ``U.mT`` is contiguous.

    Gradients:
        To b, a and a tensor scale, in both modes, any order (docs/METHOD.md §8). Equal singular values have no
        directions: the gradient of U or Vh is inf or NaN there, as of ``torch.linalg.svd``; that of S alone is finite.
        Singular values of zero and their columns stay zero: they contribute nothing, so that of b = 0 is 0.

    Raises:
        TypeError, ValueError: an argument of the wrong kind, dtype, device or shape; a backend that cannot run.
        RuntimeError: ``out`` where a derivative is asked for.

    Cost:
        About 3 r² (m + n) fp64 flop a matrix (5 to 8 when a factor is ill-conditioned) and O(r³) for the core; memory
        is inputs + outputs + O(threads · r · (r + 256)) fp64, and threads · r (m + n) more for reflectors. On a GPU,
        inputs + outputs + 256 MiB of working memory at most (more only where one matrix needs it: r of about 1,000,
        or r (m + n) above 8 million), and no wait for the stream.
    """
    (left, right), home = to_tensors("lowrank_svd", b=b, a=a)
    check_factors("lowrank_svd", left.shape, right.shape)
    batch, factors = broadcast("lowrank_svd", 2, b=left, a=right)
    left, right = common_dtype(*factors)
    scales = scale_tensor("lowrank_svd", scale, batch, left)
    if out is not None:
        expect(len(out) == 3, lambda: f"lowrank_svd: out must be a LowRankSVD of U, S and Vh, got {len(out)} parts")
        U, S, Vh = (
            memory("lowrank_svd", f"out.{part}", t, home) for part, t in zip(("U", "S", "Vh"), out, strict=True)
        )
        expect(U.dim() >= 2, lambda: f"lowrank_svd: out.U (..., m, k) needs 2 dimensions, got {shape(U)}")
        given = [Given("out.U.mT", U.mT, inner=2), Given("out.S", S, inner=1), Given("out.Vh", Vh, inner=2)]
        fill("lowrank_svd", given, left, right, scales, backend)
        return out
    Ut, S, Vh = call("lowrank_svd", left, right, scales, backend)
    return LowRankSVD(give_back(Ut.mT, home), give_back(S, home), give_back(Vh, home))
