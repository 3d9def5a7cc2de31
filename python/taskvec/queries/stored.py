"""Opening the result of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import xarray as xr

from ..errors import TaskvecError
from ..ledger.checked import open_dataset
from ..storage import remote_url

NEEDED = ("complete", "lambda", "input_sha256", "starts", "skipped", "skipped_paths", "warnings")  # attributes


def open_result(path: str | Path, chunks: Literal["auto"] | dict[str, int] | None = None) -> xr.Dataset:
    """The dataset at ``path``, read when it is used; its coordinates are in memory.

    Args:
        path: the folder that ``sweep`` wrote, or its URL.
        chunks: None reads what is used; {} makes lazy dask arrays in the chunks of the store, "auto" in larger ones.
            ``xarray.open_zarr`` makes dask arrays of ``kind`` and ``layer`` too, which ``groupby`` refuses.

    Raises:
        TaskvecError: there is no such folder, or no result of this version of ``sweep`` in it.
    """
    fix = "give the folder that taskvec sweep -o wrote"
    if remote_url(path) is None and not Path(path).exists():
        raise TaskvecError("there is no such result", where=path, fix=fix)
    try:
        dataset = open_dataset(path, chunks)
    except (OSError, ValueError, KeyError) as error:
        raise TaskvecError("is not a result of taskvec sweep", where=path, fix=fix) from error
    if missing := [name for name in NEEDED if name not in dataset.attrs]:
        what = f"is not a result of this version of taskvec sweep: it has no attribute {missing[0]!r}"
        raise TaskvecError(what, where=path, fix="sweep again")
    return dataset
