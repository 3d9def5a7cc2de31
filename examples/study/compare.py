"""What the result of one base says, as CSV files: the numbers of `tables.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import taskvec
from taskvec.queries.comparison import compare
from taskvec.queries.details import details
from taskvec.queries.kept import kept
from taskvec.queries.truth import read_truth
from taskvec_kernels import Solver

TASKS = ("sum", "ner", "ten")  # of the paper
LAMBDAS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
STARTS = 3  # of Adam
# Adam as it ends at the minimum, and as the paper's tables look: few steps at a constant rate, in absolute units
SOLVERS = {
    "clip, to the end": Solver(method="adam"),
    "softplus, to the end": Solver(method="adam", positive="softplus"),
    "softplus, 300 steps": Solver(
        method="adam", positive="softplus", start="normal", units="paper", lr=0.3, steps=300, schedule="constant"
    ),
    "clip, 300 steps": Solver(method="adam", start="normal", units="paper", lr=0.01, steps=300, schedule="constant"),
}
METRICS = (
    "captured", "captured_in", "captured_out", "rec", "rec_chance", "l1", "l2", "cosine", "overlap_u", "overlap_v",
)  # fmt: skip


def write_comparison(folder: Path) -> None:
    """score.csv, tests.csv, spectra.csv, starts.csv and lambda.csv beside result.zarr, truth.json and behaviour.csv.

    Args:
        folder: of one base, with its adapters in ``adapters``.
    """
    dataset = with_baseline(taskvec.open_result(folder / "result.zarr"), folder)
    scores = taskvec.score(dataset, folder / "truth.json", folder / "behaviour.csv")
    frames = {"score": scores, "tests": tests(dataset), "spectra": spectra(dataset), "starts": starts(dataset)}
    frames["lambda"] = along_lambda(folder / "adapters", set(dataset["source"].values.tolist()))
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")


def with_baseline(dataset: xr.Dataset, folder: Path) -> xr.Dataset:
    """Other layers for the pairs of the truth: verdicts need them."""
    if "pair" in dataset.dims:
        return dataset
    names = names_of(dataset)
    relations = read_truth(folder / "truth.json", names).relations
    pairs = [(names[i], names[j]) for one in relations for i, j in zip(one.source, one.target, strict=True)]
    return taskvec.add_baseline(dataset, taskvec.load_zoo([folder / "adapters"]), pairs, out=folder / "result.zarr")


def names_of(dataset: xr.Dataset) -> list[str]:
    return [str(name) for name in dataset["source"].values]


def seeds_of(names: list[str]) -> list[tuple[str, str]]:
    """Ends of the names of adapters of all three tasks, -s0 or -s0-shared, and what they are called."""
    ends = {name.removeprefix(f"{task}-"): None for task in TASKS for name in names if name.startswith(f"{task}-")}
    plain = [end for end in ends if re.fullmatch(r"s\d+(-shared)?", end)]
    known = [end for end in plain if all(f"{task}-{end}" in names for task in TASKS)]
    return [(f"-{end}", end.replace("-shared", ", shared start")) for end in known]


def tests(dataset: xr.Dataset) -> pd.DataFrame:
    """Tables 5 and 11 for each seed: is sum nearer to ner than to ten?"""
    names, rows = names_of(dataset), []
    for suffix, seed in seeds_of(names):
        found = compare(dataset, *(f"{task}{suffix}" for task in TASKS))
        for one in found.differences:
            row = {"seed": seed, "source": "sum", "first": "ner", "second": "ten", "metric": one.metric}
            row |= {"of_first": one.first, "of_second": one.second, "low": one.low, "high": one.high}
            row |= {"p": one.student.two_sided, "p_one_sided": one.student.one_sided}
            rows.append(row | {"p_unpaired": one.student_unpaired.two_sided})
    return pd.DataFrame(rows)


def spectra(dataset: xr.Dataset) -> pd.DataFrame:
    """A row an adapter: H(S₁), ΣS₁ and the participation ratio as means over modules, ‖τ‖, and the rank."""
    spectrum = dataset["spectrum"].values
    return pd.DataFrame(
        {
            "adapter": names_of(dataset),
            "entropy": dataset["entropy"].mean("module").values,
            "s1_sum": np.nansum(spectrum, -1).mean(0),
            "norm": np.sqrt(np.square(dataset["norm"].astype(np.float64)).sum("module").values),
            "participation": dataset["participation"].mean("module").values,
            "rank": (spectrum > 0).sum(-1).max(0),
        }
    )


def starts(dataset: xr.Dataset) -> pd.DataFrame:
    """Pairs of the tasks of the paper, with starts of their own and with a shared one: means, and the flag."""
    position = {name: i for i, name in enumerate(names_of(dataset))}
    rows = []
    for start, one, two in pairs_of_starts(list(position)):
        rows += [(start, one, two), (start, two, one)]
    frame = pd.DataFrame(rows, columns=["start", "source", "target"])
    ends = [np.array([position[name] for name in frame[end]], np.intp) for end in ("source", "target")]
    found = kept(dataset).at(*ends, [name for name in METRICS if name in dataset])
    flagged = ["shared start" in of.flags for of in details(dataset, frame)]
    return frame.assign(**found, flagged=flagged)


def pairs_of_starts(names: list[str]) -> Iterator[tuple[str, str, str]]:
    for suffix, seed in seeds_of(names):
        for one, two in combinations(TASKS, 2):
            yield "shared" if "shared" in seed else "own", f"{one}{suffix}", f"{two}{suffix}"


def along_lambda(adapters: Path, names: set[str]) -> pd.DataFrame:
    """Table 6 of seed 0: sum and ner along λ, exactly and by each Adam (mean and sd over its starts)."""
    rows: list[dict[str, Any]] = []
    if {"sum-s0", "ner-s0"} <= names:
        for title, solver in SOLVERS.items():
            curves = taskvec.lambda_path(
                adapters / "sum-s0", adapters / "ner-s0", LAMBDAS, solver=solver, seeds=STARTS
            ).curves
            for curve in curves:
                ends = {"source": Path(curve.source).name, "target": Path(curve.target).name}
                for point in curve.points:
                    values = {name: point.exact[name] for name in ("l1", "l2", "rec", "entropy_projected")}
                    if solver is SOLVERS["clip, to the end"]:
                        rows.append({"solver": "exact", **ends, "lam": point.lam, **values, "rec_sd": 0.0})
                    if point.adam is not None and point.adam_sd is not None:
                        of_adam = {name: point.adam[name] for name in values}
                        rows.append(
                            {"solver": title, **ends, "lam": point.lam, **of_adam, "rec_sd": point.adam_sd["rec"]}
                        )
    return pd.DataFrame(rows)
