"""``sweep``: every ordered pair of a zoo, module by module, to one labelled dataset."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
import xarray as xr

from taskvec_kernels import compare_spectra
from taskvec_kernels.solver import SolverSettings
from taskvec_kernels.version import __version__

from .adapters.model import Adapter
from .comparing import GroupResult, Options, compare_group
from .device import check_device
from .errors import TaskvecError
from .grouping import MEMORY, group_modules, module_paths
from .output import Output
from .progress import Mode, progress_bar
from .results import Results, open_results
from .sparsity import Sparsity, choose_sparsity
from .statistics import rec_chance
from .zoo import Zoo

METRICS = (
    "l1", "l2", "linf", "rec", "entropy_projected", "cosine", "residual", "energy", "excess", "overlap_u", "overlap_v",
)  # fmt: skip
PRECISIONS = ("highest", "high", "medium")


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep to disk: what was finished is in ``path``, a dataset with ``complete`` False."""

    def __init__(self, path: Path, finished: int, modules: int) -> None:
        self.path, self.finished, self.modules = path, finished, modules
        super().__init__(f"{finished} of {modules} modules are in {path}")


def sweep(
    zoo: Zoo | Sequence[Adapter],
    out: str | Path | None = None,
    *,
    metrics: Sequence[str] = METRICS,
    p: float | None = None,
    precision: str = "highest",
    backend: str | None = None,
    device: str = "cpu",
    lam: float | Sequence[float] = 0.0,
    seed: int = 0,
    overwrite: bool = False,
    progress: Mode = "off",
    memory: int = MEMORY,
    **settings: Unpack[SolverSettings],
) -> xr.Dataset:
    """Project every adapter on the directions of every other, and of itself.

    Args:
        zoo: from ``load_zoo``, or N adapters; each its own name, a module the same shape in all.
        out: a folder for a Zarr store; None keeps the result in memory.
        metrics: of the pair; "lp" needs ``p``. The ranking needs "rec".
        p: the p of "lp".
        precision: "highest" (fp32), "high" or "medium", for the products of ``taskvec_kernels.pairwise``.
        backend: of ``pairwise``; None picks.
        device: "cpu", "cuda" or "cuda:1": where adapters are factorised and compared.
        lam: the weight λ of the sparse projection; a list adds a dimension ``lam`` to what depends on it.
        seed: of Adam's random starts, which depend on it and on the contents of source, target and module alone.
        overwrite: replace a Zarr store at ``out`` once the new one is complete.
        progress: "auto", "off" or "json", on stderr.
        memory: bytes for the canonical forms and results at work.
        **settings: method, norm and what else ``taskvec_kernels.Solver`` has.

    Returns:
        Dimensions ``module, source, target``; a float32 variable for each metric of a pair, and ``entropy``, ``norm``,
        ``rec_chance``, ``rec_chance_sd``, ``spectrum`` of (module, source). NaN where an adapter has no such module;
        the chance values of λ > 0 are NaN.
        Coordinates ``layer`` and ``kind`` along module. Attributes: ``complete``, ``unfinished`` modules, ``warnings``,
        ``skipped`` files, ``input_sha256`` in the order of ``source``, versions and options.

    Raises:
        TaskvecError: names, shapes, options or the output path are not right.
        SweepInterrupted: Ctrl-C, when ``out`` is given and a module is finished.

    Cost:
        2 r² (m + n) flop an unordered pair and module. With ``out`` peak memory is ``memory``, some 300 MiB of work
        space and the N × N results of a module, whatever the number of modules.
    """
    if not isinstance(zoo, Zoo):
        zoo = Zoo(tuple(zoo))
    adapters = zoo.adapters
    sparsity = choose_sparsity(lam, seed, **settings)
    options = Options(tuple(metrics), p, precision, backend, sparsity, device)
    check_options(options)
    groups = group_modules(adapters, results=len(options.metrics) * len(sparsity.lams), memory=memory)
    modules = module_paths(adapters)
    components = max((part.rank for group in groups for part in group.parts), default=1)
    output = None if out is None else Output(out, overwrite=overwrite)
    try:
        store = output.temporary if output else None
        results = Results(
            adapters, modules, components, options.metrics, store, sparsity.lams if sparsity.several else None
        )
        unfinished = dict.fromkeys(modules)
        total = sum(len(group.modules) * len(group.adapters) ** 2 for group in groups)
        try:
            with progress_bar(progress, "comparing pairs", total) as advance:
                for group in groups:
                    compared = compare_group(adapters, group, options, advance)
                    results.write(group.modules, group.adapters, compared.pairs | source_values(compared, sparsity))
                    for module in group.modules:
                        del unfinished[module]
        except KeyboardInterrupt as stop:
            if output is None or len(unfinished) == len(modules):
                raise
            results.finish(attributes(zoo, options, list(unfinished)))
            raise SweepInterrupted(output.keep_partial(), len(modules) - len(unfinished), len(modules)) from stop
        results.finish(attributes(zoo, options, []))
    except BaseException as error:
        if output is not None:
            output.discard()
        if isinstance(error, OSError):
            raise TaskvecError(
                f"the sweep stopped ({error})", where=out, cure="nothing was written; try again"
            ) from error
        raise
    if output is None:
        return results.dataset()
    output.commit()
    return open_results(output.path)


def source_values(compared: GroupResult, sparsity: Sparsity) -> dict[str, np.ndarray]:
    """What belongs to one adapter and module: (L, N) each, and the spectrum (L, N, k); chance also by λ, (L, λ, N)."""
    spectrum = compared.spectrum
    closed = np.array([lam == 0 for lam in sparsity.lams])[:, None]
    chance, sd = (np.where(closed, value[:, None], np.nan) for value in rec_chance(spectrum))  # [L, λ, N]
    if not sparsity.several:
        chance, sd = chance[:, 0], sd[:, 0]
    return {
        "entropy": compare_spectra(spectrum, spectrum, metrics=["entropy"])["entropy"],
        "norm": np.linalg.norm(spectrum.astype(np.float64), axis=-1),
        "rec_chance": chance,
        "rec_chance_sd": sd,
        "spectrum": spectrum,
    }


def attributes(zoo: Zoo, options: Options, unfinished: list[str]) -> dict[str, Any]:
    """Flat, so that the dataset can be written as netCDF too."""
    return {
        "complete": not unfinished,
        "unfinished": unfinished,
        "taskvec_version": __version__,
        "torch_version": torch.__version__,
        "numpy_version": np.__version__,
        "zarr_version": version("zarr"),
        "python_version": platform.python_version(),
        "metrics": list(options.metrics),
        "precision": options.precision,
        "backend": options.backend or "auto",
        "device": options.device,
        **options.sparsity.record(),
        **({} if options.p is None else {"p": options.p}),
        "input_sha256": [adapter.digest for adapter in zoo.adapters],
        "skipped": [skipped.reason for skipped in zoo.skipped],
        "warnings": [*zoo.warnings, *disjoint_pairs(zoo.adapters)],
    }


def disjoint_pairs(adapters: Sequence[Adapter]) -> list[str]:
    """A warning that counts the pairs of adapters that share no module."""
    kinds: dict[frozenset[str], int] = {}
    for adapter in adapters:
        have = frozenset(adapter.modules)
        kinds[have] = kinds.get(have, 0) + 1
    sets = list(kinds.items())
    apart = sum(n * m for i, (a, n) in enumerate(sets) for b, m in sets[:i] if a.isdisjoint(b))
    pairs = len(adapters) * (len(adapters) - 1) // 2
    return [f"{apart} of {pairs} pairs of adapters share no module: their results are NaN"] if apart else []


def check_options(options: Options) -> None:
    """TaskvecError for a metric, p, precision, device or backend that does not exist or fit."""
    check_device(options.device, options.backend)
    allowed = [*METRICS, "lp"]
    for name in options.metrics:
        if name not in allowed:
            raise TaskvecError(f"unknown metric {name!r}", expected=f"some of {', '.join(allowed)}")
    if len(set(options.metrics)) != len(options.metrics):
        raise TaskvecError("a metric is named twice", got=", ".join(options.metrics))
    if "lp" in options.metrics and not (options.p is not None and options.p > 0):
        raise TaskvecError("metric 'lp' needs p > 0", got=f"p = {options.p}")
    if options.precision not in PRECISIONS:
        raise TaskvecError(f"unknown precision {options.precision!r}", expected=f"one of {', '.join(PRECISIONS)}")
