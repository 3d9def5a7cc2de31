"""A pair along λ, in the layout of the paper's table 6."""

from __future__ import annotations

from rich.console import Group, RenderableType

from ..results.curve import LambdaCurves
from .tables import counted, numbers_table, plain, shown

CURVE = (
    ("L2", "l2", ".3g"),
    ("L1", "l1", ".3g"),
    ("REC", "rec", ".3f"),
    ("active", "active", ".1f"),
    ("H(S2)", "entropy_projected", ".3f"),
    ("residual", "residual", ".3f"),
)


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
