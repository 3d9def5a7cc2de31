"""The metrics: one record each, from which names, shapes, documentation and checks are derived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Need = Literal["spectra", "d", "cross", "norm"]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Metric:
    """What is known of a metric without computing it.

    Attributes:
        name: in every function, result and file.
        of: "pair" (a source and a target) or "source" (one adapter).
        needs: "spectra" S₁ and S₂, "d" before clipping, "cross" the blocks U₁ᵀU₂ and V₁ᵀV₂, "norm" ‖τ₁‖ and ‖τ₂‖.
        by_lam: whether it depends on λ.
        meaning: one line, for documentation and for the files that hold it.
    """

    name: str
    of: Literal["pair", "source"]
    needs: frozenset[Need]
    by_lam: bool
    meaning: str


SPECTRA: frozenset[Need] = frozenset({"spectra"})
METRICS = (
    Metric("l1", "pair", SPECTRA, True, "L1 norm of S1 - S2"),
    Metric("l2", "pair", SPECTRA, True, "L2 norm of S1 - S2"),
    Metric("linf", "pair", SPECTRA, True, "largest |S1 - S2|"),
    Metric("lp", "pair", SPECTRA, True, "Lp norm of S1 - S2"),
    Metric(
        "rec", "pair", SPECTRA, True,
        "overlap of the normalised spectra S1 and S2, 0 to 1; read it against rec_chance",
    ),
    Metric("entropy", "source", SPECTRA, False, "normalised Shannon entropy of S1"),
    Metric("entropy_projected", "pair", SPECTRA, True, "normalised Shannon entropy of S2"),
    Metric("cosine", "pair", frozenset({"d", "norm"}), False, "cosine of the two task vectors"),
    Metric(
        "residual", "pair", frozenset({"spectra", "d", "norm"}), True,
        "what the projection leaves of the target, relative to its norm",
    ),
    Metric(
        "energy", "pair", frozenset({"spectra", "norm"}), True,
        "share of the target's squared norm that the source's directions hold",
    ),
    Metric(
        "excess", "pair", frozenset({"d", "norm"}), False,
        "how many times more of the target the source's directions hold than random ones (1 = chance)",
    ),
    Metric("overlap_u", "pair", frozenset({"cross"}), False, "overlap of the left singular subspaces, 0 to 1"),
    Metric("overlap_v", "pair", frozenset({"cross"}), False, "overlap of the right singular subspaces, 0 to 1"),
    Metric(
        "captured", "pair", frozenset({"cross", "norm"}), False,
        "share of the target's squared norm that lies between the source's left and right subspaces, 0 to 1",
    ),
    Metric(
        "captured_out", "pair", frozenset({"cross", "norm"}), False,
        "share of the target's squared norm whose output side lies in the source's left subspace, 0 to 1",
    ),
    Metric(
        "captured_in", "pair", frozenset({"cross", "norm"}), False,
        "share of the target's squared norm whose input side lies in the source's right subspace, 0 to 1",
    ),
    Metric(
        "rec_chance", "pair", frozenset({"d"}), True,
        "mean REC over the sign patterns of |d|: what directions without orientation give; NaN unless S2 = max(0, d)",
    ),
    Metric(
        "rec_chance_sd", "pair", frozenset({"d"}), True,
        "standard deviation of REC over the sign patterns of |d|; NaN unless S2 = max(0, d)",
    ),
)  # fmt: skip

PAIRWISE = tuple(metric.name for metric in METRICS if metric.of == "pair")
SPECTRAL = tuple(metric.name for metric in METRICS if metric.needs == SPECTRA)  # of two spectra, without their adapters
BY_LAM = frozenset(metric.name for metric in METRICS if metric.by_lam)
DEFAULT_PAIRWISE = ("l1", "l2", "rec", "entropy_projected", "cosine")
DEFAULT_SPECTRAL = ("l1", "l2", "rec", "entropy", "entropy_projected")


def metric(name: str) -> Metric:
    """The record of ``name``; KeyError when there is none."""
    for one in METRICS:
        if one.name == name:
            return one
    raise KeyError(name)


def any_needs(names: Iterable[str], need: Need) -> bool:
    """Whether one of these metrics needs it."""
    return any(need in metric(name).needs for name in names)


def documents(names: Sequence[str]) -> Callable[[Function], Function]:
    """Writes a table of these metrics in place of ``{metrics}`` in a docstring."""
    table = "\n".join(f"            {name}: {metric(name).meaning}." for name in names)

    def write(function: Function) -> Function:
        function.__doc__ = (function.__doc__ or "").replace("{metrics}", table.lstrip())
        return function

    return write


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
