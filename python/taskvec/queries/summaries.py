"""One row an adapter: its ranks, size, directions in effect, and who is near."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr

from ..documents import as_lines
from .flags import adapter_flags
from .matrices import Matrices


def summaries(dataset: xr.Dataset, square: Matrices, groups: Mapping[str, str] | None = None) -> pd.DataFrame:
    """A row an adapter, in the order of the result.

    Returns:
        adapter; task of ``groups``; modules; rank (the largest); norm of the whole update; participation, the median
        over modules; holds_most and held_most_by, the adapters of the largest captured in its row and its column, with
        these shares; flags.
    """
    norm, participation = (dataset[name].values for name in ("norm", "participation"))  # [L, N]
    rank = np.zeros(norm.shape, int)
    for start in range(0, len(norm), 16):
        rank[start : start + 16] = (dataset["spectrum"][start : start + 16].values > 0).sum(-1)
    starts = as_lines(dataset.attrs["starts"])
    captured = np.nan_to_num(square.values["captured"], nan=-1.0)
    rows = []
    for i, name in enumerate(square.names):
        held, holder = int(captured[i].argmax()), int(captured[:, i].argmax())
        some = ~np.isnan(participation[:, i])
        rows.append(
            {
                "adapter": name,
                "task": (groups or {}).get(name, ""),
                "modules": int((~np.isnan(norm[:, i])).sum()),
                "rank": int(rank[:, i].max(initial=0)),
                "norm": float(np.sqrt(np.nansum(np.square(norm[:, i], dtype=np.float64)))),
                "participation": float(np.median(participation[some, i])) if some.any() else np.nan,
                "holds_most": square.names[held] if captured[i, held] >= 0 else "",
                "holds_share": captured[i, held] if captured[i, held] >= 0 else np.nan,
                "held_most_by": square.names[holder] if captured[holder, i] >= 0 else "",
                "held_share": captured[holder, i] if captured[holder, i] >= 0 else np.nan,
                "flags": ", ".join(adapter_flags(norm[:, i], participation[:, i], starts[i])),
            }
        )
    return pd.DataFrame(rows)
