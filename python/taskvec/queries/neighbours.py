"""The pairs of one adapter, or of all, over chosen modules."""

from __future__ import annotations

from difflib import get_close_matches

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr

from ..chance.significance import Correction
from ..errors import TaskvecError
from .kept import Kept, Listed, Positions, kept
from .ranking import STORED, Significance, check, frame, ranking
from .selection import ORDERS

SPELLED = {"query": "q", "key": "k", "value": "v"}


def neighbours(
    dataset: xr.Dataset,
    source: str | None = None,
    target: str | None = None,
    *,
    order: str = "captured",
    kind: str | None = None,
    layers: tuple[int, int] | None = None,
    correction: Correction = "bh",
) -> pd.DataFrame:
    """Rows of the ranking, best first, NaN last.

    Args:
        dataset: a result for one λ.
        source: name of the adapter whose directions are used; None: any.
        target: name of the one that is projected; None: any.
        order: a column of the ranking.
        kind: modules of this kind alone: its name, a part of it, or q, k or v ("mlp", "q_proj", "q").
        layers: of layers first ≤ layer < last alone.
        correction: of q, which is over all pairs of the result and these modules.

    Raises:
        TaskvecError: an adapter, order, kind or layers that the result does not have, or a result that keeps no
            modules when some are asked for.

    Cost:
        Two passes over z_S of the result; of the other columns what is returned.
    """
    if order not in ORDERS:
        raise TaskvecError(f"no order {order!r}", expected=f"one of {', '.join(ORDERS)}")
    check(dataset)
    some = of_modules(dataset, kind, layers)
    if source is None and target is None:
        found = ranking(some, correction)
    else:
        pairs = kept(some)
        ends = partners(pairs, source, target)
        columns = pairs.at(*ends, STORED)
        columns["captured_back"] = pairs.at(*ends[::-1], ["captured"])["captured"]
        found = frame(pairs, *ends, columns, Significance.of(pairs, correction))
    return found.sort_values(order, ascending=ORDERS[order], kind="stable", na_position="last", ignore_index=True)


def partners(pairs: Kept, source: str | None, target: str | None) -> tuple[Positions, Positions]:
    """The pairs that have these ends, as the result keeps them."""
    one, other = (None if name is None else position(pairs, name) for name in (source, target))
    if one is not None and one == other:
        raise TaskvecError("--source and --target are the same adapter", got=str(source), fix="give two")
    if isinstance(pairs, Listed):
        there = np.ones(len(pairs.source), bool)
        for ends, end in ((pairs.source, one), (pairs.target, other)):
            there &= True if end is None else ends == end
        return pairs.source[there], pairs.target[there]
    every = np.arange(pairs.adapters)
    if one is not None and other is not None:
        return np.array([one], np.intp), np.array([other], np.intp)
    if one is not None:
        rest = np.delete(every, one)
        return np.full_like(rest, one), rest
    rest = np.delete(every, [] if other is None else other)
    return rest, np.full_like(rest, other)


def position(pairs: Kept, name: str) -> int:
    names = [str(one) for one in pairs.names]
    if name in names:
        return names.index(name)
    near = ", ".join(get_close_matches(name, names, n=3, cutoff=0.3) or names[:3])
    raise TaskvecError(f"no adapter {name!r} in the result", expected=f"one of its {len(names)}, such as {near}")


def is_of_kind(kind: str, asked: str) -> bool:
    """ "q" is q_proj and query; "mlp" is mlp.c_proj."""
    parts = kind.split(".")
    letter = SPELLED.get(parts[-1], parts[-1].split("_")[0])
    return asked in (kind, *parts, letter)


def of_modules(dataset: xr.Dataset, kind: str | None, layers: tuple[int, int] | None) -> xr.Dataset:
    """The result of some of its modules."""
    if kind is None and layers is None:
        return dataset
    if "module" not in dataset["captured"].dims:
        raise TaskvecError("the result keeps no modules apart", fix="sweep with --keep all to ask for kinds and layers")
    kinds, layer = (dataset[name].values for name in ("kind", "layer"))
    there = np.ones(len(kinds), bool)
    if kind is not None:
        there &= np.array([is_of_kind(str(one), kind) for one in kinds])
    if layers is not None:
        there &= (layer >= layers[0]) & (layer < layers[1])
    if not there.any():
        known = f"kinds {', '.join(sorted(set(map(str, kinds))))}; layers {layer.min()} to {layer.max()}"
        raise TaskvecError("no module of the result is of this kind and these layers", expected=known)
    # what was counted over all modules, or over shifted layers, does not hold for some
    return dataset.isel(module=np.flatnonzero(there)).drop_dims(["pair"], errors="ignore")
