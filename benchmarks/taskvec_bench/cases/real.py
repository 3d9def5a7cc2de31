"""``taskvec.sweep`` of adapters that people trained: a case for each folder of the folder ``TASKVEC_TEST_ADAPTERS``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskvec_kernels import reference

from .case import TOLERANCE, Case, Provider, close
from .lowrank import qr_svd
from .pairs import METRICS, spectra_metrics

VARIANT = "real adapters"  # cases of which the registry has those that are here
COMPARED = ("l1", "l2")  # the others divide by what real pairs hardly have
FEWEST, CHECKED = 4, 4  # adapters of a folder that make it a case, and of a module that the reference is asked of

Result = dict[str, dict[str, Tensor]]  # module → metric → [source, target], in the order of the zoo


def real_cases() -> Iterator[Case]:
    root = os.environ.get("TASKVEC_TEST_ADAPTERS", "")
    for folder in sorted(Path(root).iterdir()) if root else []:
        if folder.is_dir() and sum(path.is_dir() for path in folder.iterdir()) >= FEWEST:
            yield real_case(folder)


def real_case(folder: Path) -> Case:
    """From adapters in memory to metrics: grouping, factorisation, all pairs, and what chance gives."""
    return Case(
        function="sweep",
        variant=VARIANT,
        shape={"model": folder.name},
        flop=0,
        bytes=0,
        inputs=lambda: load(folder),
        truth=truth,
        agrees=agrees,
        providers={"ours/cpu": Provider(sweep), "torch/qr and pair loop": Provider(looped)},
    )


def load(folder: Path) -> Any:
    import taskvec

    return taskvec.load_zoo([folder], skip_bad=True).adapters


def sweep(adapters: Any) -> Result:
    import taskvec

    data = taskvec.sweep(adapters, metrics=METRICS)
    return {
        str(path): {name: torch.from_numpy(data[name].sel(module=path).values) for name in METRICS}
        for path in data["module"].values
    }


def looped(adapters: Any) -> Result:
    """Every SVD once, in fp32, then one pair after the other."""
    out: Result = {}
    for path in sorted({path for adapter in adapters for path in adapter.modules}):
        modules = {i: adapter.modules[path] for i, adapter in enumerate(adapters) if path in adapter.modules}
        factors = {i: [t.float() for t in module.update()[:2]] for i, module in modules.items()}
        svds = {i: qr_svd(b, a, modules[i].scale) for i, (b, a) in factors.items()}
        out[path] = {name: torch.full((len(adapters), len(adapters)), torch.nan) for name in METRICS}
        for i, (U, S, Vh) in svds.items():
            for j, (U2, S2, Vh2) in svds.items():
                d = ((U.mT @ U2) * (Vh @ Vh2.mT)) @ S2
                for name, value in spectra_metrics(S, S2, d).items():
                    out[path][name][i, j] = value
    return out


def truth(adapters: Any) -> tuple[str, list[int], float, dict[str, Tensor]]:
    """A module, some adapters that have it with one rank, the size of their spectra, and the reference."""
    path, first = next(iter(adapters[0].modules.items()))
    modules = {i: adapter.modules[path] for i, adapter in enumerate(adapters) if path in adapter.modules}
    chosen = [i for i, module in modules.items() if module.rank == first.rank][:CHECKED]
    b, a = (torch.stack([modules[i].update()[side].double() for i in chosen]) for side in (0, 1))
    svd = reference.lowrank_svd(b, a, torch.tensor([modules[i].scale for i in chosen], dtype=torch.float64))
    return path, chosen, float(svd.S.max()), reference.pairwise(svd, metrics=COMPARED).forward


def agrees(result: Result, true: tuple[str, list[int], float, dict[str, Tensor]]) -> None:
    path, chosen, size, values = true
    close({name: t[chosen][:, chosen] for name, t in result[path].items()}, values, absolute=TOLERANCE * size)
