"""``compare_spectra``: step 4 of the method on two spectra."""

from __future__ import annotations

from collections.abc import Sequence

from .dispatch.arguments import Array, broadcast, common_dtype, expect, give_back, shape, to_tensors
from .dispatch.operators import call
from .metrics import DEFAULT_SPECTRAL, SPECTRAL, check_metrics, documents


@documents(SPECTRAL)
def compare_spectra(
    s1: Array,
    s2: Array,
    *,
    metrics: Sequence[str] = DEFAULT_SPECTRAL,
    p: float | None = None,
    backend: str | None = None,
) -> dict[str, Array]:
    """Compare a source's spectrum S₁ with a projected one S₂ (docs/METHOD.md §4).

    Args:
        s1: (..., k) non-negative; its non-zero entries are the r directions that entropies count.
        s2: (..., k) non-negative; leading dimensions broadcast.
        metrics: names among
            {metrics}
        p: the p of ``lp``.
        backend: forces one; None picks.

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

    Cost:
        One pass over the spectra.
    """
    (s1, s2), home = to_tensors("compare_spectra", s1=s1, s2=s2)
    names = check_metrics("compare_spectra", metrics, SPECTRAL, p)
    expect(
        s1.dim() >= 1 and s2.dim() >= 1 and s1.shape[-1] == s2.shape[-1] and s1.shape[-1] >= 1,
        lambda: f"compare_spectra: s1 and s2 must be (..., k) with the same k ≥ 1, got {shape(s1)} and {shape(s2)}",
    )
    _, spectra = broadcast("compare_spectra", 1, s1=s1, s2=s2)
    s1, s2 = common_dtype(*spectra)
    values = call("compare_spectra", s1, s2, list(names), p, backend)
    return {name: give_back(value, home) for name, value in zip(names, values, strict=True)}
