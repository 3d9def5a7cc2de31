"""The paper's tables 2 to 7, 10 and 11, in its layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd  # type: ignore[import-untyped]

from ...queries.kept import kept
from ...queries.labels import Labels
from ...queries.lams import by_lam
from ...queries.paper import (
    ALONG_LAMBDA,
    TASKS_ALONG_LAMBDA,
    along_lambda,
    by_model,
    pair_means,
    task_means,
    task_pairs,
    tests,
)
from ...queries.task_scores import rank_scores, task_scores
from .sheets import Head, Sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

ENTROPIES = {"entropy": "H(S₁)", "entropy_projected": "H(S₂)"}
METRICS = {"s1_sum": "ΣS₁", "l1": "L₁", "rec": "REC"}
ALONG = {"l2": "L₂", "l1": "L₁", "rec": "REC"}
TITLES = {"rec": "REC", "l1": "L₁", "captured": "captured"}
LAYERS = "Brackets: Student's 95 % interval, over layers for two adapters, over three or more pairs of runs for tasks."
OF_RUNS = "Brackets: Student's 95 % interval over runs."
FOLLOWS = "ΣS₁ is the sum of the source's singular values, which L₁ follows whatever the target."


def paper_sheets(
    every_lam: xr.Dataset,
    summaries: pd.DataFrame,
    captured: NDArray[np.floating],
    ends: tuple[NDArray[np.intp], NDArray[np.intp]],
    labels: Labels,
    adam: Sequence[xr.Dataset] = (),
) -> list[Sheet]:
    """The tables, as far as the result has them.

    Args:
        every_lam: the result for every λ.
        summaries: of its adapters.
        captured: (N, N) for the first λ.
        ends: sources and targets of its strongest pairs, which stand in the tables unless labels name tasks.
        labels: of the adapters.
        adam: results of the same adapters by Adam, for table 6.
    """
    _, dataset = by_lam(every_lam)[0]
    names = [str(name) for name in dataset["source"].values]
    means = pair_means(dataset, *pairs_of_tables(names, ends, labels))
    tested = pd.DataFrame()
    if kept(dataset).every_module and "l1" in dataset:
        tested = tests(dataset, captured, labels)
    source, target = (end[: 2 * ALONG_LAMBDA] for end in ends)
    if labels.groups:
        source, target = task_pairs(names, labels.groups, TASKS_ALONG_LAMBDA)
    return [
        *score_sheets(task_scores(summaries, labels)),
        *mean_sheets(means, labels),
        *test_sheets(tested, labels),
        *lambda_sheets(along_lambda(every_lam, source, target, labels, adam)),
        *rank_sheets(rank_scores(summaries, labels)),
    ]


def pairs_of_tables(
    names: Sequence[str], strongest: tuple[NDArray[np.intp], NDArray[np.intp]], labels: Labels
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sources and targets of tables 3 and 4: pairs of tasks where labels name them, else the strongest ones."""
    return task_pairs(names, labels.groups) if labels.groups else strongest


def mean_sheets(means: pd.DataFrame, labels: Labels) -> list[Sheet]:
    """Table 3; table 4 of the first family of models, table 10 of the others; models side by side."""
    tasks, sheets = task_means(means, labels), []
    for number, (family, of) in enumerate(tasks.groupby("family", sort=False)):
        last = f", {family}" if family else ""
        name = "4" if number == 0 else "10"
        sheets += [
            mean_sheet(
                f"table_3_{number + 1}" if number else "table_3",
                f"Table 3: mean normalised entropy{last}",
                of,
                ENTROPIES,
            ),
            mean_sheet(
                f"table_{name}{f'_{number}' if number > 1 else ''}", f"Table {name}: mean metrics{last}", of, METRICS
            ),
        ]
    return sheets


def mean_sheet(name: str, title: str, means: pd.DataFrame, metrics: dict[str, str]) -> Sheet:
    frame, models = by_model(means, list(metrics))
    heads = [
        Head(key, " ".join(filter(None, (model, metrics[key.split(".")[0]]))), "f3", bounds=True)
        for key, model in models.items()
    ]
    notes = (LAYERS, FOLLOWS) if "s1_sum" in metrics else (LAYERS,)
    return Sheet(name, title, [Head("projection", "projection"), *heads], frame, notes)


def test_sheets(tests: pd.DataFrame, labels: Labels) -> list[Sheet]:
    """Table 5 of the first family of models, table 11 of the others."""
    if not len(tests):
        return []
    frame = tests.copy()
    frame["question"] = [f"{row.source} → {row.first} or {row.second}" for row in tests.itertuples()]
    frame["metric"] = frame["metric"].map(TITLES)
    family = frame["source"].map(lambda name: labels.of("family", name))
    heads = [
        Head("question", "source → first or second"),
        Head("metric", "metric"),
        Head("difference", "first − second", "s3", bounds=True),
        Head("p", "Student p, two-sided", "short"),
        Head("p_one_sided", "one-sided", "short"),
        Head("p_wilcoxon", "Wilcoxon p", "short"),
        Head("q", "q", "short"),
    ]
    notes = (
        "Does the source hold the first more than the second? Paired by module; one-sided: REC and captured greater, "
        "L₁ less. q: Student's two-sided p adjusted over the comparisons of the metric (Benjamini and Hochberg). "
        "Modules of a layer are not independent: the interval resamples layers.",
    )
    sheets = []
    for number, one in enumerate(dict.fromkeys(family)):
        table, last = "5" if number == 0 else "11", f", {one}" if one else ""
        name = f"table_{table}{f'_{number}' if number > 1 else ''}"
        sheets.append(Sheet(name, f"Table {table}: tests between targets{last}", heads, frame[family == one], notes))
    return sheets


def lambda_sheets(frame: pd.DataFrame) -> list[Sheet]:
    """Table 6 of each family of models, where there are several λ: models and solvers side by side."""
    sheets: list[Sheet] = []
    for family, of in frame.groupby("family", sort=False) if len(frame) else ():
        index = ["projection", "lam"]
        order = {projection: at for at, projection in enumerate(dict.fromkeys(of["projection"]))}
        every = sorted(set(zip(of["projection"], of["lam"], strict=True)), key=lambda row: (order[row[0]], row[1]))
        wide = pd.DataFrame(index=pd.MultiIndex.from_tuples(every, names=index))
        heads = [Head("projection", "projection"), Head("lam", "λ", "short")]
        for model, of_model in of.groupby("model", sort=False):
            for solver, columns in of_model.groupby("solver", sort=False):
                one = columns.set_index(index)
                for key, title in ALONG.items():
                    name = ".".join(filter(None, (key, model, solver)))
                    for end in ("", "_low", "_high"):
                        wide[f"{name}{end}"] = one[f"{key}{end}"].reindex(wide.index)
                    heads.append(Head(name, " ".join(filter(None, (model, title, solver))), "f3", bounds=True))
        name = f"table_6_{len(sheets) + 1}" if sheets else "table_6"
        title = f"Table 6: λ against the metrics{f', {family}' if family else ''}"
        sheets.append(Sheet(name, title, heads, wide.reset_index(), (LAYERS,)))
    return sheets


def score_sheets(frame: pd.DataFrame) -> list[Sheet]:
    """Table 2: a row a task, a column a score of each model."""
    if not len(frame):
        return []
    wide = pd.DataFrame({"task": list(dict.fromkeys(frame["task"]))}).set_index("task")
    heads = [Head("task", "task")]
    for (model, score), of in frame.groupby(["model", "score"], sort=False):
        name, column = f"{score}.{model}", of.set_index("task")
        wide[name], wide[f"{name}_low"], wide[f"{name}_high"] = column["mean"], column["low"], column["high"]
        heads.append(Head(name, " ".join(filter(None, (model, score))), "short", bounds=True))
    return [
        Sheet("table_2", "Table 2: scores of the adapters on their own task", heads, wide.reset_index(), (OF_RUNS,))
    ]


def rank_sheets(frame: pd.DataFrame) -> list[Sheet]:
    """Table 7, one for each column of scores of the labels: a row a rank, a column a task."""
    sheets: list[Sheet] = []
    scores: Sequence[str] = list(dict.fromkeys(frame["score"]))
    for score in scores:
        of = frame[frame["score"] == score]
        wide = pd.DataFrame({"rank": sorted(of["rank"].unique())}).set_index("rank")
        heads = [Head("rank", "rank", "whole")]
        for task in dict.fromkeys(of["task"]):
            column = of[of["task"] == task].set_index("rank")
            name = f"score.{task}"
            wide[name], wide[f"{name}_low"], wide[f"{name}_high"] = column["mean"], column["low"], column["high"]
            heads.append(Head(name, task or "all", "short", bounds=True))
        name = f"table_7_{len(sheets) + 1}" if sheets else "table_7"
        sheets.append(Sheet(name, f"Table 7: rank against {score}", heads, wide.reset_index(), (OF_RUNS,)))
    return sheets


def missing(sheets: Sequence[Sheet]) -> list[str]:
    """What the result does not have for a table of the paper."""
    names = {sheet.name for sheet in sheets}
    lines = []
    if "table_4" not in names:
        lines.append("Tables 3 and 4 need two adapters, of two tasks where --labels names tasks.")
    if "table_5" not in names:
        lines.append("Tables 5 and 11 need three adapters and their modules: sweep with --keep all.")
    if "table_6" not in names:
        lines.append("Table 6 needs a sweep over several λ: --lambda 0 --lambda 1e-3 …; --adam puts Adam beside it.")
    if "table_7" not in names:
        lines.append("Tables 2 and 7 need scores: columns of numbers in --labels.")
    if "table_10" not in names:
        lines.append("Tables 10 and 11 are tables 4 and 5 of a second family of models: a column family in --labels.")
    return lines
