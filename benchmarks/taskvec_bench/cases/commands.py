"""``taskvec sweep`` as one types it: a fresh process, from the files on disk to the printed table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .case import Case, Provider, close
from .inputs import Model
from .loading import Root, folders

FIRST = 3  # pairs whose values are compared

Rows = dict[str, Tensor]


def sweep_case(model: Model, adapters: int, r: int, *, quick: bool = False) -> Case:
    """N folders of the model's modules; next to it the imports that any such program waits for."""
    return Case(
        function="taskvec sweep",
        shape=model.shape(r, modules=model.modules, N=adapters),
        flop=0,
        bytes=0,
        inputs=lambda: folders(model, adapters, r),
        truth=truth,
        agrees=close,
        providers={
            "ours/process": Provider(ours),
            "imports/torch, xarray, zarr": Provider(imports, computes="nothing", truth=lambda root: {}),
        },
        quick=quick,
    )


def ours(root: Root) -> Rows:
    out = Path(root.name).with_suffix(".zarr")
    options = ["--overwrite", "--baseline", "none", "--top", str(FIRST), "--json"]
    command = [sys.executable, "-m", "taskvec", "sweep", root.name, "-o", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return rows(json.loads(done.stdout)["results"][0]["ranking"])


def truth(root: Root) -> Rows:
    """The same pairs by the reference kernels, in this process."""
    import taskvec
    from taskvec.queries.selection import Selection, select

    dataset = taskvec.sweep(root.name, backend="reference")
    return rows(select(dataset, Selection(top=FIRST)).rows.to_dict("records"))


def rows(ranking: list[dict[str, Any]]) -> Rows:
    """Of both ends, by what they hold: names of equals may change places."""
    held = sorted(row["captured"] for row in ranking)
    return {"captured": torch.tensor(held, dtype=torch.float64)}


def imports(root: Root) -> Rows:
    subprocess.run([sys.executable, "-c", "import torch, xarray, zarr"], check=True)
    return {}
