"""Names of the metrics, and which of them each function can give."""

from __future__ import annotations

from collections.abc import Sequence

# of the two spectra alone
SPECTRAL = ("l1", "l2", "linf", "lp", "rec", "entropy", "entropy_projected")
# of a pair of task vectors; ``entropy`` belongs to one adapter
PAIRWISE = (
    "l1", "l2", "linf", "lp", "rec", "entropy_projected",
    "cosine", "residual", "energy", "excess", "overlap_u", "overlap_v",
)  # fmt: skip
DEFAULT_PAIRWISE = ("l1", "l2", "rec", "entropy_projected", "cosine")
DEFAULT_SPECTRAL = ("l1", "l2", "rec", "entropy", "entropy_projected")


def check_metrics(function: str, metrics: Sequence[str], allowed: Sequence[str], p: float | None) -> tuple[str, ...]:
    """``metrics`` as a tuple; ValueError for a name that is not allowed, twice there, or lp without a valid p."""
    if isinstance(metrics, str):
        raise ValueError(
            f"{function}: metrics must be a sequence of names, got the string {metrics!r}; use [{metrics!r}]"
        )
    names = tuple(metrics)
    for name in names:
        if name not in allowed:
            raise ValueError(f"{function}: unknown metric {name!r}, expected names among {', '.join(allowed)}")
    if len(set(names)) != len(names):
        raise ValueError(f"{function}: metrics has a name twice, got {', '.join(names)}")
    if "lp" in names and (p is None or not p > 0):
        raise ValueError(f"{function}: metric 'lp' needs p > 0, got p={p}")
    return names
