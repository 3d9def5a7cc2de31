"""What is to be known of a pair before its numbers are read."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from taskvec import load_zoo, sweep
from taskvec.adapters import LowRank
from taskvec.queries.details import details
from taskvec.queries.flags import FLAGS, adapter_flags, meaning, pair_flags
from taskvec.queries.selection import Selection, select

NAN = np.nan
SHARED = "shared start"
PLAIN = {
    "overlap_u": np.array([0.1, 0.2]),
    "overlap_v": np.array([0.1, 0.2]),
    "cosine": np.array([0.3, 0.4]),
    "norms": (np.array([1.0, 2.0]), np.array([3.0, 4.0])),
    "ranks": (np.array([8, 8]), np.array([8, 8])),
}


@pytest.mark.parametrize(
    ("norm", "participation", "start", "expected"),
    [
        ([1, 2], [3, 4], None, ()),
        ([0, 0], [NAN, NAN], None, ("zero",)),
        ([NAN, 0, 1], [NAN, NAN, 2], None, ("partly zero",)),
        ([1, 1, 1], [1.05, 1.0, 5], None, ("rank 1",)),
        ([1, 1], [2, 2], "pissa", ("pissa",)),
    ],
)
def test_of_an_adapter(norm, participation, start, expected) -> None:
    assert adapter_flags(np.array(norm, float), np.array(participation, float), start) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ()),
        ({"overlap_v": np.array([0.9, 0.95])}, ("shared start",)),
        ({"overlap_v": np.array([0.45, 0.5])}, ("shared start",)),  # trained for longer
        ({"overlap_u": np.array([0.9, 0.95])}, ("shared start",)),
        ({"overlap_u": np.array([0.45, 0.5])}, ()),  # tasks that write alike
        ({"overlap_u": np.array([0.9, 0.9]), "overlap_v": np.array([0.9, 0.95])}, ()),
        ({"cosine": np.array([1.0, 1 - 1e-7]), "norms": (np.array([1.0, 2.0]),) * 2}, ("identical",)),
        ({"cosine": np.ones(2)}, ()),  # one is a multiple of the other
        ({"same_digest": True}, ("identical",)),
        ({"cosine": np.full(2, NAN), "overlap_u": np.full(2, NAN), "overlap_v": np.full(2, NAN)}, ()),
        ({"ranks": (np.array([8, 4]), np.array([8, 8]))}, ("unequal ranks",)),
        ({"ranks": (np.array([8, 0]), np.array([8, 8]))}, ()),  # zero is a flag of its own
    ],
)
def test_of_a_pair(change, expected) -> None:
    assert pair_flags((), (), **PLAIN | change) == expected


def test_those_of_its_adapters_say_whose_they_are() -> None:
    found = pair_flags(("zero",), ("rank 1",), **PLAIN)
    assert found == ("source zero", "target rank 1")
    assert [meaning(flag) for flag in found] == [FLAGS["zero"], FLAGS["rank 1"]]


def test_pairs_that_share_a_start_and_no_others(real_adapters) -> None:
    """Three pairs of strangers, and two adapters of one author. The entries of A say who shares a start."""
    zoo = load_zoo([real_adapters / "gpt2"])
    dataset = sweep(zoo, metrics=["rec", "captured", "overlap_u", "overlap_v"])
    rows = select(dataset).rows
    ends = zip(rows["source"], rows["target"], strict=True)
    found = {frozenset(pair) for pair, one in zip(ends, details(dataset, rows), strict=True) if SHARED in one.flags}
    strangers = {
        frozenset({"deepbiolab-peft_model", "laziestcactus-mathlora-model"}),
        frozenset({"kishrajesh-gpt-lora", "logan-lev-gpt-lora"}),
        frozenset({"stathopoan-lora_model", "ybriz-peft_model"}),
    }
    assert found == strangers | {frozenset({"parikshit-06-adapters-medical", "parikshit-06-adapters-sports"})}
    drawn = {adapter.name: of_input(adapter) for adapter in zoo.adapters}
    alike = {frozenset(pair) for pair in combinations(drawn, 2) if correlation(*(drawn[name] for name in pair)) > 0.5}
    trained_on = {frozenset({"laziestcactus-results-checkpoint-1000", "laziestcactus-results-checkpoint-3000"})}
    assert alike - trained_on == found  # both sides of two checkpoints of one run agree


def of_input(adapter) -> dict[str, np.ndarray]:
    """A of every module of low rank."""
    updates = {path: module.update() for path, module in adapter.modules.items()}
    return {path: one.a.float().numpy() for path, one in updates.items() if isinstance(one, LowRank)}


def correlation(one, two) -> float:
    """Of the entries that both have, over all modules."""
    shared = [path for path in one if path in two and one[path].shape == two[path].shape]
    if not shared:
        return 0.0
    return float(np.corrcoef(*(np.concatenate([of[path].ravel() for path in shared]) for of in (one, two)))[0, 1])


def test_every_flag_reaches_the_details_of_a_sweep(adapter, uneven) -> None:
    """``near`` has the rank of ``one``, ``low`` less, ``zero`` nothing; a copy in other factors; a start by value."""
    one = uneven[0]
    turned = {}
    for path, module in one.modules.items():
        b, a, _ = module.update()
        turned[path] = (2 * b, a / 2)
    started = adapter("started", {path: (*module.shape, 2) for path, module in one.modules.items()}, seed=9)
    marked = {path: replace(module, start="pissa") for path, module in started.modules.items()}
    zoo = [*uneven[:4], adapter("copy", turned), replace(started, modules=marked)]
    dataset = sweep(zoo)
    rows = select(dataset, Selection()).rows
    ends = zip(rows["source"], rows["target"], strict=True)
    flags = dict(zip(ends, (set(one.flags) for one in details(dataset, rows)), strict=True))
    assert flags["one", "copy"] == flags["copy", "one"] == {"identical"}
    assert flags["one", "zero"] == {"target zero"} and flags["zero", "one"] == {"source zero"}
    assert {"unequal ranks", "target rank 1"} <= flags["one", "low"]
    assert flags["one", "started"] >= {"target pissa"} and flags["started", "one"] >= {"source pissa"}
    assert not flags["one", "near"] & {"identical", "unequal ranks"}
    assert all(meaning(flag) for some in flags.values() for flag in some)
