"""A result over several λ, one λ at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def by_lam(dataset: xr.Dataset) -> list[tuple[float, xr.Dataset]]:
    """The result for each λ."""
    if "lam" not in dataset.dims:
        return [(float(dataset.attrs["lambda"]), dataset)]
    return [(float(lam), dataset.isel(lam=i)) for i, lam in enumerate(dataset["lam"].values)]
