"""``sweep --approximate``: for zoos whose pairs are too many, those that hold a share of each other."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from taskvec_kernels import Solver

from ..chance.significance import Negative
from ..errors import TaskvecError
from ..ledger.checked import open_dataset
from ..progress import Mode, progress_bar
from ..store.entry import MEMORY_BYTES
from ..store.factors import Factors
from ..store.sketches import SIZE, Sketches
from ..zoo import check
from .candidates import Candidates, candidates
from .inputs import Given
from .keep import Keep
from .layout import unit_bytes
from .listed import REDUCED, Pairs, Values, both_ways_of, compare_listed, listed_dataset
from .options import DEFAULT, Options, choose_solver
from .plan import plan_sweep
from .run import attributes, given

FLOOR = 0.05
SIDE = 512  # adapters along a tile of sketches


def approximate(
    zoo: Given | Factors,
    out: str | Path | None = None,
    *,
    min_captured: float = FLOOR,
    sketch: int = SIZE,
    lam: float | Sequence[float] = 0.0,
    solver: Solver | None = None,
    metrics: Sequence[str] = DEFAULT,
    p: float | None = None,
    precision: str = "highest",
    backend: str | None = None,
    device: str = "cpu",
    progress: Mode = "off",
    memory: int = MEMORY_BYTES,
) -> xr.Dataset:
    """The pairs of a zoo of which one holds ``min_captured`` of the other or more.

    Sketches choose the pairs that are compared exactly; the values of those are what ``sweep`` computes. What sketches
    miss is measured: some pairs of every estimate are compared exactly, and decide from which one on all are.

    Args:
        zoo: as ``sweep`` takes it; a store gives its own sketches where they have this size.
        out: a new folder; None keeps the result in memory.
        min_captured: the floor, above 0.
        sketch: the size s. Larger misses less and costs more.
        lam: as in ``sweep``, like the others.
        memory: bytes for the factors and results at work.

    Returns:
        As ``sweep(keep="reduced")`` has it, but that a pair has one dimension, ``listed``, with ``listed_source`` and
        ``listed_target``, positions in ``source``; both ways of a pair, and exact. Others are absent, not 0.
        Attributes: ``floor``, ``sketch_size``, ``pairs`` (ordered ones that can be compared), ``candidates``,
        ``sampled``, and ``expected_misses``: of the pairs that were not compared exactly, how many hold the floor by
        the rate of those that were sampled from them; 0 when none of these was one.

    Raises:
        TaskvecError: as ``sweep``; a floor of 0 or less, a size below 1; ``out`` exists.

    Cost:
        4 r² s flop an unordered pair and module for the sketches, and 2 r² (m + n) for each candidate.
    """
    if not 0 < min_captured <= 1 or sketch < 1:
        raise TaskvecError(
            "no such search", got=f"floor {min_captured}, size {sketch}", expected="0 < floor ≤ 1, size ≥ 1"
        )
    if missing := [name for name in ("captured", "rec") if name not in metrics]:
        raise TaskvecError("the search needs captured and rec", got=", ".join(metrics), fix=f"add {', '.join(missing)}")
    folder = None if out is None else new_folder(out)
    chosen = choose_solver(lam, solver)
    options = Options(tuple(metrics), p, precision, backend, device, chosen)
    skipped, warned, factors = given(zoo, device)
    check(factors.entries)
    entries = factors.entries
    whole = plan_sweep(entries, unit_bytes(entries, options, REDUCED), all_modules=True)
    plan = replace(whole, side=SIDE, group=0)
    with progress_bar(progress, "comparing sketches", plan.pairs) as advance:
        found = candidates(
            plan, sketches_of(factors, sketch), sketch, min_captured, options, memory=memory, advance=advance
        )
    sample = both_ways_of(np.concatenate(found.sampled))
    with progress_bar(progress, "comparing a sample", len(sample)) as advance:
        tried = compare_listed(plan, sample, factors, options, several=chosen.several, memory=memory, advance=advance)
    rates = hold_rates(found, sample, holding(sample, tried, min_captured))
    strata = found.enough(rates)
    chosen_pairs = found.pairs[found.stratum < strata]
    exact = both_ways_of(np.concatenate([chosen_pairs, *found.sampled]))
    with progress_bar(progress, "comparing candidates", len(exact)) as advance:
        values = compare_listed(plan, exact, factors, options, several=chosen.several, memory=memory, advance=advance)
    holds = holding(exact, values, min_captured)
    left = found.sizes - list(map(len, found.sampled))
    misses = float((left * rates)[strata:].sum())
    said = (
        f"approximate: {len(chosen_pairs):,} of {found.sizes.sum():,} pairs were compared exactly, chosen by sketches "
        f"of size {sketch}, and {len(sample) // 2:,} at random; about {misses:.0f} above the floor are missed"
    )
    about = attributes(entries, options, Keep("reduced"), chosen, skipped, (*warned, said)) | {
        "taskvec": "result", "complete": 1, "keep": "approximate", "floor": min_captured, "sketch_size": sketch,
        "pairs": int(2 * found.sizes.sum()), "candidates": len(chosen_pairs), "sampled": len(sample) // 2,
        "expected_misses": round(misses, 1),
        **chance_of(found.sampled[-1], sample, tried),
    }  # fmt: skip
    kept = {name: value[..., holds] for name, value in values.items()}
    dataset = listed_dataset(plan, exact[holds], kept, found.of_sources, options, several=chosen.several)
    dataset.attrs.update(about)
    return dataset if folder is None else written(dataset, folder)


def sketches_of(factors: Factors, size: int) -> Factors:
    """Those of the store where it has them in this size."""
    of_store = getattr(factors, "sketches", None)
    stored = of_store() if callable(of_store) else None
    return stored if stored is not None and getattr(stored, "size", None) == size else Sketches(factors, size)


def holding(listed: Pairs, values: Values, floor: float) -> NDArray[np.bool_]:
    """Whether one of a pair holds ``floor`` of the other, (P,), for a sorted list that has every pair both ways."""
    captured = values["captured"]
    back = captured[np.lexsort((listed[:, 0], listed[:, 1]))]
    found: NDArray[np.bool_] = np.fmax(captured, back) >= floor
    return found


def hold_rates(found: Candidates, sample: Pairs, holds: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of the sampled pairs of each stratum, the share that holds the floor."""
    held = {pair for pair, one in zip(map(tuple, sample.tolist()), holds, strict=True) if one}
    sums = [sum(pair in held for pair in map(tuple, pairs.tolist())) for pairs in found.sampled]
    rates: NDArray[np.float64] = np.array(sums) / np.maximum(1, list(map(len, found.sampled)))
    return rates


def chance_of(pairs: Pairs, sample: Pairs, values: Values) -> dict[str, float]:
    """What σ₀ needs, from pairs of the last stratum, which nearly all are in."""
    negative = Negative()
    if "rec_z_raw" in values:
        wanted = set(map(tuple, both_ways_of(pairs).tolist()))
        rows = [row for row, pair in enumerate(map(tuple, sample.tolist())) if pair in wanted]
        negative.add(np.asarray(values["rec_z_raw"], np.float64)[..., rows])
    return {"negative_z": negative.count, "negative_z_squares": negative.squares}


def new_folder(out: str | Path) -> Path:
    """``out`` as a path that nothing has yet."""
    path = Path(out)
    if path.exists() or path.is_symlink():
        raise TaskvecError("exists", where=path, fix="choose another output path: an approximate sweep starts anew")
    if not path.parent.is_dir():
        raise TaskvecError("the folder does not exist", where=path.parent, fix="create it first")
    return path


def written(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """The dataset on disk: under its name only when it is whole."""
    partial = path.with_name(f".{path.name}.{uuid4().hex[:12]}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strings and consolidated metadata in Zarr v3
            dataset.to_zarr(partial, zarr_format=3, consolidated=True)
        partial.rename(path)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise TaskvecError(f"cannot be written ({error.strerror or error})", where=path, fix="make room") from error
    return open_dataset(path)
