"""A pair along λ, in the layout of the paper's table 6."""

from __future__ import annotations

from ..results.curve import LambdaCurves
from .tables import Column, Table, Value, counted, shown

CURVE = (
    Value("L2", "l2", ".3g", 2),
    Value("L1", "l1", ".3g"),
    Value("REC", "rec", ".3f"),
    Value("active", "active", ".1f", 1),
    Value("H(S2)", "entropy_projected", ".3f", 4),
    Value("residual", "residual", ".3f", 3),
)


def curves_table(result: LambdaCurves) -> Table:
    """The layout of the paper's table 6: a block a direction, a row a λ; Adam's mean ± sd next to the exact value."""
    values = CURVE[:4] if result.starts else CURVE  # twice as wide
    columns = [Column("direction", "name"), Column("λ")]
    for value in values:
        columns += [value.column, Column("by Adam", rank=value.rank)] if result.starts else [value.column]
    table = Table(columns, f"along λ, means over {counted(result.used, 'module')}")
    for curve in result.curves:
        for i, point in enumerate(curve.points):
            row = []
            for _, name, form, _ in values:
                row.append(shown(point.exact[name], form))
                if point.adam is not None and point.adam_sd is not None:
                    row.append(f"{shown(point.adam[name], form)} ± {shown(point.adam_sd[name], form)}")
            table.add(f"{curve.source} → {curve.target}" if i == 0 else "", f"{point.lam:g}", *row)
        table.rule()
    table.notes.append("active: directions with S₂ > 0, the mean over modules.")
    if result.starts:
        table.notes.append(f"by Adam: mean and standard deviation over {counted(result.starts, 'start')}.")
    return table
