"""The table of one pair, module by module."""

from __future__ import annotations

from ..paths import natural
from ..queries.details import Details
from ..queries.flags import meaning
from ..queries.kept import SHARES
from ..results.projection import Projection
from .tables import Column, Table, Value, cells, columns_of, counted, shown, with_lambda

PROJECTED = (
    Value("captured", "captured", ".4f"),
    Value("out", "captured_out", ".4f", 6),
    Value("in", "captured_in", ".4f", 6),
    Value("REC", "rec", ".3f"),
    Value("chance", "rec_chance", ".3f", 1),
    Value("L1", "l1", ".3g", 3),
    Value("L2", "l2", ".3g", 8),
    Value("H(S1)", "entropy", ".3f", 7),
    Value("H(S2)", "entropy_projected", ".3f", 7),
    Value("residual", "residual", ".3f", 5),
    Value("energy", "energy", ".2g", 9),
    Value("excess", "excess", ".3g", 4),
    Value("cosine", "cosine", "+.3f", 2),
)
ERRORS = (Value("± captured", "captured_error", ".1g", 1), Value("± REC", "rec_error", ".1g", 1))
BARS = "±: how far noise of the factors moves it, root mean square; REC's at λ = 0 alone."
EXCESS = "excess: the geometric mean; whole update: shares over all modules together."


def projection_table(both: tuple[Projection, Projection], details: tuple[Details, Details]) -> Table:
    """Every module of τ₁→τ₂ with its error bars, the means, the whole update, and the same of the other way."""
    there, back = both
    barred = any("captured_error" in module.values for module in there.modules)
    columns = PROJECTED + ERRORS if barred else PROJECTED
    title = f"{there.source} → {there.target}{with_lambda(there.lam)}"
    table = Table([Column("module", "name"), *columns_of(columns)], title)
    for module in sorted(there.modules, key=lambda module: natural(module.module)):
        table.add(module.module, *cells(module.values, columns))
    table.rule()
    for label, one in (("", there), ("the other way: ", back)):
        table.add(f"{label}mean", *cells({**one.mean, "excess": one.excess}, PROJECTED))
        table.add(f"{label}whole update", *(shown(one.pooled[name], ".4f") for name in SHARES))
    notes = table.notes
    notes += [EXCESS, *([BARS] if barred else []), *map(above, both)]
    verdict = details[0].direction.words(there.source, there.target)
    notes += [f"verdict: {verdict}."] if verdict else []
    notes += [f"{flag}: {meaning(flag)}." for flag in details[0].flags]
    if there.skipped:
        first = there.skipped[0]
        notes.append(f"{counted(len(there.skipped), 'module')} not compared; {first.module}: {first.reason}.")
    return table


def above(one: Projection) -> str:
    """What REC and captured are to be read against."""
    captured, rec = one.other_layers["captured"], one.other_layers["rec"]
    values = (
        f"{name} {shown(float(of.mean), form)} ± {shown(float(of.sd), form)} (t {shown(float(of.t), '+.1f')})"
        for name, of, form in (("captured", captured, ".4f"), ("REC", rec, ".3f"))
    )
    shifts = f"other layers, {counted(int(captured.n), 'shift')}: {', '.join(values)}"
    z = f"z_S of REC against its chance {shown(one.rec_z_raw, '+.1f')}"
    return f"{one.source} → {one.target}: {shifts}; {z}."
