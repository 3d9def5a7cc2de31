"""From a sweep to one row a pair: shares of the whole update, means over modules, and how far REC is above chance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr

from ..chance.significance import Correction, Negative, QValues, p_values, q_values, sigma0, sorted_values
from ..errors import TaskvecError
from .kept import SHARES, Floats, Kept, Positions, kept
from .lams import by_lam
from .stored import open_result

MEANS = ("rec", "rec_chance", "l1", "cosine")
STORED = (*SHARES, *MEANS, "rec_z_raw", "excess", "used")
COLUMNS = (
    "source", "target", *SHARES, "captured_back", "rec", "rec_chance", "rec_z_raw", "sigma0", "rec_z", "p", "q",
    "l1", "excess", "cosine", "used",
)  # fmt: skip


def ranking(dataset: xr.Dataset | str | Path, correction: Correction = "bh") -> pd.DataFrame:
    """Every ordered pair of different adapters, the one whose source holds most of its target first; NaN last.

    Args:
        dataset: from ``sweep``, or its folder; must have ``captured`` and ``rec``.
        correction: of q: "bh" (Benjamini and Hochberg), or "by" (Benjamini and Yekutieli), for any dependence.

    Returns:
        Over the modules that both have, NaN skipped, and NaN throughout for a metric that the sweep left out:

        - captured, captured_out, captured_in: Σ share · ‖τ₂‖² / Σ‖τ₂‖², the share of the whole update; captured_back:
          captured the other way;
        - rec, rec_chance, l1, cosine: means; excess: the geometric mean;
        - rec_z_raw: z_S = Σ(REC − chance) / √Σ sd²; sigma0: σ₀ of the sweep, from its negative z_S or, where they are
          fewer than 50, from those of its layer baseline; rec_z = z_S / σ₀, its one-sided p, and q over all pairs;
        - used: the modules that rec counts.

        Of a sweep over several λ's one ranking after the other, with a column lam. Of a result that keeps a list of
        pairs, those.

    Raises:
        TaskvecError: the dataset is no sweep, or it was made without "captured" or "rec".

    Cost:
        Two passes over the stored results, and 136 bytes a pair; ``select`` makes rows of those that are shown alone.
    """
    if isinstance(dataset, str | Path):
        dataset = open_result(dataset)
    check(dataset)
    if "lam" not in dataset.dims:
        return rank(dataset, correction)
    return pd.concat([rank(part, correction).assign(lam=lam) for lam, part in by_lam(dataset)])


def rank(dataset: xr.Dataset, correction: Correction) -> pd.DataFrame:
    """``ranking`` for one λ."""
    pairs = kept(dataset)
    source, target, columns = every_pair(pairs)
    order = np.lexsort((target, source, -columns["captured"]))  # NaN last
    source, target = source[order], target[order]
    for name in columns:
        columns[name] = columns[name][order]
    del order
    return frame(pairs, source, target, columns, Significance.of(pairs, correction))


def every_pair(pairs: Kept) -> tuple[Positions, Positions, dict[str, Floats]]:
    """Positions (P,) of all ordered pairs, all of them one way before all the other way, and their columns."""
    half = pairs.pairs // 2
    ends: Any = np.empty((2, 2 * half), np.int32)
    source, target = ends
    columns: dict[str, Floats] = {}
    done = 0
    for part in pairs.parts(STORED):
        columns = columns or {name: np.empty(2 * half, one.dtype) for name, one in part.there.items()}
        there, back = (slice(start, start + len(part.source)) for start in (done, half + done))
        source[there] = target[back] = part.source
        target[there] = source[back] = part.target
        for name, one in columns.items():
            one[there], one[back] = part.there[name], part.back[name]
        done += len(part.source)
    columns = columns or {name: np.empty(0) for name in STORED}
    columns["captured_back"] = np.concatenate([columns["captured"][half:], columns["captured"][:half]])
    return source, target, columns


def frame(
    pairs: Kept, source: Positions, target: Positions, columns: dict[str, Floats], significance: Significance
) -> pd.DataFrame:
    """The rows of some pairs; ``columns``: STORED and captured_back, which are taken out of it one after the other."""
    found: dict[str, Any] = significance.columns(columns.pop("rec_z_raw"))
    del significance  # it has z of every pair
    found["used"] = np.asarray(columns.pop("used"), np.int64)
    for name in tuple(columns):
        found[name] = np.asarray(columns.pop(name), np.float64)
    one_each = pd.StringDtype("python", na_value=np.nan)  # pandas' own str, but one text an adapter, not one a row
    names = pd.array(pairs.names.tolist(), dtype=one_each)
    for name, ends in (("source", source), ("target", target)):
        found[name] = names.take(ends)
    return pd.DataFrame({name: found[name] for name in COLUMNS}, copy=False)


@dataclass(frozen=True)
class Significance:
    """What z_S of a pair says among those of its sweep; ``q`` is None without a σ₀."""

    sigma0: float
    q: QValues | None

    @classmethod
    def of(cls, pairs: Kept, correction: Correction) -> Significance:
        """From every z_S of the result.

        Of a list of pairs from what the sweep counted over all: σ₀ from ``negative_z`` and ``negative_z_squares``; q
        from ``z_counts`` (never too small), or as if all pairs that are not listed were above chance by less.
        """
        dataset = pairs.dataset
        if "listed" not in dataset.dims:
            z = sorted_values(every_z(pairs), pairs.pairs)
            sigma = sigma0(z[: np.searchsorted(z, 0.0)])
            counts, tests = None, None
        elif "z_counts" in dataset:
            z, counts = dataset["z_bin"].values, dataset["z_counts"].values
            sigma, tests = listed_sigma0(dataset), None
        else:
            z = sorted_values(every_z(pairs), pairs.pairs)
            sigma, counts = listed_sigma0(dataset), None
            tests = dataset.attrs.get("pairs", pairs.adapters * (pairs.adapters - 1))
        if np.isnan(sigma) and "shifted_rec_z" in dataset:
            sigma = sigma0(dataset["shifted_rec_z"].values[:, 1:])
        if np.isnan(sigma):
            return cls(sigma, None)
        return cls(sigma, q_values(z, counts, tests=tests, sigma=sigma, correction=correction))

    def columns(self, z: Floats) -> dict[str, Floats]:
        """rec_z_raw, sigma0, rec_z, p and q of z_S."""
        z = np.asarray(z, np.float64)
        q = np.full_like(z, np.nan) if self.q is None else self.q(z)
        of_z = z / self.sigma0
        return {"rec_z_raw": z, "sigma0": np.full_like(z, self.sigma0), "rec_z": of_z, "p": p_values(of_z), "q": q}


def every_z(pairs: Kept) -> Any:
    """z_S of every ordered pair, a part at a time."""
    for part in pairs.parts(["rec_z_raw"]):
        yield part.there["rec_z_raw"]
        yield part.back["rec_z_raw"]


def listed_sigma0(dataset: xr.Dataset) -> float:
    """σ₀ of a sweep that keeps a list of its pairs."""
    if "negative_z" not in dataset:
        return np.nan
    count, squares = (dataset[name].values for name in ("negative_z", "negative_z_squares"))
    return Negative(int(count), float(squares)).sigma0


def check(dataset: xr.Dataset) -> None:
    """TaskvecError for a dataset that cannot be ranked."""
    if missing := {"captured", "rec", "norm"} - set(dataset.data_vars):
        raise TaskvecError(f"no ranking without {', '.join(sorted(missing))}", fix="sweep with captured and rec")
