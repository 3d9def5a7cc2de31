"""The paper's tables as frames, with intervals: means of pairs, tests between them, and λ."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from ..errors import TaskvecError
from ..paths import layer_of
from .comparison import compare
from .direction import mean_interval, number_layers
from .kept import kept
from .labels import Labels
from .lams import by_lam

MEANS = ("entropy", "entropy_projected", "s1_sum", "l2", "l1", "rec")
MOST_TASKS = 12  # of tables 3 and 4
LEAST_PAIRS = 3  # of runs, for an interval: with two it is 12.7 standard errors wide
RUNS = 4
MOST_TESTS = 40  # comparisons of table 5
FEW = 12  # adapters up to which every comparison may be tested
ALONG_LAMBDA = 20  # pairs of table 6
TASKS_ALONG_LAMBDA = 6
Floats = NDArray[np.floating]


def pair_means(dataset: xr.Dataset, source: NDArray[np.intp], target: NDArray[np.intp]) -> pd.DataFrame:
    """Means over modules of ordered pairs, with Student's 95 % interval over layers.

    Args:
        dataset: for one λ.
        source: (P,) positions.
        target: (P,)

    Returns:
        source, target, and for each of MEANS its mean, ``_low`` and ``_high``; NaN for what is not there, and intervals
        where modules are not kept.
    """
    pairs = kept(dataset)
    there, values = pairs.both_have(source, target), pairs.by_module(source, target)
    some = np.unique(source)
    at = np.searchsorted(some, source)
    of_source = dataset[["entropy", "spectrum"]].isel(source=some)
    values["entropy"] = of_source["entropy"].values[:, at]
    values["s1_sum"] = np.nansum(of_source["spectrum"].values, -1)[:, at]
    layers = number_layers([layer_of(path) for path in dataset["module"].values])
    frame = {"source": pairs.names[source], "target": pairs.names[target]}
    missing = np.full(there.shape, np.nan)
    for name in MEANS:
        of = np.where(there, values.get(name, missing), np.nan)
        rows = [layer_mean(of[:, p], layers) for p in range(len(source))]
        mean, low, high = np.array(rows, np.float64).reshape(-1, 3).T
        known = pairs.every_module or name in ("entropy", "s1_sum")
        frame |= {
            name: mean,
            f"{name}_low": low if known else low * np.nan,
            f"{name}_high": high if known else high * np.nan,
        }
    return pd.DataFrame(frame)


def layer_mean(values: Floats, layers: NDArray[np.intp]) -> tuple[float, float, float]:
    """The mean over modules, and the ends of Student's interval over layers around it."""
    known = ~np.isnan(values)
    if not known.any():
        return np.nan, np.nan, np.nan
    mean = float(values[known].mean())
    counts = np.bincount(layers[known])
    means = np.bincount(layers[known], values[known])[counts > 0] / counts[counts > 0]
    interval = mean_interval(means, 2)
    return mean, mean + interval.low - interval.mean, mean + interval.high - interval.mean


def task_pairs(
    names: Sequence[str], groups: Mapping[str, str], most: int = MOST_TASKS
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of pairs of different tasks: of each of the ``most`` largest the first RUNS adapters."""
    runs: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if name in groups:
            runs.setdefault(groups[name], []).append(i)
    largest = sorted(runs.values(), key=len, reverse=True)[:most]
    ends = [
        (i, j) for one in largest for other in largest if one is not other for i in one[:RUNS] for j in other[:RUNS]
    ]
    source, target = np.array(ends, np.intp).reshape(-1, 2).T
    return source, target


def task_means(means: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """``pair_means`` of tasks where labels name them: one row a projection, the mean over the pairs of its runs.

    Returns:
        projection, model and family (empty without such a label), pairs, and the columns of ``pair_means``. Of several
        pairs the interval is Student's over them, as if they were independent; NaN of two, which say nothing of it.
    """
    rows = means.copy()
    ends = {end: [labels.groups.get(name, name) for name in rows[end]] for end in ("source", "target")}
    rows["projection"] = [f"{a} → {b}" for a, b in zip(*ends.values(), strict=True)]
    for column in ("model", "family"):
        both = [{labels.of(column, row.source), labels.of(column, row.target)} for row in rows.itertuples()]
        rows[column] = [next(iter(one)) if len(one) == 1 else None for one in both]
    apart = np.array([a != b for a, b in zip(*ends.values(), strict=True)], bool)
    rows = rows[apart & rows["model"].notna() & rows["family"].notna()]
    found = []
    for (family, model, projection), some in rows.groupby(["family", "model", "projection"], sort=True):
        row = {"projection": projection, "model": model, "family": family, "pairs": len(some)}
        for name in MEANS:
            if len(some) == 1:
                row |= {key: float(some[key].iloc[0]) for key in (name, f"{name}_low", f"{name}_high")}
            else:
                values = some[name].to_numpy(np.float64)
                _, low, high = mean_interval(values, LEAST_PAIRS)
                row |= {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}
        found.append(row)
    return pd.DataFrame(
        found,
        columns=[
            "projection",
            "model",
            "family",
            "pairs",
            *(f"{name}{end}" for name in MEANS for end in ("", "_low", "_high")),
        ],
    )


def tests(dataset: xr.Dataset, captured: Floats, labels: Labels) -> pd.DataFrame:
    """Whether a source holds one target more than another, as tables 5 and 11, and corrected over all that is tested.

    Every pair of targets of every source while they are few, else the two that each source holds most of.

    Args:
        dataset: for one λ, with every module.
        captured: (N, N).
        labels: of tasks: a source is then compared with two other tasks; of models: all three are of one.

    Returns:
        A row a comparison and metric: source, first, second, metric, difference with the ends of its interval over
        layers, Student's paired p (two-sided and one-sided), Wilcoxon's, and ``q``, Student's two-sided p adjusted over
        the comparisons of the metric (Benjamini and Hochberg).
    """
    names = [str(name) for name in dataset["source"].values]
    rows = []
    tasks = [labels.groups.get(name, name) for name in names]
    models = [(labels.of("family", name), labels.of("model", name)) for name in names]
    for i, j, k in comparisons(captured, tasks, models):
        try:
            result = compare(dataset, names[i], names[j], names[k])
        except TaskvecError:  # no module in common
            continue
        rows += [
            {
                "source": result.source,
                "first": result.first,
                "second": result.second,
                "metric": one.metric,
                "difference": one.difference,
                "difference_low": one.low,
                "difference_high": one.high,
                "p": one.student.two_sided,
                "p_one_sided": one.student.one_sided,
                "p_wilcoxon": one.wilcoxon.two_sided,
            }
            for one in result.differences
        ]
    frame = pd.DataFrame(rows)
    if len(frame):
        frame["q"] = frame.groupby("metric")["p"].transform(adjusted)
    return frame


def adjusted(p: pd.Series) -> pd.Series:
    """Of Benjamini and Hochberg; NaN is no test and stays NaN."""
    known = p.notna()
    q = p.copy()
    q[known] = false_discovery_control(p[known])
    return q


def comparisons(captured: Floats, tasks: Sequence[str], models: Sequence[Hashable] = ()) -> list[tuple[int, int, int]]:
    """Positions of sources and two targets each, the nearer first, of three tasks and one model."""
    near = np.argsort(-np.nan_to_num(captured, nan=-1.0), axis=1, kind="stable")
    of = models or [None] * len(tasks)
    order = [[j for j in row if tasks[j] != tasks[i] and of[j] == of[i]] for i, row in enumerate(near.tolist())]
    if len(order) <= FEW:
        every = [(i, j, k) for i, row in enumerate(order) for j, k in combinations(row, 2) if tasks[j] != tasks[k]]
        if len(every) <= MOST_TESTS:
            return every
    best = []
    for i, row in enumerate(order):
        second = next((k for k in row if tasks[k] != tasks[row[0]]), None)
        best += [] if second is None else [(i, row[0], second)]
    best.sort(key=lambda one: -float(np.nan_to_num(captured[one[0], one[1]], nan=-1.0)))
    return best[:MOST_TESTS]


def along_lambda(
    dataset: xr.Dataset,
    source: NDArray[np.intp],
    target: NDArray[np.intp],
    labels: Labels,
    adam: Sequence[xr.Dataset] = (),
) -> pd.DataFrame:
    """Table 6: the means of ordered pairs, or of tasks where labels name them, at every λ; empty for one λ.

    Args:
        dataset: for every λ.
        source: (P,) positions.
        target: (P,)
        labels: of its adapters.
        adam: results of the same adapters by Adam, each from another start; the mean over them is one more solver.

    Returns:
        The columns of ``task_means``, lam, and solver: "exact" or "Adam", and empty where all is exact.
    """
    if "lam" not in dataset.dims and not adam:
        return pd.DataFrame()
    names = dataset["source"].values
    means: dict[tuple[str, float], list[pd.DataFrame]] = {}
    for one in (dataset, *adam):
        position = {name: i for i, name in enumerate(one["source"].values.tolist())}
        ends = [np.array([position[name] for name in names[end]], np.intp) for end in (source, target)]
        for lam, part in by_lam(one):
            means.setdefault((solver_of(one), lam), []).append(pair_means(part, *ends))
    alone = {solver for solver, _ in means} == {"exact"}
    frames = [
        task_means(mean_of_starts(of), labels).assign(lam=lam, solver="" if alone else solver)
        for (solver, lam), of in means.items()
    ]
    return pd.concat(frames, ignore_index=True)


def mean_of_starts(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Of the same rows several times: the starts of a pair are no runs of their own, and give no interval."""
    first = frames[0]
    numbers = first.select_dtypes("number").columns
    return first.assign(**{name: sum(one[name] for one in frames) / len(frames) for name in numbers})


def solver_of(dataset: xr.Dataset) -> str:
    return "Adam" if dataset.attrs["method"] == "adam" else "exact"


def check_adam(dataset: xr.Dataset, adam: Mapping[str, xr.Dataset]) -> None:
    """TaskvecError for a result, by its path, that is not of Adam or lacks adapters of ``dataset``."""
    for path, one in adam.items():
        if solver_of(one) != "Adam":
            raise TaskvecError("is not by Adam", where=path, fix="sweep with --method adam")
        if missing := sorted({*dataset["source"].values.tolist()} - {*one["source"].values.tolist()}):
            raise TaskvecError(f"has no adapter {missing[0]!r}", where=path, fix="sweep the same adapters")


def by_model(means: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, Mapping[str, str]]:
    """``task_means`` of one family with its models side by side, as the paper has them.

    Args:
        means: rows of one family.
        names: of MEANS.

    Returns:
        One row a projection, in the order of the first model's L₁; columns ``name.model``, or the name alone without a
        model, with ``_low`` and ``_high``, and the model of each column's number.
    """
    models = list(dict.fromkeys(means["model"]))
    first = means[means["model"] == models[0]].sort_values("l1", kind="stable")["projection"].tolist()
    order = [*first, *(one for one in means["projection"].unique() if one not in set(first))]
    found, heads = pd.DataFrame({"projection": order}).set_index("projection"), {}
    for model in models:
        of = means[means["model"] == model].set_index("projection")
        for name in names:
            column = f"{name}.{model}" if model else name
            for end in ("", "_low", "_high"):
                found[f"{column}{end}"] = of[f"{name}{end}"].reindex(order)
            heads[column] = model
    return found.reset_index(), heads
