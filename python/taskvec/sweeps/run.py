"""``sweep``: every ordered pair of a zoo, module by module, to one labelled dataset."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from taskvec_kernels import Solver

from ..documents import as_text
from ..errors import TaskvecError, printable
from ..ledger.checked import open_dataset
from ..left_out import left_out_of
from ..progress import Mode, progress_bar
from ..storage import open_storage, remote_url
from ..store.entry import GPU_MEMORY_BYTES, MEMORY_BYTES, Entry
from ..store.factors import Factors
from ..store.kept import Kept
from ..version import __version__
from ..zoo import Skipped, Zoo, as_zoo, check, disjoint_pairs, notes
from .begin import is_complete, job_of
from .beside import Beside, beside
from .estimate import check_room, default_keep, result_bytes
from .inputs import Given, as_factors, one_store
from .keep import Keep
from .layout import arrays, coordinates_of, listed_variables, start_of, unit_bytes
from .options import DEFAULT, Options, choose_solver
from .output import stored
from .plan import AT_WORK, plan_sweep
from .running import Engine, disk_errors, in_this_process, to_disk, to_shard
from .shard import Shard
from .top import merge
from .unit import unit_work


def sweep(
    zoo: Given | Factors,
    out: str | Path | None = None,
    *,
    lam: float | Sequence[float] = 0.0,
    solver: Solver | None = None,
    metrics: Sequence[str] = DEFAULT,
    p: float | None = None,
    precision: str = "highest",
    backend: str | None = None,
    device: str = "cpu",
    keep: str | Keep | None = None,
    overwrite: bool = False,
    progress: Mode = "off",
    memory: int | None = None,
    engine: Engine | None = None,
    inputs: Mapping[str, Any] | None = None,
    shard: str | None = None,
    command: str | None = None,
) -> xr.Dataset:
    """Project every adapter on the directions of every other, and of itself.

    Args:
        zoo: from ``load_zoo``, paths as it takes them, N adapters, each its own name, or factors. A module is compared
            where two have it in one shape.
        out: a folder or URL for a Zarr store; None keeps the result in memory. What a sweep with these options has
            computed there is not computed again: it goes on, and takes new adapters up after those that are there.
        lam: the weight λ of the sparse projection: shorthand for ``solver=Solver(lam)``. A sequence adds a dimension
            ``lam`` to what depends on it.
        solver: λ and how it is solved, in place of ``lam``: ``taskvec.Solver``. Adam's random starts depend on its
            seed and on the contents of source, target and module, on nothing else.
        metrics: of the pair; "lp" needs ``p``. The ranking needs "rec" and "captured".
        p: the p of "lp".
        precision: "highest" (fp32), "high" or "medium", for the products of ``taskvec_kernels.pairwise``.
        backend: of ``pairwise``; None picks.
        device: "cpu", "cuda" or "cuda:1": where adapters are factorised and compared.
        keep: "all": every metric of every pair and module; "reduced": what the modules of a pair come to; "top=K": of
            that the K best pairs of every source and of every target, and their other directions, along ``listed``;
            by captured, or by what a ``Keep`` says. None: all, as long as that is at most 4 GiB, or what the result
            at ``out`` has.
        overwrite: compute everything anew, in place of a result at ``out`` that is complete or another one; that is
            called OUT.replaced.zarr until the new one is complete.
        progress: "auto", "off" or "json", on stderr.
        memory: bytes for the factors and results at work; None: 368 MiB, with a GPU 1 GiB.
        engine: computes the units in another way than one after the other: ``taskvec.workers.dask.Dask``.
        shard: "k/n": compute the k-th of n parts alone. Of processes that share a result in this way, the last one to
            end completes it.
        inputs: arguments of ``load_zoo`` that read these adapters again, for ``taskvec verify --repair``.
        command: how the sweep was asked for, which ``out`` remembers.

    Returns:
        Dimensions ``module, source, target``; a float32 variable for each metric of a pair, and ``entropy``, ``norm``,
        ``participation``, ``spectrum`` of (module, source). NaN where an adapter has no such module. Reduced, metrics
        have no dimension ``module``: shares are pooled, ``excess`` is a geometric mean, the others are means;
        ``mean_captured``, …, ``rec_z_raw``, ``used``, ``captured_of_layer``, ``rec_of_kind``, … join them.
        Coordinates ``layer``, ``kind``, ``rows`` and ``columns`` along module, ``source_group`` and ``target_group``:
        the base model that a group of adapters has in common. Attributes: ``complete``, ``warnings``, ``skipped``
        files, ``input_sha256`` and ``left_out`` in the order of ``source``, versions and options.

    Raises:
        TaskvecError: names, shapes, options or the output path are not right; the disk is full; another sweep writes
            there.
        SweepInterrupted: Ctrl-C or SIGTERM, when ``out`` is given.

    Cost:
        2 r² (m + n) flop an unordered pair and module. With ``out`` peak memory is at most 1 GiB, whatever the number
        of adapters and modules (docs/SCALE.md), and what the adapters themselves need.
    """
    chosen = choose_solver(lam, solver)
    memory = memory or (GPU_MEMORY_BYTES if device.startswith("cuda") else MEMORY_BYTES)
    elsewhere = bool(getattr(engine, "scheduler", None))
    options = Options(tuple(metrics), p, precision, backend, device, chosen, elsewhere=elsewhere)
    skipped, warnings, factors = given(zoo, device)
    check(factors.entries)
    if out is None and (engine or shard):
        raise TaskvecError("a sweep that others take part in needs a place for its result", fix="give out=OUT.zarr")
    near = beside(factors, out)
    kept = chosen_keep(keep, near, options, chosen.several, None if overwrite else out)
    factors = Kept(near, memory - results_at_work(near.entries, options, kept), device)
    if kept.lists:
        check_listed(kept, options, shard)
    if out is None and kept.how == "approximate":
        raise TaskvecError("a search needs a place for its units", fix="use taskvec.sweeps.approximate.approximate")
    if out is None:
        return in_memory(factors, options, kept, chosen, skipped, warnings, progress, memory)
    told = inputs if inputs is not None or not isinstance(zoo, str | Path) else {"paths": [str(zoo)]}
    job = job_of(out, factors, options, kept, several=chosen.several, overwrite=overwrite, memory=memory, inputs=told)
    about = attributes(job.plan.entries, options, kept, chosen, skipped, warnings)
    about |= {"command": printable(command)} if command else {}
    if not is_complete(job) or job.pending():
        there = sum(size for record in job.ledger.newest.values() for size, _ in record.chunks.values())
        check_room(result_bytes(job.plan, options, kept, chosen.several), there, out)
        if isinstance(near, Beside):
            near.make(progress)
        way = engine or in_this_process
        with disk_errors(out):
            if shard is None:
                to_disk(job, about, progress, way)
            else:
                to_shard(job, about, progress, way, Shard.parse(shard))
    return open_dataset(out)


def results_at_work(entries: Sequence[Entry], options: Options, keep: Keep) -> int:
    """Bytes of the results of units at work, which are not there for factors."""
    pair_bytes = unit_bytes(entries, options, keep)
    return AT_WORK * plan_sweep(entries, pair_bytes, all_modules=keep.how != "all").results_bytes(pair_bytes)


def check_listed(keep: Keep, options: Options, shard: str | None) -> None:
    """TaskvecError for an order that the metrics do not give, or a search without its metrics or in shards."""
    if keep.how == "approximate":
        if missing := [name for name in ("captured", "rec") if name not in options.metrics]:
            got, fix = ", ".join(options.metrics), f"add {', '.join(missing)}"
            raise TaskvecError("the search needs captured and rec", got=got, fix=fix)
        if shard is not None:
            what = "the units of an approximate sweep are not known before it"
            raise TaskvecError(what, got=f"shard {shard}", fix="share it by workers, or run the command several times")
    elif keep.by.removesuffix("_z_raw") not in options.metrics:
        raise TaskvecError(
            "the best pairs are by a metric that is not computed", got=keep.by, fix="add it to the metrics"
        )


def chosen_keep(
    keep: str | Keep | None, factors: Factors, options: Options, several: bool, out: str | Path | None
) -> Keep:
    """What is asked for, else what a result has that is there, else by the size of a new one."""
    if keep is not None:
        return Keep.of(keep) if isinstance(keep, str) else keep
    before = None if out is None or (remote_url(out) is None and not Path(out).is_dir()) else stored(open_storage(out))
    if before is not None:
        return before.keep
    return default_keep(plan_sweep(factors.entries, 1), options, several)


def given(zoo: Given | Factors, device: str) -> tuple[tuple[Skipped, ...], tuple[str, ...], Factors]:
    """The factors, and what was said of files when they were read."""
    if isinstance(zoo, Zoo | str | Path | Sequence) and one_store(zoo) is None:
        loaded = as_zoo(zoo)
        return loaded.skipped, (*loaded.warnings, *disjoint_pairs(loaded.adapters)), as_factors(loaded, device)
    factors = as_factors(zoo, device)
    skipped = tuple(Skipped(Path(path), reason) for path, reason in getattr(factors, "skipped", ()))
    return skipped, (*notes(factors.entries), *disjoint_pairs(factors.entries)), factors


def in_memory(
    factors: Factors,
    options: Options,
    keep: Keep,
    solver: Solver,
    skipped: Sequence[Skipped],
    warnings: Sequence[str],
    progress: Mode,
    memory: int,
) -> xr.Dataset:
    """The result as arrays."""
    lams = options.solver.lams if solver.several else None
    entries = factors.entries
    plan = plan_sweep(entries, unit_bytes(entries, options, keep), all_modules=keep.how != "all")
    described = arrays(plan, options.metrics, keep, lams)
    values = {name: np.full(array.shape, array.fill, array.dtype) for name, array in described.items()}
    lists: list[dict[str, Any]] = []
    with progress_bar(progress, "comparing pairs", plan.pairs) as advance:
        for unit in plan.units():
            work = unit_work(unit, plan, factors, options, keep, several=solver.several, memory=memory)
            if keep.how == "top":
                lists.append({})
            for part in work.run(advance):
                if part.array not in values:
                    lists[-1][part.array] = part.values
                    continue
                where = zip(part.start, part.values.shape, strict=True)
                values[part.array][tuple(slice(start, start + size) for start, size in where)] = part.values
    coords = coordinates_of(plan, keep, lams)
    about = attributes(entries, options, keep, solver, skipped, warnings) | {"taskvec": "result", "complete": 1}
    variables = {
        name: (array.dims, values[name], {"long_name": array.attributes["long_name"]})
        for name, array in described.items()
    }
    if keep.how == "top":
        merged, counted = merge(lambda: lists, len(entries), keep)
        about |= {"pairs": int(counted.pop("pairs"))} if counted else {}
        coords = coords.merge(listed_variables(merged, counted, solver.several))
    return coords.assign(variables).assign_attrs(about)


def attributes(
    entries: Sequence[Any],
    options: Options,
    keep: Keep,
    solver: Solver,
    skipped: Sequence[Skipped],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Strings, numbers and lists of numbers: what every netCDF holds too."""
    return {
        "keep": str(keep),
        "taskvec_version": __version__,
        "torch_version": torch.__version__,
        "numpy_version": np.__version__,
        "zarr_version": version("zarr"),
        "python_version": platform.python_version(),
        "metrics": as_text(options.metrics),
        "precision": options.precision,
        "backend": options.backend or "auto",
        "device": options.device,
        **solver.to_dict(),
        **({} if options.p is None else {"p": options.p}),
        "input_sha256": as_text(entry.digest for entry in entries),
        "starts": as_text(map(start_of, entries)),
        "left_out": as_text(map(left_out_of, entries)),
        "skipped_paths": as_text(str(one.path) for one in skipped),
        "skipped": as_text(one.reason for one in skipped),
        "warnings": as_text(warnings),
    }
