"""``sweep``: every ordered pair of a zoo, module by module, to one labelled dataset."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from taskvec_kernels import Solver, compare_spectra

from ..adapters import Adapter
from ..chance.spectra import participation
from ..documents import as_text
from ..errors import TaskvecError
from ..progress import Advance, Mode, progress_bar
from ..store.entry import MEMORY_BYTES
from ..store.factors import Factors
from ..store.kept import Kept
from ..store.memory import AdapterFactors
from ..version import __version__
from ..zoo import Zoo, as_zoo, check, disjoint_pairs
from .compute import Floats, compute
from .layout import BY_LAM, start_of
from .options import DEFAULT, Options, choose_solver
from .output import Output
from .plan import Batch, plan_sweep
from .writer import ResultWriter


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep to disk: what was finished is in ``path``, a dataset with ``complete`` 0."""

    def __init__(self, path: Path, finished: int, modules: int) -> None:
        self.path, self.finished, self.modules = path, finished, modules
        super().__init__(f"{finished} of {modules} modules are in {path}")


def sweep(
    zoo: Zoo | str | Path | Sequence[Adapter | str | Path],
    out: str | Path | None = None,
    *,
    lam: float | Sequence[float] = 0.0,
    solver: Solver | None = None,
    metrics: Sequence[str] = DEFAULT,
    p: float | None = None,
    precision: str = "highest",
    backend: str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Mode = "off",
    memory: int = MEMORY_BYTES,
) -> xr.Dataset:
    """Project every adapter on the directions of every other, and of itself.

    Args:
        zoo: from ``load_zoo``, paths as it takes them, or N adapters; each its own name. A module is compared
            where two have it in one shape.
        out: a folder for a Zarr store; None keeps the result in memory.
        lam: the weight λ of the sparse projection: shorthand for ``solver=Solver(lam)``. A sequence adds a dimension
            ``lam`` to what depends on it.
        solver: λ and how it is solved, in place of ``lam``: ``taskvec.Solver``. Adam's random starts depend on its
            seed and on the contents of source, target and module, on nothing else.
        metrics: of the pair; "lp" needs ``p``. The ranking needs "rec" and "captured".
        p: the p of "lp".
        precision: "highest" (fp32), "high" or "medium", for the products of ``taskvec_kernels.pairwise``.
        backend: of ``pairwise``; None picks.
        device: "cpu", "cuda" or "cuda:1": where adapters are factorised and compared.
        overwrite: replace a Zarr store at ``out`` once the new one is complete.
        progress: "auto", "off" or "json", on stderr.
        memory: bytes for the canonical forms and results at work.

    Returns:
        Dimensions ``module, source, target``; a float32 variable for each metric of a pair, and ``entropy``, ``norm``,
        ``participation``, ``spectrum`` of (module, source). NaN where an adapter has no such module.
        Coordinates ``layer``, ``kind``, ``rows`` and ``columns`` along module. Attributes: ``complete``,
        ``unfinished`` modules, ``warnings``, ``skipped`` files, ``input_sha256`` in the order of ``source``, versions
        and options.

    Raises:
        TaskvecError: names, shapes, options or the output path are not right.
        SweepInterrupted: Ctrl-C, when ``out`` is given and a module is finished.

    Cost:
        2 r² (m + n) flop an unordered pair and module. With ``out`` peak memory is ``memory``, some 300 MiB of work
        space and the N × N results of a module, whatever the number of modules.
    """
    chosen = choose_solver(lam, solver)
    options = Options(tuple(metrics), p, precision, backend, device, chosen)
    zoo = as_zoo(zoo)
    check(zoo.adapters)
    lams = options.solver.lams
    factors = Kept(AdapterFactors(zoo.adapters, device), memory)
    plan = plan_sweep(factors.entries, results=len(options.metrics) * len(lams), memory=memory)
    output = None if out is None else Output(out, overwrite=overwrite)
    try:
        store = None if output is None else output.temporary
        of_lams = lams if chosen.several else None
        writer = ResultWriter(zoo.adapters, plan.modules, plan.components, options.metrics, store, of_lams)
        unfinished = Counter(module for batch in plan.batches for module in batch.modules)
        try:
            with progress_bar(progress, "comparing pairs", plan.pairs) as advance:
                for batch in plan.batches:
                    values = compare(batch, factors, options, advance)
                    writer.write(batch.modules, batch.adapters, values)
                    unfinished -= Counter(batch.modules)
        except KeyboardInterrupt as stop:
            if output is None or len(unfinished) == len(plan.modules):
                raise
            writer.finish(attributes(zoo, options, chosen, [path for path in plan.modules if path in unfinished]))
            finished = len(plan.modules) - len(unfinished)
            raise SweepInterrupted(output.keep_partial(), finished, len(plan.modules)) from stop
        writer.finish(attributes(zoo, options, chosen, []))
    except BaseException as error:
        if output is not None:
            output.discard()
        if isinstance(error, OSError):
            raise TaskvecError(
                f"the sweep stopped ({error})", where=out, fix="nothing was written; try again"
            ) from error
        raise
    if output is None:
        return writer.dataset()
    output.commit()
    stored: xr.Dataset = xr.open_zarr(output.path, chunks=None)
    return stored


def compare(batch: Batch, factors: Factors, options: Options, advance: Advance) -> dict[str, Floats]:
    """Every variable of a batch of L modules that N adapters have: what ``ResultWriter.write`` takes."""
    L, N, K = len(batch.modules), len(batch.adapters), len(options.solver.lams)
    pairs = {
        name: np.full((L, K, N, N) if name in BY_LAM else (L, N, N), np.nan, np.float32) for name in options.metrics
    }
    spectrum, norm = np.zeros((L, N, batch.rank), np.float32), np.zeros((L, N))
    for block in batch.blocks():
        result = compute(block, factors, options)
        i, j = (np.searchsorted(batch.adapters, side.adapters) for side in (block.sources, block.targets))
        spectrum[:, i, : block.sources.rank], norm[:, i] = result.sources, result.source_norms
        for way, source, target in ((result.forward, i, j), (result.backward, j, i)):
            for name, values in (way or {}).items():
                by_module = values.swapaxes(0, 1) if name in BY_LAM else values[0]
                pairs[name][..., source[:, None], target] = by_module
        advance(block.pairs)
    return pairs | of_source(spectrum, norm)


def of_source(spectrum: Floats, norm: np.ndarray) -> dict[str, np.ndarray]:
    """What belongs to one adapter and module: (L, N), and the spectrum (L, N, k)."""
    return {
        "entropy": compare_spectra(spectrum, spectrum, metrics=["entropy"])["entropy"],
        "norm": norm,
        "participation": participation(spectrum),
        "spectrum": spectrum,
    }


def attributes(zoo: Zoo, options: Options, solver: Solver, unfinished: list[str]) -> dict[str, Any]:
    """Strings, numbers and lists of numbers: what every netCDF holds too."""
    return {
        "complete": int(not unfinished),
        "unfinished": as_text(unfinished),
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
        "input_sha256": as_text(adapter.digest for adapter in zoo.adapters),
        "starts": as_text(map(start_of, zoo.adapters)),
        "skipped_paths": as_text(str(skipped.path) for skipped in zoo.skipped),
        "skipped": as_text(skipped.reason for skipped in zoo.skipped),
        "warnings": as_text([*zoo.warnings, *disjoint_pairs(zoo.adapters)]),
    }
