"""``compare_spectra``: step 4 of the method on two spectra."""

from __future__ import annotations

from collections.abc import Sequence

from .dispatch.arguments import broadcast, common_dtype, expect, give_back, shape, to_tensors
from .dispatch.operators import call, fill
from .dispatch.outputs import named
from .metrics import DEFAULT_SPECTRAL, SPECTRAL, check_metrics, documents
from .types import ArrayT


@documents(SPECTRAL)
def compare_spectra(
    s1: ArrayT,
    s2: ArrayT,
    *,
    metrics: Sequence[str] = DEFAULT_SPECTRAL,
    p: float | None = None,
    backend: str | None = None,
    out: dict[str, ArrayT] | None = None,
) -> dict[str, ArrayT]:
    """Compare a source's spectrum S₁ with a projected one S₂ (docs/METHOD.md §4).

    Args:
        s1: (..., k) non-negative; its non-zero entries are the r directions that entropies count.
        s2: (..., k) non-negative; leading dimensions broadcast.
        metrics: names among
            {metrics}
        p: the p of ``lp``.
        backend: forces one; None picks.
        out: where the results go, a contiguous tensor for each metric, and what is returned; none shares memory with
            an input.

    Returns:
        name → (...,), fp32, or fp64 for fp64 input. With a zero spectrum rec is 0 and its entropy NaN; the entropy of
        one component is 0.

    Gradients:
        To s1 and s2, in both modes, with torch's conventions: 0 of |x| at 0 and of a norm at 0, a half each where the
        two sides of a minimum are equal. In an entropy a zero entry stays zero: its own derivative, +∞, is left out.
        Where a value is 0 or NaN by definition its derivative is 0.

    Raises:
        TypeError, ValueError: an argument of the wrong kind, dtype, device or shape; an unknown metric; a backend
            that cannot run.
        RuntimeError: ``out`` where a derivative is asked for.

    Cost:
        One pass over the spectra.
    """
    (one, two), home = to_tensors("compare_spectra", s1=s1, s2=s2)
    names = check_metrics("compare_spectra", metrics, SPECTRAL, p)
    expect(
        one.dim() >= 1 and two.dim() >= 1 and one.shape[-1] == two.shape[-1] and one.shape[-1] >= 1,
        lambda: f"compare_spectra: s1 and s2 must be (..., k) with the same k ≥ 1, got {shape(one)} and {shape(two)}",
    )
    _, spectra = broadcast("compare_spectra", 1, s1=one, s2=two)
    one, two = common_dtype(*spectra)
    arguments = one, two, list(names), p, backend
    if out is not None:
        fill("compare_spectra", named("compare_spectra", "out", out, names, home), *arguments)
        return out
    values = call("compare_spectra", *arguments)
    return {name: give_back(value, home) for name, value in zip(names, values, strict=True)}
