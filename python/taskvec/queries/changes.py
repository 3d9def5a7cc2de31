"""What changed between two results: adapters, and how much their pairs moved."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd  # type: ignore[import-untyped]
import xarray as xr

from ..documents import as_lines
from .ranking import ranking

METRICS = ("captured", "rec", "l1", "cosine")
COLUMNS = ("source", "target", *(f"{name}{part}" for name in METRICS for part in ("_before", "", "_change")))


@dataclass(frozen=True)
class Changes:
    """From an older result to a newer one.

    Attributes:
        added: adapters of the newer one alone.
        removed: of the older one alone.
        changed: of both, with other contents.
        pairs: every ordered pair of both, the one whose captured moved most first: ``COLUMNS``.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    pairs: pd.DataFrame

    def moved(self, by: float) -> pd.DataFrame:
        """The pairs whose captured moved by more than that."""
        return self.pairs[self.pairs["captured_change"].abs() > by]


def changes(old: xr.Dataset, new: xr.Dataset) -> Changes:
    """Between results for one λ; adapters are the same by name, their contents by hash.

    Cost:
        The rankings of both.
    """
    before, after = (digests(dataset) for dataset in (old, new))
    both = ranking(new).merge(ranking(old), on=["source", "target"], suffixes=("", "_before"))
    for name in METRICS:
        both[f"{name}_change"] = both[name] - both[f"{name}_before"]
    order = both["captured_change"].abs().sort_values(ascending=False, kind="stable", na_position="last").index
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name, digest in after.items() if before.get(name, digest) != digest),
        pairs=both.loc[order, list(COLUMNS)].reset_index(drop=True),
    )


def digests(dataset: xr.Dataset) -> dict[str, str]:
    """The hash of each adapter's contents, by name."""
    return dict(zip(dataset["source"].values.tolist(), as_lines(dataset.attrs["input_sha256"]), strict=True))
