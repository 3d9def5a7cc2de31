"""The paper's tables of scores as frames: those of every task, and rank against score."""

from __future__ import annotations

import numpy as np
import pandas as pd  # type: ignore[import-untyped]

from .direction import mean_interval
from .labels import Labels

COLUMNS = ("mean", "low", "high", "runs")


def task_scores(adapters: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Table 2: the scores of each task and model, of adapters of the most frequent rank; empty without scores.

    Args:
        adapters: from ``summaries``.
        labels: with scores, columns of numbers.

    Returns:
        task, model, score (its column), mean, low and high (Student's 95 % over runs), runs.
    """
    known = scored(adapters, labels)
    if len(known):
        known = known[known["rank"] == known.drop_duplicates("adapter")["rank"].mode().max()]
    return means(known, ["task", "model", "score"])


def rank_scores(adapters: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Table 7: the scores of the labels against the adapters' ranks; empty without a column of numbers.

    Args:
        adapters: from ``summaries``.
        labels: with scores.

    Returns:
        rank, task, score (its column), mean, low and high (Student's 95 % over runs), runs.
    """
    return means(scored(adapters, labels), ["score", "rank", "task"])[["rank", "task", "score", *COLUMNS]]


def scored(adapters: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """A row an adapter and score: adapter, rank, task, model, score, value."""
    ranks = dict(zip(adapters["adapter"], adapters["rank"], strict=True))
    tasks = labels.values.get("task", labels.groups)
    rows = [
        (name, ranks[name], tasks.get(name, ""), labels.of("model", name), score, float(text))
        for score in labels.scores
        for name, text in labels.values[score].items()
    ]
    return pd.DataFrame(rows, columns=["adapter", "rank", "task", "model", "score", "value"])


def means(known: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    rows = []
    for values, of in known.groupby(keys, sort=True):
        of_runs = of["value"].to_numpy(np.float64)
        _, low, high = mean_interval(of_runs, 2)
        rows.append((*values, of_runs.mean(), low, high, len(of)))
    return pd.DataFrame(rows, columns=[*keys, *COLUMNS])
