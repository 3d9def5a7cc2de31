"""Rows of several λ's as one table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd  # type: ignore[import-untyped]


def one_frame(by_lam: Mapping[float, pd.DataFrame], top: int | None = None) -> pd.DataFrame:
    """One after the other; of several λ's each row names its own."""
    parts = [rows.head(len(rows) if top is None else top) for rows in by_lam.values()]
    if len(parts) > 1:
        parts = [part.assign(lam=lam) for part, lam in zip(parts, by_lam, strict=True)]
    return pd.concat(parts, ignore_index=True)
