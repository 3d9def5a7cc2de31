"""Further variables of a result that is complete."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xarray as xr

from ..ledger.arrays import METADATA, Array, Part, write_group
from ..ledger.chunks import write_chunks
from ..ledger.records import Ledger
from ..storage import open_storage

UNIT = "added"  # of the ledger
LONGEST = 2**18  # of a side of a chunk


def add_variables(out: str | Path, dataset: xr.Dataset, unit: str = UNIT, key: str = "") -> None:
    """Add the variables and coordinates of a dataset to a result, or replace those of their names.

    Who has the result open sees it without them. ``unit`` and ``key`` are those of their record in the ledger.
    """
    storage = open_storage(out)
    ledger = Ledger(storage)
    ledger.refresh()
    arrays, chunks = dict[str, Array](), dict[str, tuple[int, str]]()
    for name, one in dataset.variables.items():
        values = one.values
        fill = np.nan if values.dtype.kind == "f" else 0
        chunk = tuple(max(1, min(size, LONGEST)) for size in values.shape)
        array = Array(str(name), tuple(map(str, one.dims)), values.shape, chunk, values.dtype, fill, one.attrs)
        arrays[str(name)] = array
        chunks |= write_chunks(storage, array.cut(Part(str(name), (0,) * values.ndim, values)))
    ledger.append(unit, key, chunks, {})
    root = json.loads(storage.read(METADATA))
    write_group(
        storage,
        arrays,
        root["attributes"],
        root["consolidated_metadata"]["metadata"] | {name: array.metadata() for name, array in arrays.items()},
    )
