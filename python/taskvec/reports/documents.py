"""The JSON documents of ``sweep``, ``show`` and ``project``: one shape each, whatever the options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..chance.layers import OtherLayers
from ..documents import as_lines, null_for_nan
from ..queries.details import Details
from ..queries.kept import SHARES
from ..queries.selection import Selected
from ..results.projection import Projection

if TYPE_CHECKING:
    import xarray as xr

SWEEP = "taskvec.sweep/2"
PROJECT = "taskvec.project/2"
NO_ERRORS = {"rec_error": None, "captured_error": None}  # of a module, where no error bars were asked for
OF_ROW = (
    "captured_back", "rec", "rec_chance", "rec_z_raw", "sigma0", "rec_z", "p", "q", "l1", "excess", "cosine", "used",
)  # fmt: skip


def sweep_document(
    dataset: xr.Dataset, out: Path, found: Sequence[tuple[float, Selected, Sequence[Details]]]
) -> dict[str, Any]:
    """The rows that the tables show, of each λ and group, and both directions of each; NaN as None."""
    skipped = zip(*(as_lines(dataset.attrs[name]) for name in ("skipped_paths", "skipped")), strict=True)
    common = {
        "out": str(out),
        "modules": dataset["module"].values.tolist(),
        "skipped": [{"path": path, "reason": reason} for path, reason in skipped],
        "warnings": as_lines(dataset.attrs["warnings"]),
    }
    results = [
        {
            "lambda": lam,
            "group": selected.group,
            "adapters": list(selected.adapters),
            **common,
            "pairs": len(selected.adapters) * (len(selected.adapters) - 1) // 2,
            "left_out": selected.between + selected.filtered + selected.apart + selected.absent,
            "ranking": [ranked(row, one) for row, one in zip(selected.rows.to_dict("records"), of_rows, strict=True)],
        }
        for lam, selected, of_rows in found
    ]
    document: dict[str, Any] = null_for_nan({"schema": SWEEP, "results": results})
    return document


def ranked(row: Mapping[str, Any], details: Details) -> dict[str, Any]:
    """One ordered pair."""
    return {
        "source": row["source"],
        "target": row["target"],
        **{name: row[name] for name in ("captured", *OF_ROW)},
        "pooled": {name: row[name] for name in SHARES},
        "mean": details.mean,
        "excess_quartiles": details.excess_quartiles,
        **judged(details.other_layers, details),
    }


def against(of: OtherLayers) -> dict[str, float | int]:
    return {"mean": float(of.mean), "sd": float(of.sd), "t": float(of.t), "n": int(of.n)}


def project_document(
    results: Sequence[tuple[tuple[Projection, Projection], tuple[Details, Details]]],
) -> dict[str, Any]:
    """Both directions of one pair for each λ; NaN as None."""
    documents = [projected(there, back, found) for (there, back), found in results]
    document: dict[str, Any] = null_for_nan({"schema": PROJECT, "results": documents})
    return document


def projected(there: Projection, back: Projection, found: tuple[Details, Details]) -> dict[str, Any]:
    """τ₁→τ₂ for one λ; of the other way what its modules say together."""
    return {
        "source": there.source,
        "target": there.target,
        "lambda": there.lam,
        "modules": [
            {"module": of.module, "norm": of.norm, "s1": of.s1, "s2": of.s2, **NO_ERRORS, **of.values}
            for of in there.modules
        ],
        **together(there, found[0]),
        "other_way": together(back, found[1]),
        "skipped": [asdict(item) for item in there.skipped],
    }


def together(one: Projection, details: Details) -> dict[str, Any]:
    """σ₀ and what follows from it belong to the pairs of a sweep."""
    return {
        "mean": dict(one.mean),
        "used": dict(one.used),
        "pooled": dict(one.pooled),
        "excess": one.excess,
        "excess_quartiles": one.excess_quartiles,
        "rec_z_raw": one.rec_z_raw,
        **dict.fromkeys(("sigma0", "rec_z", "p", "q")),
        **judged(one.other_layers, details),
    }


def judged(layers: Mapping[str, OtherLayers], details: Details) -> dict[str, Any]:
    return {
        "other_layers": {name: against(of) for name, of in layers.items()},
        "verdict": details.direction.verdict,
        "direction": details.direction.to_dict(),
        "flags": details.flags,
    }
