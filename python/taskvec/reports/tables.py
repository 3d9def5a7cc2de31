"""Tables for people: the ranking of a sweep, and one projection module by module."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from numpy.typing import NDArray
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..errors import printable
from ..results.curve import LambdaCurves
from ..results.projection import Projection

CAUTION = (
    "chance is the REC of random directions, z how many standard deviations the mean REC lies above it: an "
    "approximation, so over hundreds of modules |z| < 3 proves nothing."
)
NO_CHANCE = "with λ > 0 there is no chance value to compare with."
# column title, name of the value, format
RANKED = (
    ("REC", "rec", ".3f"),
    ("chance", "rec_chance", ".3f"),
    ("z", "rec_z", "+.1f"),
    ("L1", "l1", ".3g"),
    ("excess", "excess", ".3g"),
    ("cosine", "cosine", "+.3f"),
    ("modules", "used", "d"),
)
PROJECTED = (
    ("REC", "rec", ".3f"),
    ("chance", "rec_chance", ".3f"),
    ("L1", "l1", ".3g"),
    ("L2", "l2", ".3g"),
    ("H(S1)", "entropy", ".3f"),
    ("H(S2)", "entropy_projected", ".3f"),
    ("residual", "residual", ".3f"),
    ("energy", "energy", ".2g"),
    ("excess", "excess", ".3g"),
    ("cosine", "cosine", "+.3f"),
)
CURVE = (
    ("L2", "l2", ".3g"),
    ("L1", "l1", ".3g"),
    ("REC", "rec", ".3f"),
    ("active", "active", ".1f"),
    ("H(S2)", "entropy_projected", ".3f"),
    ("residual", "residual", ".3f"),
)
Columns = tuple[tuple[str, str, str], ...]


def ranking_table(ranked: pd.DataFrame, top: int = 10, lam: float = 0.0) -> RenderableType:
    """Both directions of every pair, the more included one first, in the order of its z.

    Args:
        ranked: from ``ranking``.
        top: pairs that are shown from each end; those between are counted.
        lam: λ of the ranking.
    """
    if ranked.empty:
        return Text("One adapter: there are no pairs to rank.")
    pairs = both_directions(ranked)
    known = pairs[(ranked["used"].to_numpy() > 0)[pairs[:, 0]]]
    ends = known if len(known) <= 2 * top else np.concatenate([known[:top], known[len(known) - top :]])
    left_out = len(known) - len(ends)
    title = "How far each target is included in each source" + with_lambda(lam)
    table = numbers_table(title, ("source", "target"), RANKED)
    for i, pair in enumerate(ends):
        if left_out and i == top:
            table.add_row("⋮", "⋮")
        first, second = ranked.iloc[pair].to_dict("records")
        table.add_row(plain(first["source"]), plain(first["target"]), *cells(first, RANKED))
        table.add_row("  the other way", "", *cells(second, RANKED))
    notes = [CAUTION if lam == 0 else NO_CHANCE]
    if left_out:
        notes.append(f"{counted(left_out, 'pair')} between the {top} at each end left out.")
    if len(known) < len(pairs):
        notes.append(f"{counted(len(pairs) - len(known), 'pair')} of adapters without a module in common not shown.")
    return Group(table, *map(Text, notes))


def projection_table(result: Projection) -> RenderableType:
    """Every module of τ₁→τ₂, the means, and z."""
    table = numbers_table(f"{result.source} → {result.target}{with_lambda(result.lam)}", ("module",), PROJECTED)
    for module in result.modules:
        table.add_row(plain(module.module), *cells(module.values, PROJECTED))
    table.add_section()
    table.add_row("mean", *cells(result.mean, PROJECTED))
    z = f"z of REC over {result.used['rec']} modules: {shown(result.rec_z, '+.1f')}. {CAUTION}"
    notes = [z if result.lam == 0 else NO_CHANCE]
    if result.skipped:
        first = result.skipped[0]
        notes.append(f"{counted(len(result.skipped), 'module')} not compared; {first.module}: {first.reason}.")
    return Group(table, *map(plain, notes))


def curves_table(result: LambdaCurves) -> RenderableType:
    """The layout of the paper's table 6: a block a direction, a row a λ; Adam's mean ± sd next to the exact value."""
    values = CURVE[:4] if result.starts else CURVE  # twice as wide
    columns = [("λ", "", "")]
    for column in values:
        columns += [column, ("by Adam", "", "")] if result.starts else [column]
    title = f"along λ, means over {counted(result.used, 'module')}"
    table = numbers_table(title, ("direction",), tuple(columns))
    for curve in result.curves:
        for i, point in enumerate(curve.points):
            row = []
            for _, name, form in values:
                row.append(shown(point.exact[name], form))
                if point.adam is not None and point.adam_sd is not None:
                    row.append(f"{shown(point.adam[name], form)} ± {shown(point.adam_sd[name], form)}")
            table.add_row(plain(f"{curve.source} → {curve.target}" if i == 0 else ""), f"{point.lam:g}", *row)
        table.add_section()
    notes = ["active: directions with S₂ > 0, the mean over modules."]
    if result.starts:
        notes.append(f"by Adam: mean and standard deviation over {counted(result.starts, 'start')}.")
    return Group(table, *map(plain, notes))


def with_lambda(lam: float) -> str:
    return f", λ = {lam:g}" if lam else ""


def both_directions(ranked: pd.DataFrame) -> NDArray[np.intp]:
    """Positions of the two rows of each unordered pair, (pairs, 2), in the order of the first of the two."""
    codes, names = pd.factorize(pd.concat([ranked["source"], ranked["target"]]))
    ends = np.sort(codes.reshape(2, -1), axis=0)
    order = np.argsort(ends[0] * len(names) + ends[1], kind="stable").reshape(-1, 2)
    return order[np.argsort(order[:, 0])]


def numbers_table(title: str, labels: tuple[str, ...], columns: Columns) -> Table:
    table = Table(title=plain(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for label in labels:
        table.add_column(label, overflow="fold")
    for header, _, _ in columns:
        table.add_column(header, justify="right", no_wrap=True)
    return table


def cells(values: Mapping[str, Any], columns: Columns) -> list[str]:
    return [shown(values[name], form) for _, name, form in columns]


def shown(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value + 0, form)  # -0.0 as 0


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def plain(text: str) -> Text:
    """Text with nothing in it that a terminal would obey."""
    return Text(printable(text))
