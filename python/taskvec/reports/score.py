"""What each metric is worth: the tables and the JSON document of ``score``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd  # type: ignore[import-untyped]

from ..documents import null_for_nan
from ..queries.truth import ALL
from .tables import Column, Part, Table, shown, with_lambda

SCHEMA = "taskvec.score/1"
TITLE = "What each metric says of a known truth"
BY = ("direction", "auc")  # the order of the metrics
NOTES = {  # by words of the titles that they explain
    "direction": "direction: share of the contained pairs of which the container holds more of its part than the part "
    "of it.",
    "detection": "detection: P(a contained pair has more than an unrelated one), or one of the same task where none is "
    "contained; 0.5 is chance.",
    "claimed false": "claimed right, wrong: share of the contained pairs whose direction is claimed, at 95 % over "
    "layers; false: of pairs that have none.",
    "behaviour": "behaviour: rank correlation with it.",
}
ALWAYS = "In brackets: 95 % over seeds. norm, entropy, participation: of the source alone."
RUNS = "A claim over runs: the direction between two tasks, at 95 % over all pairs of their runs."
CLAIMS = {
    ("right", "contains"): "claimed right", ("wrong", "contains"): "claimed wrong",
    ("false", "same"): "false, the same", ("false", "unrelated"): "false, unrelated",
}  # fmt: skip

Head = tuple[Column, pd.DataFrame]  # and the scores of its cells, one row a metric


def score_tables(by_lam: Mapping[float, pd.DataFrame], *, by_relation: bool = False) -> list[Part]:
    """A row a metric, the one that is right about most directions first; what has no value is left out.

    Args:
        by_lam: from ``score``, of each λ.
        by_relation: also direction and detection of each relation.
    """
    parts: list[Part] = []
    for lam, scores in by_lam.items():
        order = in_order(scores)
        parts += [summary(scores, order, with_lambda(lam)), *over_runs(scores, order, with_lambda(lam))]
        if by_relation:
            parts += relations(scores, order, with_lambda(lam))
    return parts


def in_order(scores: pd.DataFrame) -> list[str]:
    """Names of the metrics, by direction, then by detection."""
    keys, kind = {}, kind_of(scores)
    for name in dict.fromkeys(scores["metric"]):
        of = [some[some["metric"] == name] for some in (part(scores, measure, kind) for measure in BY)]
        keys[name] = [-float(one["value"].iloc[-1]) if len(one) else float("inf") for one in of]
    return sorted(keys, key=lambda name: keys[name])


def kind_of(scores: pd.DataFrame) -> str:
    """Of the pairs that are to be detected."""
    return "contains" if (scores["kind"] == "contains").any() else "same"


def part(scores: pd.DataFrame, measure: str, kind: str, relation: str = ALL, against: str = "") -> pd.DataFrame:
    """One row a metric, or several against different controls."""
    some = (scores["measure"] == measure) & (scores["kind"] == kind) & (scores["relation"] == relation)
    return scores[some & (scores["against"] == against)] if against else scores[some]


def cell(found: pd.DataFrame) -> str:
    """The value and its interval."""
    if not len(found):
        return ""
    one = found.iloc[0]
    value = shown(float(one["value"]), ".2f")
    return value if one["low"] != one["low"] else f"{value} [{one['low']:.2f}, {one['high']:.2f}]"


def controls(scores: pd.DataFrame) -> list[str]:
    """The kinds of unrelated pairs."""
    return [name for name in dict.fromkeys(scores["against"]) if name not in ("", ALL)]


def filled(title: str, heads: Sequence[Head], names: Sequence[str], notes: Sequence[str]) -> Table:
    """A row a metric; columns and rows without a value are left out."""
    texts = {name: [cell(of[of["metric"] == name]) for _, of in heads] for name in names}
    used = [k for k in range(len(heads)) if any(of[k] for of in texts.values())]
    table = Table([Column("metric", "name"), *(heads[k][0] for k in used)], title, notes=list(notes))
    for name, of in texts.items():
        if any(of[k] for k in used):
            table.add(name, *(of[k] for k in used))
    return table


def summary(scores: pd.DataFrame, order: Sequence[str], last: str) -> Table:
    kind = kind_of(scores)
    heads = [(Column("direction"), part(scores, "direction", kind))]
    several = len(controls(scores)) > 1
    for k, label in enumerate(controls(scores)):
        title = f"detection, {label}" if several else "detection"
        heads.append((Column(title, rank=k), part(scores, "auc", kind, ALL, label)))
    for (what, of_kind), title in CLAIMS.items():
        heads.append((Column(title, rank=2), part(scores, f"claimed_{what}", of_kind)))
    heads.append((Column("behaviour", rank=1), part(scores, "spearman", "behaviour")))
    table = filled(TITLE + last, heads, order, [])
    titles = " ".join(column.title for column in table.columns)
    table.notes += [note for words, note in NOTES.items() if any(word in titles for word in words.split())]
    table.notes.append(ALWAYS)
    return table


def over_runs(scores: pd.DataFrame, order: Sequence[str], last: str) -> list[Table]:
    """Claims between tasks; none without two runs of two tasks."""
    heads = []
    for (what, kind), title in CLAIMS.items():
        some = part(scores, f"tasks_{what}", kind)
        if len(some):
            heads.append((Column(f"{title}, of {some['count'].max()}"), some))
    return [filled(f"Claims over runs{last}", heads, order, [RUNS])] if heads else []


def relations(scores: pd.DataFrame, order: Sequence[str], last: str) -> list[Table]:
    """Direction and detection of each relation; a column a relation."""
    labels = [
        (kind, label)
        for kind, label in dict.fromkeys(zip(scores["kind"], scores["relation"], strict=True))
        if label != ALL and kind in ("contains", "same")
    ]

    def heads(measure: str, against: str = "") -> list[Head]:
        return [
            (Column(label, rank=k), part(scores, measure, kind, label, against))
            for k, (kind, label) in enumerate(labels)
        ]

    tables = [filled(f"Direction by relation{last}", heads("direction"), order, [NOTES["direction"]])]
    for against in controls(scores):
        title = f"Detection by relation, against {against}{last}"
        tables.append(filled(title, heads("auc", against), order, [NOTES["detection"]]))
    return [table for table in tables if table.rows]


def score_document(by_lam: Mapping[float, pd.DataFrame], adapters: int) -> dict[str, Any]:
    """Every row; NaN as None."""
    results = [{"lambda": lam, "adapters": adapters, "scores": of.to_dict("records")} for lam, of in by_lam.items()]
    document: dict[str, Any] = null_for_nan({"schema": SCHEMA, "results": results})
    return document
