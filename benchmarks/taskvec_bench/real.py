"""``taskvec.sweep`` of adapters that people trained: a case for each folder of the folder ``TASKVEC_TEST_ADAPTERS``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskvec_kernels import reference

from .agreement import all_close
from .case import Case, Provider
from .lowrank import qr_svd
from .pairs import METRICS, spectra_metrics

VARIANT = "real adapters"  # cases of which the registry has those that are here
COMPARED = ("l1", "l2")  # the others divide by what real pairs hardly have
FEWEST, CHECKED = 4, 4  # adapters of a folder that make it a case, and of a module that the reference is asked of

Result = dict[str, dict[str, Tensor]]  # module → metric → [source, target], in the order of the zoo


def real_cases() -> Iterator[Case]:
    folder = os.environ.get("TASKVEC_TEST_ADAPTERS", "")
    if folder:
        for model in sorted(path for path in Path(folder).iterdir() if path.is_dir()):
            if len([path for path in model.iterdir() if path.is_dir()]) >= FEWEST:
                yield real_case(model)


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
    from taskvec import load_zoo

    return load_zoo([folder], skip_bad=True).adapters


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
        svds = {}
        for i, adapter in enumerate(adapters):
            if path in adapter.modules:
                module = adapter.modules[path]
                b, a = (t.float() for t in module.update()[:2])
                svds[i] = qr_svd(b, a, module.scale)
        values = {name: torch.full((len(adapters), len(adapters)), torch.nan) for name in METRICS}
        for i, (U, S, Vh) in svds.items():
            for j, (U2, S2, Vh2) in svds.items():
                d = ((U.mT @ U2) * (Vh @ Vh2.mT)) @ S2
                for name, value in spectra_metrics(S, S2, d).items():
                    values[name][i, j] = value
        out[path] = values
    return out


def truth(adapters: Any) -> tuple[str, list[int], float, dict[str, Tensor]]:
    """A module, some adapters that have it with one rank, the size of their spectra, and the reference."""
    path = next(iter(adapters[0].modules))
    rank = adapters[0].modules[path].rank
    having = [i for i, one in enumerate(adapters) if path in one.modules and one.modules[path].rank == rank][:CHECKED]
    modules = [adapters[i].modules[path] for i in having]
    factors = zip(*(module.update()[:2] for module in modules), strict=True)
    b, a = (torch.stack([factor.double() for factor in side]) for side in factors)
    scales = torch.tensor([module.scale for module in modules], dtype=torch.float64)
    svd = reference.lowrank_svd(b, a, scales)
    return path, having, float(svd.S.max()), reference.pairwise(svd, metrics=COMPARED).forward


def agrees(result: Result, true: tuple[str, list[int], float, dict[str, Tensor]]) -> None:
    path, having, size, values = true
    all_close({name: result[path][name][having][:, having] for name in COMPARED}, values, absolute=1e-4 * size)
