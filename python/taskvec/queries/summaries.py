"""One row an adapter: its ranks, size, directions in effect, and who is near."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from numpy.typing import NDArray

from ..documents import as_lines
from .flags import adapter_flags


@dataclass(frozen=True)
class Most:
    """Of each of N adapters the one that it holds most of, and the one that holds most of it, with the shares.

    Attributes:
        held: (N,) positions, −1 for none.
        held_share: (N,)
        holder: (N,) positions, −1 for none.
        holder_share: (N,)
    """

    held: NDArray[np.integer]
    held_share: NDArray[np.floating]
    holder: NDArray[np.integer]
    holder_share: NDArray[np.floating]

    @classmethod
    def of(cls, captured: NDArray[np.floating]) -> Most:
        """(N, N), source × target; NaN is none."""
        shares = np.nan_to_num(captured, nan=-1.0)
        found = []
        for values in (shares, shares.T):
            best, share = values.argmax(1), values.max(1)
            found += [np.where(share < 0, -1, best), np.where(share < 0, np.nan, share)]
        return cls(*found)


def summaries(dataset: xr.Dataset, most: Most, groups: Mapping[str, str] | None = None) -> pd.DataFrame:
    """A row an adapter, in the order of the result.

    Args:
        dataset: for one λ.
        most: of its adapters.
        groups: the tasks of adapters, by name.

    Returns:
        adapter; task of ``groups``; modules; rank (the largest); norm of the whole update; participation, the median
        over modules; holds_most and held_most_by with these shares; flags.
    """
    names = [str(name) for name in dataset["source"].values]
    norm, participation = (dataset[name].values for name in ("norm", "participation"))  # [L, N]
    rank = np.zeros(norm.shape, int)
    for start in range(0, len(norm), 16):
        rank[start : start + 16] = (dataset["spectrum"][start : start + 16].values > 0).sum(-1)
    starts = as_lines(dataset.attrs["starts"])
    rows = []
    for i, name in enumerate(names):
        held, holder = int(most.held[i]), int(most.holder[i])
        some = ~np.isnan(participation[:, i])
        rows.append(
            {
                "adapter": name,
                "task": (groups or {}).get(name, ""),
                "modules": int((~np.isnan(norm[:, i])).sum()),
                "rank": int(rank[:, i].max(initial=0)),
                "norm": float(np.sqrt(np.nansum(np.square(norm[:, i], dtype=np.float64)))),
                "participation": float(np.median(participation[some, i])) if some.any() else np.nan,
                "holds_most": names[held] if held >= 0 else "",
                "holds_share": float(most.held_share[i]),
                "held_most_by": names[holder] if holder >= 0 else "",
                "held_share": float(most.holder_share[i]),
                "flags": ", ".join(adapter_flags(norm[:, i], participation[:, i], starts[i])),
            }
        )
    return pd.DataFrame(rows)
