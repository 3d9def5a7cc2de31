"""What a result has, as Arrow tables: pairs, adapters, modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pyarrow as pa  # type: ignore[import-untyped]
import xarray as xr
from numpy.typing import NDArray

from ..errors import printable
from ..queries.kept import Kept
from ..queries.labels import Labels
from ..queries.ranking import STORED, Significance
from ..queries.summaries import Most

Numbers = NDArray[Any]
MOST_ROWS = 4 * 10**6  # ordered pairs that are held; of more, those that hold most
MOST_MODULE_ROWS = 5 * 10**6  # of adapters and modules
BACK = "_back"
TINY = ("p", "q")  # smaller than fp32 goes


def pair_columns(pairs: Kept, significance: Significance) -> dict[str, Numbers]:
    """Every ordered pair with a module in common: positions of its adapters and the columns of the ranking.

    Of more than MOST_ROWS those of the unordered pairs that hold most, both ways.
    """
    columns = strongest(pairs, MOST_ROWS // 2)
    source, target = columns["source_at"], columns["target_at"]
    found: dict[str, Numbers] = {
        "source_at": np.concatenate([source, target]).astype(np.int32),
        "target_at": np.concatenate([target, source]).astype(np.int32),
    }
    for name in STORED:
        found[name] = np.concatenate([columns[name], columns[name + BACK]])
    found["captured_back"] = np.concatenate([columns["captured" + BACK], columns["captured"]])
    found |= significance.columns(found["rec_z_raw"])
    found["used"] = found["used"].astype(np.int32)
    del found["sigma0"]
    return found


def most_of(columns: Mapping[str, Numbers], adapters: int) -> Most:
    """Who holds most of whom, among ``pair_columns``."""
    known = ~np.isnan(columns["captured"])
    captured = columns["captured"][known]
    ends = [columns[name][known] for name in ("source_at", "target_at")]
    found: list[Numbers] = []
    for one, other in (ends, ends[::-1]):
        order = np.lexsort((captured, one))
        last = order[np.flatnonzero(np.diff(one[order], append=-1))]  # of each adapter the largest
        best, share = np.full(adapters, -1), np.full(adapters, np.nan)
        best[one[last]], share[one[last]] = other[last], captured[last]
        found += [best, share]
    return Most(*found)


def table(columns: Mapping[str, Numbers]) -> pa.Table:
    return pa.table({name: arrow(values, fine=name in TINY) for name, values in columns.items()})


def arrow(values: Numbers, *, fine: bool = False) -> pa.Array:
    """Numbers with NaN as null: whole ones as they are, others as fp32 unless ``fine``."""
    if values.dtype.kind in "iu":
        return pa.array(values)
    return pa.array(values.astype(np.float64 if fine else np.float32), from_pandas=True)


def strongest(pairs: Kept, most: int) -> dict[str, Numbers]:
    """Columns of unordered pairs, there and ``_back``, at most ``most`` of them."""
    blocks: list[dict[str, Numbers]] = []
    size = 0
    for part in pairs.parts(STORED):
        some = np.flatnonzero(part.there["used"] > 0)
        block: dict[str, Numbers] = {"source_at": part.source[some], "target_at": part.target[some]}
        block |= {name: np.asarray(part.there[name])[some] for name in STORED}
        block |= {name + BACK: np.asarray(part.back[name])[some] for name in STORED}
        blocks.append(block)
        size += len(some)
        if size > 2 * most:
            blocks = [best(joined(blocks), most)]
            size = most
    whole = joined(blocks)
    return best(whole, most) if size > most else whole


def joined(blocks: Sequence[Mapping[str, Numbers]]) -> dict[str, Numbers]:
    names = ("source_at", "target_at", *STORED, *(name + BACK for name in STORED))
    return {name: np.concatenate([np.empty(0), *(block[name] for block in blocks)]) for name in names}


def best(columns: Mapping[str, Numbers], most: int) -> dict[str, Numbers]:
    held = np.fmax(columns["captured"], columns["captured" + BACK])
    some = np.argpartition(-np.nan_to_num(held, nan=-1.0), most - 1)[:most]
    return {name: values[some] for name, values in columns.items()}


def adapter_table(summaries: pd.DataFrame, labels: Labels, hashes: Sequence[str]) -> pa.Table:
    """One row an adapter: ``summaries``, its labels and the hash of its files."""
    found: dict[str, Any] = {"place": np.arange(len(summaries), dtype=np.int32)}
    found |= {str(name): summaries[name] for name in summaries.columns}
    found["sha256"] = list(hashes)
    for column, name in label_columns(labels, found).items():
        found[name] = [labels.of(column, one) for one in summaries["adapter"]]
    return pa.Table.from_pandas(pd.DataFrame(found), preserve_index=False)


def label_columns(labels: Labels, taken: Mapping[str, Any]) -> dict[str, str]:
    """The column of the table ``adapters`` for each column of labels; ``task`` is there already."""
    names = {name.lower() for name in taken}
    found = {}
    for column in labels.columns:
        if column == labels.task:
            continue
        name = printable(column)
        while name.lower() in names:
            name = f"label_{name}"
        names.add(name.lower())
        found[column] = name
    return found


def module_table(dataset: xr.Dataset) -> pa.Table:
    names = ("layer", "kind", "rows", "columns")
    paths = {"module": [str(path) for path in dataset["module"].values]}
    return pa.table(paths | {name: dataset[name].values.tolist() for name in names})


def module_norm_table(dataset: xr.Dataset) -> pa.Table:
    """Of each adapter and module its norm, directions in effect and entropy; none where that is too many rows."""
    values = {name: dataset[name].values for name in ("norm", "participation", "entropy")}  # [L, N]
    module, adapter = np.nonzero(~np.isnan(values["norm"]))
    if len(module) > MOST_MODULE_ROWS:
        module, adapter = module[:0], adapter[:0]
    modules, names = ([str(one) for one in dataset[end].values] for end in ("module", "source"))
    coded = {
        "adapter": pa.DictionaryArray.from_arrays(adapter.astype(np.int32), names).cast(pa.string()),
        "module": pa.DictionaryArray.from_arrays(module.astype(np.int32), modules).cast(pa.string()),
    }
    return pa.table(coded | {name: arrow(value[module, adapter]) for name, value in values.items()})
