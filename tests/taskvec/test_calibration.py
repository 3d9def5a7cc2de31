"""How often chance is called a finding: pairs of real adapters in which every module meets another layer.

They have nothing to do with each other but what adapters of one model share. The example zoo is everyone's; the other
adapters are those of ``TASKVEC_TEST_ADAPTERS``. The figures are those of docs/METHOD.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr
from scipy.stats import t as student

from taskvec import load_zoo, sweep
from taskvec.chance.layers import other_layers
from taskvec.chance.significance import p_values
from taskvec.queries.details import Pairs
from taskvec.queries.direction import Shares, direction
from taskvec.queries.ranking import ranking
from taskvec.queries.selection import Selection, select
from taskvec.sweeps.baseline import add_baseline

ZOO = Path(__file__).parents[2] / "examples/zoo"
FOLDERS = (
    "gpt2",
    "gemma-3-270m--it",
    "distilbert-base-uncased",
    "bert-base-uncased",
    "roberta-base",
    "bigscience-bloom-560m",
)


def with_baseline(folder: Path) -> xr.Dataset:
    zoo = load_zoo([folder])
    return add_baseline(sweep(zoo), zoo)


@pytest.fixture(scope="module")
def example_zoo() -> xr.Dataset:
    return with_baseline(ZOO)


@pytest.fixture(scope="module")
def real(real_adapters) -> dict[str, xr.Dataset]:
    return {name: with_baseline(real_adapters / name) for name in FOLDERS}


class Rates(NamedTuple):
    """Of p < 0.01 and p < 1e-4 among n shifted pairs, by z with the sweep's own σ₀, and by z_S without it."""

    n: int
    at_100th: float
    at_10_000th: float
    raw_at_100th: float
    raw_at_10_000th: float


def rates(datasets: Iterable[xr.Dataset]) -> Rates:
    """Of the sweeps that have a σ₀."""
    z, raw = [], []
    for dataset in datasets:
        shifted = dataset["shifted_rec_z"].values[:, 1:]  # [pairs, n]
        sigma0 = ranking(dataset)["sigma0"].iloc[0]
        if not np.isnan(sigma0):
            raw.append(shifted[~np.isnan(shifted)])
            z.append(raw[-1] / sigma0)
    p, p_raw = (p_values(np.concatenate(one)) for one in (z, raw))
    return Rates(len(p), *(float((one < alpha).mean()) for one in (p, p_raw) for alpha in (0.01, 1e-4)))


def leave_one_out(datasets: Iterable[xr.Dataset], fewest: int = 6) -> np.ndarray:
    """One-sided p of captured of each shift against those of the pair's other shifts."""
    found = []
    for dataset in datasets:
        for shifted in dataset["shifted_captured"].values[:, 1:]:
            values = shifted[~np.isnan(shifted)]
            if len(values) >= fewest:
                rest = np.array([np.delete(values, i) for i in range(len(values))])
                found.append(student.sf(other_layers(values, rest, logarithm=True).t, len(values) - 2))
    p = np.concatenate(found)
    return p[~np.isnan(p)]


def test_z_of_the_example_zoo(example_zoo) -> None:
    found = rates([example_zoo])
    print(found)
    assert found.n == 56 * 5 and found.at_100th <= 0.05 and found.at_10_000th <= 0.002


def test_z_of_real_adapters(real) -> None:
    found = rates(real.values())
    print(found)
    assert found.n > 6700 and found.at_100th <= 0.05 and found.at_10_000th <= 0.002
    assert found.raw_at_100th > 5 * found.at_100th  # what σ₀ is for


def test_t_of_other_layers(real) -> None:
    p = leave_one_out(real.values())
    found = {alpha: float((p < alpha).mean()) / alpha for alpha in (0.05, 0.01)}
    assert len(p) > 6000 and all(0.7 <= rate <= 1.5 for rate in found.values())


def exchanged(dataset: xr.Dataset, draws: int) -> tuple[int, int]:
    """Draws in which a direction is named when the two of each layer change places at random, and all draws."""
    rng = np.random.default_rng(14)
    pairs = Pairs(dataset, select(dataset, Selection()).rows)
    named = asked = 0
    for p in range(0, pairs.there.shape[1], 2):
        there, back, use = pairs.shares(p), pairs.shares(p + 1), pairs.there[:, p]
        layers = [layer for layer, one in zip(pairs.layers, use, strict=True) if one]
        kinds = sorted(set(layers))
        if len(kinds) < 6 or not (there.random == back.random).all():
            continue
        for _ in range(draws):
            turned = dict(zip(kinds, rng.random(len(kinds)) < 0.5, strict=True))
            turn = np.array([turned[layer] for layer in layers])
            verdict = direction(layers, mixed(turn, there, back), mixed(turn, back, there)).verdict
            named += verdict is not None and ("inside" in verdict or "more" in verdict)
            asked += 1
    return named, asked


def mixed(turn: np.ndarray, one: Shares, two: Shares) -> Shares:
    """``two`` in the modules where ``turn``."""
    captured, norm, random = (
        np.where(turn, getattr(two, name), getattr(one, name)) for name in ("captured", "norm", "random")
    )
    return Shares(captured, norm, random, one.other)


def test_directions_of_the_example_zoo_exchanged_at_random(example_zoo) -> None:
    named, asked = exchanged(example_zoo, 60)
    assert asked == 28 * 60 and 0.02 < named / asked < 0.05 + 3 * np.sqrt(0.05 / asked)


def test_directions_of_real_adapters_exchanged_at_random(real) -> None:
    named, asked = exchanged(real["gpt2"], 6)
    assert asked > 1000 and 0.02 < named / asked < 0.05 + 3 * np.sqrt(0.05 / asked)


def verdicts(dataset: xr.Dataset) -> dict[tuple[str, str], str | None]:
    rows = select(dataset, Selection()).rows
    pairs = Pairs(dataset, rows)
    ends = list(zip(rows["source"], rows["target"], strict=True))
    return {ends[p]: pairs.direction(p, p + 1).verdict for p in range(0, len(rows), 2)}


def test_repeats_of_one_task_in_the_example_zoo(example_zoo) -> None:
    """Of a task that was trained twice neither is inside the other; one may hold more, between two runs alone."""
    found = {tuple(sorted(pair)): one for pair, one in verdicts(example_zoo).items()}
    of_task = {task: found[f"{task}-s0", f"{task}-s1"] for task in ("ner", "sum", "ten")}
    assert of_task["ner"] == of_task["sum"] == "related, direction undecided"
    assert of_task["ten"] == "source holds more"


def test_parts_of_adapters_in_the_example_zoo(example_zoo) -> None:
    found = verdicts(example_zoo)
    assert {pair for pair, one in found.items() if one and "inside" in one} == {
        ("ner-with-ten-s0-r8", "ner-s0"),
        ("ner-with-ten-s0-r8", "ten-s0"),
        ("sum-s0", "sum-s0-at60"),
    }


def test_an_earlier_checkpoint_is_inside_the_later(real) -> None:
    (found,) = ((pair, one) for pair, one in verdicts(real["gpt2"]).items() if all("results-" in name for name in pair))
    (_, target), verdict = found
    assert verdict == ("target inside source" if target.endswith("-1000") else "source inside target")
