"""Fused projections: which rows are the query's, the key's, the value's, the gate's, and adapters split by them.

Layouts were measured on transformers 5.23 by asking each fused layer for its own row numbers; those of remote code
(InternLM2, Baichuan) and of Megatron were read. Splitting a LoRA splits the rows of B; A is shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, permutations

import torch
from torch import Tensor

from ..adapters import Adapter, Cut, Dense, LowRank, Module, Update
from ..errors import TaskvecError
from ..formats.dense import Difference
from ..formats.heads import Heads, heads_of_base
from ..formats.recipe import Recipe

Spans = list[tuple[int, int]]  # rows from … up to …
Parts = list[Spans]  # of each part
QKV = ("q_proj", "k_proj", "v_proj")
GATE_UP = ("gate_proj", "up_proj")
FLUX = ("to_q", "to_k", "to_v")
NO_HEADS = "the number of heads is not known: give it with --heads n or n,g"
NO_RUNS = "the sizes of its parts are not known: give the base, whose config.json has them, with --base"
NO_LAYOUT = "the order of its rows is not known for this architecture"


@dataclass(frozen=True)
class Layout:
    """How the rows of one kind of fused module are laid out.

    Args:
        ends: a regular expression for the end of the module's path.
        parts: what its parts are called.
        spans: rows of every part from the number of rows, the inputs and the heads; None where heads are missing.
    """

    ends: str
    parts: tuple[str, ...]
    spans: Callable[[int, int, Heads | None], Parts | None]


def one_after_the_other(rows: int, inputs: int, heads: Heads | None) -> Parts | None:
    """q · k · v: thirds where all are as wide as the inputs, else n·d, g·d and g·d rows."""
    if rows == 3 * inputs:
        return _lengths(rows // 3, rows // 3, rows // 3)
    sizes = _sizes(rows, inputs, heads)
    if sizes is None:
        return None
    n, g, d = sizes
    return _lengths(n * d, g * d, g * d)


def by_group(rows: int, inputs: int, heads: Heads | None) -> Parts | None:
    """Group after group of n/g query heads, a key head and a value head; with g = n head after head q, k, v."""
    sizes = _sizes(rows, inputs, heads)
    if sizes is None:
        return None
    n, g, d = sizes
    queries = n // g * d
    starts = range(0, rows, queries + 2 * d)
    return [
        [(start, start + queries) for start in starts],
        [(start + queries, start + queries + d) for start in starts],
        [(start + queries + d, start + queries + 2 * d) for start in starts],
    ]


def codegen(rows: int, inputs: int, heads: Heads | None) -> Parts | None:
    """Four blocks of q, v and k."""
    if rows % 12:
        return None
    step = rows // 12
    q, v, k = ([(start + i * step, start + (i + 1) * step) for start in range(0, rows, 3 * step)] for i in range(3))
    return [q, k, v]


def halves(rows: int, inputs: int, heads: Heads | None) -> Parts | None:
    """gate · up."""
    return None if rows % 2 else _lengths(rows // 2, rows // 2)


def of_experts(rows: int, inputs: int, heads: Heads | None) -> Parts | None:
    """gate · up; in gpt-oss they alternate."""
    if heads is None or heads.model_type != "gpt_oss":
        return halves(rows, inputs, heads)
    return None if rows % 2 else [[(row, row + 1) for row in range(first, rows, 2)] for first in range(2)]


def chatglm(rows: int, inputs: int, heads: Heads | None) -> Parts | None:
    """q · k · v of groups (ChatGLM2, 3 and GLM-4); head after head where every head has its own key."""
    return (by_group if rows == 3 * inputs else one_after_the_other)(rows, inputs, heads)


def in_runs(rows: int, inputs: int, heads: Heads | None, name: str) -> Parts | None:
    """The same runs again and again, of the lengths that the base's config gives."""
    runs = dict(heads.runs).get(name, ()) if heads is not None else ()
    whole = sum(runs)
    if not whole or rows % whole:
        return None
    stops = list(accumulate(runs))
    return [
        [(start + stop - run, start + stop) for start in range(0, rows, whole)]
        for run, stop in zip(runs, stops, strict=True)
    ]


def thirds(rows: int, inputs: int, heads: Heads | None) -> Parts | None:
    """q · k · v of one width."""
    return None if rows % 3 else _lengths(rows // 3, rows // 3, rows // 3)


def flux_single(rows: int, inputs: int, heads: Heads | None) -> Parts | None:
    """q · k · v · mlp, the last four times as wide."""
    return None if rows % 7 else _lengths(rows // 7, rows // 7, rows // 7, rows // 7 * 4)


# the first that matches decides
LAYOUTS = (
    Layout(r"(?:img_attn|txt_attn)[._]qkv", FLUX, thirds),
    Layout(r"single_blocks[._]\d+[._]linear1", (*FLUX, "proj_mlp"), flux_single),
    Layout(r"encoder\.layers\.\d+\.self_attention\.query_key_value", QKV, chatglm),
    Layout(r"kv_b_proj", ("k_b_proj", "v_b_proj"), partial(in_runs, name="kv_b_proj")),
    Layout(
        r"in_proj_qkvz", ("in_proj_q", "in_proj_k", "in_proj_v", "in_proj_z"), partial(in_runs, name="in_proj_qkvz")
    ),
    Layout(r"in_proj_ba", ("in_proj_b", "in_proj_a"), partial(in_runs, name="in_proj_ba")),
    Layout(r"query_key_value|wqkv|linear_qkv", QKV, by_group),
    Layout(r"(?<!self_)attn\.qkv_proj", QKV, codegen),
    Layout(r"experts\.gate_up_proj\[\d+\]", GATE_UP, of_experts),
    Layout(r"gate_up_proj", GATE_UP, halves),
    Layout(r"c_attn|Wqkv|W_pack|qkv_proj|qkv|in_proj", QKV, one_after_the_other),
)
# the last modulation of FLUX: shift · scale as BFL has it, scale · shift in diffusers
OTHER_WAY_ROUND = (
    re.compile(r"(?:^|[._])final_layer[._]adaLN_modulation[._]1$"),
    re.compile(r"(?:^|[._])norm_out[._]linear$"),
)
PATTERNS = tuple((re.compile(rf"(?:^|.*[._])(?:{layout.ends})$"), layout) for layout in LAYOUTS)


@dataclass(frozen=True)
class Rows:
    """Some rows of another update."""

    of: Callable[[], Update]
    spans: tuple[tuple[int, int], ...]

    def __call__(self) -> Update:
        """The update; consecutive rows are views."""
        update = self.of()
        if isinstance(update, Cut):
            what = (
                "rows of it cannot be taken: its other directions were left out, and with them the norms of its parts"
            )
            raise TaskvecError(what, fix="ingest the adapter itself with --split-fused")
        if isinstance(update, Dense):
            base = None if update.base is None else self._take(update.base)
            return Dense(base, self._take(update.tuned))
        return LowRank(self._take(update.b), update.a, update.scale)

    def _take(self, matrix: Tensor) -> Tensor:
        pieces = [matrix[start:stop] for start, stop in self.spans]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def layout_of(path: str) -> Layout | None:
    """The layout of a fused module, None for any other."""
    return next((layout for pattern, layout in PATTERNS if pattern.match(path)), None)


def part_names(path: str, parts: Sequence[str]) -> list[str]:
    """Paths of the parts: siblings of the fused module, the number of an expert before the name."""
    if match := re.fullmatch(r"(.*\.)?gate_up_proj\[(\d+)\]", path):
        return [f"{match[1] or ''}{match[2]}.{part}" for part in parts]
    separator = "." if "." in path else "_"
    pattern = (
        r"(.*[._])?(?:linear1|query_key_value|wqkv|linear_qkv|gate_up_proj|c_attn|Wqkv|W_pack|qkv_proj|qkv|in_proj"
        r"|kv_b_proj|in_proj_qkvz|in_proj_ba)"
    )
    match = re.fullmatch(pattern, path)
    before = (match[1] if match else None) or ("" if match else f"{path}{separator}")
    return [f"{before}{part}" for part in parts]


def renamed(module: Module, path: str) -> Module:
    """The module under another tool's path for it, with its rows in that tool's order."""
    there = replace(module, path=path)
    if not any(one.search(module.path) and other.search(path) for one, other in permutations(OTHER_WAY_ROUND)):
        return there
    rows = module.shape[0]
    return replace(there, update=Rows(module.update, ((rows // 2, rows), (0, rows // 2))))


def split(module: Module, heads: Heads | None) -> list[Module] | str | None:
    """The parts of a fused module, or why it cannot be split; None for a module that is not fused."""
    layout = layout_of(module.path)
    if layout is None:
        return None
    rows, inputs = module.shape
    of_model = layout
    if heads is not None and heads.model_type == "gpt_bigcode" and heads.g == heads.n:
        of_model = replace(layout, spans=by_group)
    spans = of_model.spans(rows, inputs, heads)
    if spans is None:
        if isinstance(layout.spans, partial):
            return NO_RUNS
        return NO_HEADS if layout.spans in (one_after_the_other, by_group, chatglm) else NO_LAYOUT
    parts = []
    for path, some in zip(part_names(module.path, layout.parts), spans, strict=True):
        shape = (sum(stop - start for start, stop in some), inputs)
        rank = min(module.rank, *shape) if _is_dense(module.update) else module.rank
        parts.append(replace(module, path=path, shape=shape, rank=rank, update=Rows(module.update, tuple(some))))
    return parts


def split_all(adapter: Adapter, heads: Heads | None = None) -> Adapter:
    """The adapter with every fused module in parts; what cannot be split stays, with a warning that counts it.

    Args:
        adapter: what was read.
        heads: of the base model; None: from its config.json where it is on this machine.
    """
    return split_some(adapter, adapter.modules, heads)


def split_some(adapter: Adapter, paths: Collection[str], heads: Heads | None) -> Adapter:
    """``split_all`` for the modules at ``paths``."""
    known = heads or heads_of_base(adapter.base_model)
    modules: dict[str, Module] = {}
    whole: dict[str, list[str]] = {}
    for path, module in adapter.modules.items():
        made = split(module, known) if path in paths else None
        if isinstance(made, str):
            whole.setdefault(made, []).append(path)
        parts = made if isinstance(made, list) else [module]
        if any(part.path in modules or (part.path != path and part.path in adapter.modules) for part in parts):
            whole.setdefault("the adapter has its parts as well", []).append(path)
            parts = [module]
        modules |= {part.path: part for part in parts}
    warnings = (f"{len(some)} fused modules are not split ({some[0]}): {why}" for why, some in whole.items())
    return replace(adapter, modules=modules, warnings=(*adapter.warnings, *warnings))


def _is_dense(update: Callable[[], Update]) -> bool:
    """Whether an update has no factors, whose number of columns is its rank; it is not made for that."""
    if isinstance(update, Rows):
        return _is_dense(update.of)
    return isinstance(update, Difference) or (isinstance(update, Recipe) and update.is_dense())


def _lengths(*lengths: int) -> Parts:
    stops = list(accumulate(lengths))
    return [[(stop - length, stop)] for stop, length in zip(stops, lengths, strict=True)]


def _sizes(rows: int, inputs: int, heads: Heads | None) -> tuple[int, int, int] | None:
    """n, g and d that make ``rows`` = (n + 2g)·d rows; g from the inputs n·d where it is not said."""
    if heads is None:
        return None
    n, g = heads.n, heads.g
    if g is None:
        d = inputs // n
        g = (rows // d - n) // 2 if d else 0
    if g < 1 or n % g or rows % (n + 2 * g):
        return None
    return n, g, rows // (n + 2 * g)
