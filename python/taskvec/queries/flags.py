"""What to know of a pair before its numbers are read: starts, copies and ranks that make them say something else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RANK_ONE = 1.1  # participation ratio: one direction has 95 % of ‖τ‖²
# Overlaps that only a shared start gives. LoRA draws A, the input side, at random: other starts agree there by less
# than 0.1, and after long training from one start a half is left. Related tasks agree on the output side, by up to 0.5.
SHARED_INPUT, SHARED_OUTPUT = 0.4, 0.8
SAME = 1e-6  # relative, of norms and cosines: fp32

Floats = NDArray[np.floating]

FLAGS = {
    "zero": "the update is zero: nothing was trained",
    "partly zero": "the update is zero in some of the modules",
    "rank 1": "one direction has nearly all of the update in half of the modules: REC is close to 0 or 1 by its sign",
    "pissa": "the factors are little more than a start from the base model's own directions, no part of the update",
    "identical": "both have the same contents",
    "shared start": "both were trained from the same random start: their directions agree on one side for that reason",
    "unequal ranks": "the adapter of higher rank captures more, whatever the tasks",
}


def adapter_flags(
    norm: Sequence[float] | Floats, participation: Sequence[float] | Floats, start: str | None = None
) -> tuple[str, ...]:
    """Flags of one adapter.

    Args:
        norm: (n,) ‖τ‖ by module; NaN where it has none.
        participation: (n,) (ΣS²)²/ΣS⁴.
        start: that the factors are little more than: "pissa".
    """
    norms, ratios = (known(np.asarray(values, np.float64)) for values in (norm, participation))
    flags = []
    if not norms.any():
        flags.append("zero")
    elif not norms.all():
        flags.append("partly zero")
    if len(ratios) and np.median(ratios) < RANK_ONE:
        flags.append("rank 1")
    if start:
        flags.append(start)
    return tuple(flags)


def known(values: Floats) -> Floats:
    """Without NaN."""
    rest: Floats = values[~np.isnan(values)]
    return rest


def pair_flags(
    source: tuple[str, ...],
    target: tuple[str, ...],
    *,
    overlap_u: Floats,
    overlap_v: Floats,
    cosine: Floats,
    norms: tuple[Floats, Floats],
    ranks: tuple[NDArray[np.integer], NDArray[np.integer]],
    same_digest: bool = False,
) -> tuple[str, ...]:
    """Flags of one pair: its own, then those of its adapters, "source zero", "target rank 1".

    Args:
        source: flags of the source.
        target: flags of the target.
        overlap_u: (n,) by module that both have; NaN where one is zero.
        overlap_v: (n,)
        cosine: (n,)
        norms: (n,) ‖τ‖ of the source, and of the target.
        ranks: (n,) non-zero S of the source, and of the target.
        same_digest: whether the files of the two are the same.
    """
    flags = []
    if same_digest or identical(cosine, norms):
        flags.append("identical")
    elif shared_start(overlap_u, overlap_v):
        flags.append("shared start")
    live = (ranks[0] > 0) & (ranks[1] > 0)
    if (ranks[0] != ranks[1])[live].any():
        flags.append("unequal ranks")
    return (*flags, *(f"source {flag}" for flag in source), *(f"target {flag}" for flag in target))


def identical(cosine: Floats, norms: tuple[Floats, Floats]) -> bool:
    """Whether every update is the same matrix to fp32's precision, however it is factorised."""
    one, two = (norm[~np.isnan(cosine)] for norm in norms)
    cosine = cosine[~np.isnan(cosine)]
    return bool(len(cosine) and (cosine > 1 - SAME).all() and (abs(one - two) <= SAME * (one + two)).all())


def shared_start(overlap_u: Floats, overlap_v: Floats) -> bool:
    """Whether one side of the directions agrees and the other does not: what is drawn with one seed moves little."""
    if np.isnan(overlap_u).all() or np.isnan(overlap_v).all():
        return False
    u, v = (float(known(overlap).mean()) for overlap in (overlap_u, overlap_v))
    return (v > SHARED_INPUT and u < v / 2) or (u > SHARED_OUTPUT and v < u / 2)


def meaning(flag: str) -> str:
    """One line for the notes under a table."""
    return FLAGS[flag.removeprefix("source ").removeprefix("target ")]
