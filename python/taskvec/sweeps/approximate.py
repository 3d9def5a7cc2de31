"""``sweep --approximate``: for zoos whose pairs are too many, those that hold a share of each other."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import xarray as xr

from ..store.factors import Factors
from ..store.sketches import SIZE
from .inputs import Given
from .keep import FLOOR, Keep
from .run import sweep


def approximate(
    zoo: Given | Factors,
    out: str | Path | None = None,
    *,
    min_captured: float = FLOOR,
    sketch: int = SIZE,
    **options: Any,
) -> xr.Dataset:
    """The pairs of a zoo of which one holds ``min_captured`` of the other or more.

    Sketches choose the pairs that are compared exactly; the values of those are what ``sweep`` computes. What sketches
    miss is measured: some pairs of every estimate are compared exactly, and decide from which one on all are.

    Args:
        zoo: as ``sweep`` takes it; a store gives its own sketches where they have this size.
        out: as in ``sweep``: what was computed there is not computed again. None keeps the result in memory.
        min_captured: the floor, above 0.
        sketch: the size s. Larger misses less and costs more.
        options: the others of ``sweep``, but for ``keep`` and ``shard``.

    Returns:
        As ``sweep(keep="reduced")`` has it, but that a pair has one dimension, ``listed``, with ``listed_source`` and
        ``listed_target``, positions in ``source``; both ways of a pair, and exact. Others are absent, not 0.
        Attributes: ``floor``, ``sketch_size``, ``pairs`` (ordered ones that can be compared), ``candidates``,
        ``sampled``, and ``expected_misses``: of the pairs that were not compared exactly, how many hold the floor by
        the rate of those that were sampled from them; 0 when none of these was one. ``expected_misses_error`` is the
        standard error of that number, which is not 0 then.

    Raises:
        TaskvecError: as ``sweep``; a floor of 0 or less, a size below 1.
        SweepInterrupted: as ``sweep``.

    Cost:
        4 r² s flop an unordered pair and module for the sketches, and 2 r² (m + n) for each candidate.
    """
    keep = Keep("approximate", floor=min_captured, sketch=sketch)
    if out is not None:
        return sweep(zoo, out, keep=keep, **options)
    with TemporaryDirectory() as folder:
        return sweep(zoo, f"{folder}/out.zarr", keep=keep, **options).load()
