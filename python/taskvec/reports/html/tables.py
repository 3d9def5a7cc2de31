"""Tables of our own: the strongest pairs, and the adapters."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd  # type: ignore[import-untyped]

from ...queries.details import Details
from .sheets import Head, Sheet


def adapter_sheet(frame: pd.DataFrame) -> Sheet:
    heads = [
        Head("adapter", "adapter"), Head("task", "task"), Head("modules", "modules", "whole"),
        Head("rank", "rank", "whole"),
        Head("norm", "‖τ‖", "short"), Head("participation", "directions in effect", "short"),
        Head("holds_most", "holds most of"), Head("holds_share", "share", "percent"),
        Head("held_most_by", "held most by"), Head("held_share", "share", "percent"), Head("flags", "cautions"),
    ]  # fmt: skip
    if not frame["task"].astype(bool).any():
        del heads[1]
    return Sheet("adapters", "Adapters", heads, frame)


def pair_sheet(rows: pd.DataFrame, details: Sequence[Details]) -> Sheet:
    """The rows of the ranking with other layers, verdicts and flags."""
    frame = rows.reset_index(drop=True)
    frame["other_layers"] = [float(one.other_layers["captured"].mean) for one in details]
    frame["other_layers_t"] = [float(one.other_layers["captured"].t) for one in details]
    frame["verdict"] = [one.direction.verdict for one in details]
    frame["flags"] = [", ".join(one.flags) for one in details]
    return Sheet("pairs", "Pairs", [Head(str(name), str(name)) for name in frame.columns], frame)
