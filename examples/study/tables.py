"""`python -m study.tables FOLDER`: tables.md from the CSV files of every base, and from nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

SHOWN = ("captured", "captured_out", "captured_in", "energy", "excess", "cosine", "rec", "l1", "l2", "entropy", "norm")
ALL = "all"
INTRO = """\
# What the study measured

Written by `python -m study.tables` from the CSV files beside it; no number here was typed. Brackets: 95 % over seeds,
where there are several. METHOD.md has the metrics and SCORE.md the measures."""


def write_tables(folder: Path) -> Path:
    """tables.md of a folder with one folder for each base."""
    parts = [INTRO]
    for base in sorted(path for path in folder.iterdir() if (path / "score.csv").is_file()):
        parts += [f"## {base.name}", *of_base(base)]
    if len(parts) == 1:
        raise SystemExit(f"study.tables: {folder}: no folder in it has a score.csv; run the study first")
    out = folder / "tables.md"
    out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return out


def of_base(folder: Path) -> list[str]:
    """Sections of one base; a CSV file that is not there, or has no row, gives none."""
    sections: Sequence[tuple[str, str, Callable[[pd.DataFrame], Iterable[str]]]] = (
        ("What it says", "score", said_by_scores),
        ("", "tests", said_by_tests),
        ("", "starts", said_by_starts),
        ("Which metric is right", "score", which_metric),
        ("Direction by relation", "score", lambda scores: by_relation(scores, "direction")),
        ("Detection by relation", "score", lambda scores: by_relation(scores, "auc")),
        ("Claims over runs", "score", over_runs),
        ("SUM→NER against SUM→10%SENT (tables 5 and 11)", "tests", of_tests),
        ("Spectra by task (table 3)", "spectra", of_spectra),
        ("λ (table 6)", "lambda", of_lambda),
        ("Shared starts", "starts", of_starts),
        ("Scores: zero-shot, few-shot, LoRA (tables 2 and 7)", "scores", of_scores),
        ("Behaviour: share of a task's own loss reduction that another adapter gives", "behaviour", of_behaviour),
        ("Forgetting", "forgetting", of_forgetting),
        ("Cost", "seconds", of_seconds),
    )
    parts = []
    for title, name, section in sections:
        path = folder / f"{name}.csv"
        frame = pd.read_csv(path) if path.is_file() and path.stat().st_size > 1 else pd.DataFrame()
        if len(frame) and (lines := list(section(frame))):
            parts += [f"### {title}"] if title else []
            parts.append("\n".join(lines))
    return parts


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]


def number(value: float, form: str = ".3f") -> str:
    return "" if value != value else format(value, form)


def cell(found: pd.DataFrame) -> str:
    """The value of a row of score.csv, with its interval."""
    if not len(found):
        return ""
    row = found.iloc[0]
    text = number(row["value"], ".2f")
    return text if row["low"] != row["low"] else f"{text} [{row['low']:.2f}, {row['high']:.2f}]"


def part(scores: pd.DataFrame, measure: str, kind: str, relation: str = ALL, against: str = "") -> pd.DataFrame:
    some = (scores["measure"] == measure) & (scores["kind"] == kind) & (scores["relation"] == relation)
    return scores[some & (scores["against"] == against)] if against else scores[some]


def of_metric(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    return scores[scores["metric"] == metric]


def shown(scores: pd.DataFrame) -> list[str]:
    return [name for name in (*SHOWN, "verdict", "inside") if (scores["metric"] == name).any()]


def controls(scores: pd.DataFrame) -> list[str]:
    return [name for name in scores["against"].dropna().unique() if name != ALL]


def said_by_scores(scores: pd.DataFrame) -> Iterable[str]:
    for metric in shown(scores):
        of = of_metric(scores, metric)
        right, claims = cell(part(of, "direction", "contains")), part(of, "claimed_false", "same")
        text = [f"right about {right} of the directions"] if right else []
        text += [
            f"detection {found} against {against}"
            for against in controls(scores)
            if (found := cell(part(of, "auc", "contains", against=against)))
        ]
        text += [f"a direction claimed for {cell(claims)} of the pairs of one task"] if len(claims) else []
        if text:
            yield f"- `{metric}`: {'; '.join(text)}."


def said_by_tests(tests: pd.DataFrame) -> Iterable[str]:
    nearer = {"l1": "smaller"}
    for metric, of in tests.groupby("metric", sort=False):
        of_seeds = [
            f"{row.seed} {row.of_first:.3f} against {row.of_second:.3f} (p = {row.p:.2g})" for row in of.itertuples()
        ]
        way = nearer.get(str(metric), "larger")
        yield f"- SUM→NER against SUM→10%SENT by `{metric}` ({way} is nearer), by seed: {'; '.join(of_seeds)}."


def said_by_starts(starts: pd.DataFrame) -> Iterable[str]:
    for start, of in starts.groupby("start", sort=False):
        flagged, pairs = int(of["flagged"].sum()) // 2, len(of) // 2
        yield (
            f"- Pairs with {'a shared start' if start == 'shared' else 'starts of their own'}: {flagged} of {pairs} "
            f"flagged; captured {of['captured'].mean():.4f}, REC {of['rec'].mean():.3f}."
        )


def which_metric(scores: pd.DataFrame) -> Iterable[str]:
    columns = {"direction": part(scores, "direction", "contains")}
    columns |= {f"detection, {one}": part(scores, "auc", "contains", against=one) for one in controls(scores)}
    for title, measure, kind in (
        ("claimed right", "claimed_right", "contains"), ("claimed wrong", "claimed_wrong", "contains"),
        ("false, same task", "claimed_false", "same"), ("false, unrelated", "claimed_false", "unrelated"),
        ("behaviour", "spearman", "behaviour"),
    ):  # fmt: skip
        columns[title] = part(scores, measure, kind)
    return by_metric(scores, columns)


def by_metric(scores: pd.DataFrame, columns: dict[str, pd.DataFrame]) -> list[str]:
    rows = [[name, *(cell(of_metric(of, name)) for of in columns.values())] for name in shown(scores)]
    return table(["metric", *columns], [row for row in rows if any(row[1:])])


def by_relation(scores: pd.DataFrame, measure: str) -> list[str]:
    """A row a relation, a column a metric; detection is against the first kind of controls."""
    against = controls(scores)[0] if measure == "auc" and controls(scores) else ""
    kinds = ("contains", "same") if measure == "auc" else ("contains",)
    names = [name for name in shown(scores) if name in SHOWN]
    rows = []
    for kind in kinds:
        labels = scores.loc[(scores["kind"] == kind) & (scores["measure"] == measure), "relation"].unique()
        for label in labels:
            of = part(scores, measure, kind, label, against)
            rows.append(
                [f"{label}" if label != ALL else f"all ({kind})", *(cell(of_metric(of, name)) for name in names)]
            )
    return table(["relation", *names], rows) if rows else []


def over_runs(scores: pd.DataFrame) -> list[str]:
    columns = {}
    for title, measure, kind in (
        ("right", "tasks_right", "contains"), ("wrong", "tasks_wrong", "contains"),
        ("false, unrelated", "tasks_false", "unrelated"),
    ):  # fmt: skip
        of = part(scores, measure, kind)
        if len(of):
            columns[f"{title}, of {int(of['count'].max())}"] = of
    return by_metric(scores, columns) if columns else []


def of_tests(tests: pd.DataFrame) -> list[str]:
    rows = [
        [
            str(row.seed), row.metric, number(row.of_first, ".4f"), number(row.of_second, ".4f"),
            f"[{row.low:+.4f}, {row.high:+.4f}]", number(row.p, ".2g"), number(row.p_one_sided, ".2g"),
            number(row.p_unpaired, ".2g"),
        ]
        for row in tests.itertuples()
    ]  # fmt: skip
    heads = ["seed", "metric", "SUM→NER", "SUM→10%SENT", "difference, 95 % over layers", "p", "one-sided", "unpaired"]
    return table(heads, rows)


def of_spectra(spectra: pd.DataFrame) -> list[str]:
    groups = spectra.assign(task=spectra["adapter"].str.replace(r"-s\d+", "", regex=True)).groupby("task", sort=False)
    rows = [
        [
            str(task),
            str(len(of)),
            str(int(of["rank"].max())),
            *(spread(of[name]) for name in ("entropy", "s1_sum", "norm")),
        ]
        for task, of in groups
    ]
    return table(["task", "runs", "rank", "H(S₁)", "ΣS₁", "‖τ‖"], rows)


def spread(values: pd.Series) -> str:
    """The mean, and least and largest of several."""
    text = f"{values.mean():.3f}"
    return text if len(values) < 2 else f"{text} ({values.min():.3f} to {values.max():.3f})"


def of_lambda(frame: pd.DataFrame) -> list[str]:
    rows = [
        [
            f"{row.source} → {row.target}", row.solver, f"{row.lam:g}", number(row.l2), number(row.l1),
            number(row.rec) + ("" if row.solver == "exact" else f" ± {row.rec_sd:.3f}"), number(row.entropy_projected),
        ]
        for row in frame.itertuples()
    ]  # fmt: skip
    return table(["projection", "solver", "λ", "L₂", "L₁", "REC", "H(S₂)"], rows)


def of_starts(starts: pd.DataFrame) -> list[str]:
    names = [name for name in starts.columns if name not in ("start", "source", "target", "flagged")]
    rows = [
        [
            str(start),
            str(len(of) // 2),
            *(number(of[name].mean(), ".4f") for name in names),
            str(int(of["flagged"].sum()) // 2),
        ]
        for start, of in starts.groupby("start", sort=False)
    ]
    return table(["start", "pairs", *names, "flagged"], rows)


def of_scores(scores: pd.DataFrame) -> list[str]:
    """Means over adapters of one task, setting and rank."""
    names = [
        name for name in ("rouge1", "rouge2", "rougeL", "rougeLsum", "precision", "recall", "f1") if name in scores
    ]
    keys = ["task", "setting", "rank"]
    rows = []
    for (task, setting, rank), of in scores.fillna({"rank": 0}).groupby(keys, sort=False):
        values = [number(of[name].mean(), ".2f") for name in names]
        rows.append([str(task), str(setting), str(int(rank)) if rank else "", str(len(of)), *values])
    return table([*keys, "adapters", *names], rows)


def of_behaviour(behaviour: pd.DataFrame) -> list[str]:
    """Tasks of single runs, a row what is applied, a column whose task; means over seeds."""
    ends = behaviour[["source", "target"]].apply(lambda names: names.str.replace(r"-s\d+", "", regex=True))
    plain = [name for name in ends["target"].unique() if "-" not in name]
    square = behaviour.assign(**ends).pivot_table("behaviour", "source", "target", "mean", sort=False)
    rows = [[name, *(number(square[other].get(name, float("nan")), ".2f") for other in plain)] for name in plain]
    return table(["adapter \\ task", *plain], rows)


def of_forgetting(forgetting: pd.DataFrame) -> list[str]:
    frame = forgetting.assign(adapter=forgetting["adapter"].str.replace(r"-s\d+", "", regex=True))
    frame = frame[~frame["adapter"].str.contains("-")]
    rows = [
        [
            str(name),
            str(len(of)),
            number((of["loss"] - of["base_loss"]).mean(), "+.3f"),
            number((of["loss"] > of["base_loss"]).mean(), ".2f"),
        ]
        for name, of in frame.groupby("adapter", sort=False)
    ]
    return table(["adapter", "other tasks", "mean change of their loss", "share made worse"], rows)


def of_seconds(seconds: pd.DataFrame) -> list[str]:
    columns = [name for name in ("train_cpu_seconds", "measure_cpu_seconds") if name in seconds]
    rows = [
        [name, *(f"{value:.0f}" for value in (of.min(), of.median(), of.max(), of.sum()))]
        for name in columns
        for of in [seconds[name]]
    ]
    return table(["CPU seconds an adapter", "least", "median", "most", "all"], rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m study.tables FOLDER")
    print(f"written to {write_tables(Path(sys.argv[1]))}")
