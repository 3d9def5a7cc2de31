"""Rows of queries and keys in Meta's rotary order, which torchtune and llama.cpp keep, turned to the usual one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from .algebra.lora import linear
from .heads import Heads
from .reading.tensors import TensorFile

UNTURNED = (
    "rows in Meta's rotary order: not comparable with a Hugging Face adapter; give the number of heads with --heads"
)
Combine = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def turn(
    file: TensorFile, pairs: Mapping[str, tuple[str, ...]], path: str, last: tuple[str, str], heads: Heads | None
) -> tuple[Combine, tuple[str, ...]]:
    """How B and A of a module become factors in the usual order of rows, and a warning where that is not known.

    Args:
        file: the weights file.
        pairs: names of B and A of every module.
        path: the module.
        last: the last names of the paths of queries and of keys.
        heads: of the model.
    """
    parent, _, name = path.rpartition(".")
    if name not in last:
        return linear, ()
    rows = next(iter(file.shapes[pairs[path][0]]), 0)
    queries = pairs.get(f"{parent}.{last[0]}")
    query_rows = None if queries is None else next(iter(file.shapes[queries[0]]), 0)
    count = heads_in(rows, name == last[0], query_rows, heads)
    return (linear, (UNTURNED,)) if count is None else (partial(in_halves, heads=count), ())


def in_halves(b: Tensor, a: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Factors whose rows go from pairs (d/2, 2) in each head to halves (2, d/2)."""
    return rows_in_halves(b, heads), a


def rows_in_halves(t: Tensor, heads: int) -> Tensor:
    """The rows of a vector or a matrix, from pairs (d/2, 2) in each head to halves (2, d/2)."""
    return t.reshape(heads, t.shape[0] // heads // 2, 2, -1).transpose(1, 2).reshape(t.shape)


def heads_in(rows: int, is_query: bool, query_rows: int | None, heads: Heads | None) -> int | None:
    """Heads of ``rows`` rows of queries or keys, None where they are not known or do not fit.

    Args:
        rows: of this module.
        is_query: whether they are queries.
        query_rows: rows of the queries of the same layer, None where the file has none.
        heads: of the model.
    """
    if heads is None:
        return None
    count = heads.n if is_query else heads.g
    if count is None and query_rows is not None and query_rows % heads.n == 0:
        count = rows // (query_rows // heads.n)
    return count if count and rows % (2 * count) == 0 else None
