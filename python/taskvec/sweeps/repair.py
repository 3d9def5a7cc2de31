"""Computing units of a result again whose chunks are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from taskvec_kernels import Solver

from ..documents import as_text
from ..errors import TaskvecError
from ..ledger.arrays import read_attributes
from ..ledger.lease import Lease
from ..progress import Mode
from ..store.factors import Factors
from ..store.opening import is_store
from ..zoo import Zoo, load_zoo
from .baseline import options_of
from .extend import UNIT
from .inputs import as_factors
from .metadata import mend
from .run import sweep
from .status import forget, opened


def repair_result(path: str | Path, units: set[str], progress: Mode = "off") -> None:
    """Read the adapters of a result again, and compute some of its units from them; those of changed adapters too.

    Raises:
        TaskvecError: nobody knows where the adapters are; a unit is of the layer baseline, which ``taskvec sweep``
            computes.
    """
    storage, plan, ledger = opened(path)
    zoo = read_again(path, dict(plan.inputs or {}), progress)
    attributes = read_attributes(storage)
    with Lease(storage, "repaired"):
        ledger.mend()
        if mend(storage, ledger):
            metrics = as_text(plan.options["metrics"].split(","))
            attributes = {"device": "cpu", **plan.options, "metrics": metrics}
            if not plan.options["several"] and isinstance(attributes["lambda"], list):
                (attributes["lambda"],) = attributes["lambda"]
            units = units | ledger.newest.keys() & {UNIT}
    options = options_of(xr.Dataset(attrs=attributes))
    forget(path, units - {UNIT})
    sweep(
        zoo,
        path,
        solver=Solver.from_dict(attributes),
        metrics=options.metrics,
        p=options.p,
        precision=options.precision,
        backend=options.backend,
        device=options.device,
        keep=plan.keep,
        progress=progress,
        inputs=plan.inputs,
    )
    if UNIT in units:
        fix = "run the command of the sweep once more"
        raise TaskvecError("all was computed again but the layer baseline", where=str(path), fix=fix)


def read_again(path: str | Path, inputs: dict[str, Any], progress: Mode) -> Zoo | Factors:
    """The adapters from where they were read."""
    paths = inputs.pop("paths", None)
    if not paths:
        what = "does not say where its adapters are"
        raise TaskvecError(what, where=str(path), fix="sweep them to this place once more")
    if len(paths) == 1 and is_store(paths[0]):
        return as_factors(paths)
    return load_zoo(paths, progress=progress, **inputs)
