"""``score`` against a naive one, and what it says of a zoo whose answers are algebra."""

from __future__ import annotations

import json
from itertools import combinations, product
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import spearmanr

import known_zoo
import taskvec
from kept import listed, reduced
from made_results import made_result, stored
from taskvec.cli import main
from taskvec.queries.measured import LESS
from taskvec.queries.resampling import DRAWS, SEED, Draws, auc, share, spearman
from taskvec.reports.score import score_tables
from taskvec.reports.terminal import render

SCHEMAS = Path(__file__).parents[1] / "schemas"
NAMES = [f"t{i % 4}-s{i // 4}" for i in range(12)]
TRUTH = {
    "schema": "taskvec.truth/1",
    "groups": {f"t{k}": [f"t{k}-s{s}" for s in range(3)] for k in range(4)},
    "seeds": {f"seed {s}": [f"t{k}-s{s}" for k in range(4)] for s in range(3)},
    "contains": [{"container": "t0", "part": "t1", "relation": "nested"}],
    "same": [{"among": ["t0"]}],
    "unrelated": [{"between": ["t2", "t3"]}],
}


@pytest.fixture(scope="module")
def made() -> xr.Dataset:
    dataset = made_result(12, names=NAMES, tasks=4)
    mine = np.random.default_rng(5).integers(0, 4, (12, 12)).astype(float)  # with ties
    return dataset.assign(mine=(("source", "target"), mine, {"nearer": "less"}))


def naive(values: np.ndarray, behaviour: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """AUC, direction and Spearman of one (N, N) matrix, more is nearer, each with its 95 % interval over seeds."""
    seed = np.array([int(name[-1]) for name in NAMES])
    task = np.array([name[:2] for name in NAMES])
    at = {name: np.flatnonzero(task == name) for name in np.unique(task)}
    nested = list(product(at["t0"], at["t1"]))
    control = [pair for i, j in product(at["t2"], at["t3"]) for pair in ((i, j), (j, i))]
    every = [(i, j) for i in range(12) for j in range(12) if i != j]

    def copies(pairs, times):
        """Each pair as often as its seeds are drawn."""
        counts = [times[seed[i]] * (times[seed[j]] if seed[i] != seed[j] else 1) for i, j in pairs]
        return [pair for pair, count in zip(pairs, counts, strict=True) for _ in range(count)]

    def statistics(times):
        one, two, all_pairs = (copies(pairs, times) for pairs in (nested, control, every))
        a, b = np.array([values[p] for p in one]), np.array([values[p] for p in two])
        right = [(np.sign(values[i, j] - values[j, i]) + 1) / 2 for i, j in one]
        rank = spearmanr([values[p] for p in all_pairs], [behaviour[p] for p in all_pairs]).statistic
        return np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)), np.mean(right), rank

    random = np.random.Generator(np.random.PCG64(SEED))
    draws = random.multinomial(3, [1 / 3] * 3, DRAWS)
    found = {tuple(times): statistics(times) for times in np.unique(draws, axis=0)}
    low, high = np.quantile([found[tuple(times)] for times in draws], [0.025, 0.975], axis=0)
    return dict(zip(("auc", "direction", "spearman"), zip(statistics([1, 1, 1]), low, high, strict=True), strict=True))


def test_every_metric_equals_a_naive_oracle(made, tmp_path) -> None:
    matrix = np.random.default_rng(1).integers(0, 9, (12, 12)) / 8  # with ties
    table = [f"{NAMES[i]},{NAMES[j]},{matrix[i, j]}" for i in range(12) for j in range(12)]
    (tmp_path / "b.csv").write_text("\n".join(["source,target,behaviour", *table]))
    found = taskvec.score(made, TRUTH, tmp_path / "b.csv")
    of = found[(found["relation"] == "nested") & (found["against"] != "all") | (found["measure"] == "spearman")]
    squares = np.square(made["norm"].values, dtype=np.float64)
    metrics = ("captured", "captured_out", "rec", "l1", "cosine", "mine", "entropy", "norm")
    assert set(metrics) < set(found["metric"])
    for name in metrics:
        values = made[name].values.astype(np.float64)
        if name in ("captured", "captured_out"):
            values = (values * squares[:, None, :]).sum(0) / squares.sum(0)
        elif name in ("entropy", "norm"):
            values = np.repeat(values.mean(0)[:, None], 12, 1)
        elif name != "mine":
            values = values.mean(0)
        if name == "cosine":
            values = np.round((values + values.T) / 2, 12)
        expected = naive(-values if name in (*LESS, "mine") else values, matrix)
        for measure, numbers in expected.items():
            (row,) = of[(of["metric"] == name) & (of["measure"] == measure)][["value", "low", "high"]].values
            np.testing.assert_allclose(row, numbers, rtol=0, atol=1e-6, err_msg=f"{name} {measure}")


def test_statistics_of_weights_are_those_of_copies() -> None:
    random = np.random.default_rng(2)
    one, two = random.integers(0, 5, (2, 30)).astype(float)
    times = random.integers(0, 4, 30)
    copied = np.repeat(one, times), np.repeat(two, times)
    assert share(one)(times.astype(float)) == pytest.approx(copied[0].mean())
    assert spearman(one, two)(times.astype(float)) == pytest.approx(spearmanr(*copied).statistic)
    apart = copied[0][:, None] - copied[1]
    expected = np.mean((apart > 0) + 0.5 * (apart == 0))
    assert auc(one, two)(times.astype(float), times.astype(float)) == pytest.approx(expected)
    assert np.isnan(spearman(np.ones(3), np.arange(3.0))(np.ones(3)))
    assert np.isnan(auc(one, np.full(3, np.nan))(np.ones(30), np.ones(3)))


def test_a_pair_counts_as_often_as_its_seeds_are_drawn() -> None:
    draws = Draws.of(np.array([0, 0, 1, 2]))
    assert draws is not None and draws.counts.sum() == DRAWS and len(draws.times) == 10
    for times, weights in zip(draws.times, draws.weights(np.array([0, 0]), np.array([1, 2])), strict=True):
        assert weights.tolist() == [times[0], times[0] * times[1]]
    assert Draws.of(np.zeros(4, np.intp)) is None and Draws.of(np.empty(0, np.intp)) is None


@pytest.fixture
def known(adapter) -> xr.Dataset:
    return taskvec.sweep([adapter(name, factors) for name, factors in known_zoo.known_zoo().items()])


def value(found: pd.DataFrame, metric: str, measure: str, kind: str = "contains", relation: str = "all") -> float:
    rows = found[(found["metric"] == metric) & (found["measure"] == measure) & (found["kind"] == kind)]
    return float(rows.loc[rows["relation"] == relation, "value"].iloc[-1])


def test_sums_cuts_and_merges(known, tmp_path) -> None:
    rows = [f"{a},{b},{x}" for (a, b), x in known_zoo.behaviour(known["source"].values.tolist()).items()]
    (tmp_path / "b.csv").write_text("\n".join(["source,target,behaviour", *rows]))
    found = taskvec.score(known, known_zoo.TRUTH, tmp_path / "b.csv")
    counts = found[(found["metric"] == "rec") & (found["measure"] == "direction")].set_index("relation")["count"]
    assert counts.to_dict() == {"sum ⊃ part": 18, "one ⊃ cut": 9, "merge ⊃ one": 3, "all": 30}
    assert value(found, "captured", "direction") == value(found, "captured", "auc") == 1
    assert value(found, "captured", "claimed_right") == value(found, "verdict", "claimed_right") == 1
    assert value(found, "captured", "tasks_right") == value(found, "verdict", "tasks_right") == 1
    assert value(found, "verdict", "tasks_false", "unrelated") == 0
    assert value(found, "verdict", "claimed_false", "unrelated") <= 0.05
    assert value(found, "inside", "claimed_false", "unrelated") == 0
    assert value(found, "inside", "claimed_right") == 1
    assert value(found, "rec", "direction", relation="sum ⊃ part") == 0  # of a sum it points the other way
    assert value(found, "cosine", "direction") == 0.5  # it has no direction
    assert value(found, "captured", "spearman", "behaviour") > value(found, "l1", "spearman", "behaviour")


def test_the_example_of_the_document(known) -> None:
    shown = ["captured", "captured_out", "norm", "cosine", "rec", "l1", "verdict"]
    scores = taskvec.score(known, known_zoo.TRUTH, metrics=shown)
    table = render(score_tables({0.0: scores}), 120).split("\n\n")[1]
    assert f"```\n{table}\n```" in (Path(__file__).parents[2] / "docs/SCORE.md").read_text()


def test_without_seeds_and_groups_there_is_no_interval(known) -> None:
    truth = {"schema": "taskvec.truth/1", "contains": [{"container": "sum-s0", "part": "one-s0"}]}
    found = taskvec.score(known, truth, metrics=["captured", "verdict"])
    assert set(found["measure"]) == {"direction", "claimed_right", "claimed_wrong"}
    assert found[["low", "high"]].isna().all(axis=None) and set(found["relation"]) == {"sum-s0 ⊃ one-s0", "all"}


def test_the_command(made, tmp_path, capsys) -> None:
    out = stored(tmp_path / "out.zarr", made.drop_vars("mine"))
    (tmp_path / "truth.json").write_text(json.dumps(TRUTH))
    jsonschema.validate(TRUTH, json.loads((SCHEMAS / "truth.json").read_text()))
    pairs = list(combinations(sorted(NAMES), 2))
    (tmp_path / "own.csv").write_text("source,target,odd\n" + "".join(f"{a},{b},1\n{b},{a},2\n" for a, b in pairs))
    common = ["score", str(out), "--truth", str(tmp_path / "truth.json"), "--own", str(tmp_path / "own.csv")]
    assert main([*common, "--json", "--less", "odd"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, json.loads((SCHEMAS / "score.json").read_text()))
    rows = document["results"][0]["scores"]
    assert {row["value"] for row in rows if row["metric"] == "odd" and row["measure"] == "direction"} == {1}
    assert main([*common, "--csv", "-", "--metrics", "odd,rec"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("metric,measure,kind,relation") and len(lines) > 5
    assert main([*common, "--by-relation"]) == 0
    printed = capsys.readouterr().out
    for words in ("captured", "verdict", "Claims over runs", "Direction by relation", "against unrelated"):
        assert words in printed


def test_of_several_lambdas() -> None:
    several = taskvec.score(made_result(12, names=NAMES, lams=(0.0, 0.1)), TRUTH, metrics=["l1", "captured"])
    assert set(several["lam"]) == {0.0, 0.1}


def test_modules_that_are_kept_together_have_no_claims_and_the_same_scores() -> None:
    keys = ["metric", "measure", "kind", "relation", "against"]
    every, together = taskvec.score(MADE, TRUTH), taskvec.score(reduced(MADE), TRUTH)
    both = every.merge(together, on=keys, suffixes=("", "_together"))
    assert len(both) == len(together) and set(together["metric"]) == set(every["metric"])
    np.testing.assert_allclose(both["value"], both["value_together"], rtol=0, atol=1e-6)
    claims = together[together["measure"].str.startswith("claimed")]
    assert set(claims["metric"]) == {"verdict", "inside"}


def test_a_list_of_pairs_must_have_those_of_the_truth() -> None:
    wanted = [("t0-s0", "t1-s0"), ("t1-s0", "t0-s0"), ("t2-s0", "t3-s0"), ("t3-s0", "t2-s0")]
    position = {name: i for i, name in enumerate(NAMES)}
    dataset = listed(MADE, [(position[a], position[b]) for a, b in wanted])
    truth = {
        "schema": "taskvec.truth/1",
        "contains": [{"container": "t0-s0", "part": "t1-s0"}],
        "unrelated": [{"between": ["t2-s0", "t3-s0"]}],
    }
    keys = ["metric", "measure", "kind", "relation", "against"]
    both = taskvec.score(dataset, truth).merge(taskvec.score(MADE, truth), on=keys)
    assert len(both) > 20
    np.testing.assert_allclose(both["value_x"], both["value_y"], rtol=0, atol=1e-6)
    with pytest.raises(taskvec.TaskvecError, match="does not keep 1 of the pairs, t0-s1 → t1-s0 first"):
        taskvec.score(dataset, {**truth, "contains": [{"container": "t0-s1", "part": "t1-s0"}]})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "taskvec.truth/2"}, "another schema, got 'taskvec.truth/2', expected 'taskvec.truth/1'"),
        ({"contain": []}, "unknown key 'contain'"),
        ({"groups": {"t0": ["t0-s9"]}}, "groups: t0: the result has no such adapter, got 't0-s9', expected t0-s0"),
        ({"groups": {"t0-s0": ["t0-s0"]}}, "name of a group and of an adapter"),
        ({"groups": {"a": ["t0-s0"], "b": ["t0-s0"]}}, "'t0-s0' is in 'a' and in 'b'"),
        ({"seeds": {"0": ["t2-s0"]}}, "is of no seed; name it under seeds"),
        ({"contains": [{"container": "t0"}]}, "contains, entry 1 has no 'part'"),
        ({"contains": [{"container": "t0", "part": "t0-s1"}]}, "the same adapter, got t0-s1"),
        ({"contains": [{"container": "t2", "part": "t3"}]}, "unrelated, entry 1: the pair"),
        ({"contains": [{"container": "none", "part": "t3"}]}, "no group and no adapter of the result has this name"),
        ({"same": [{"among": ["t0-s0"]}]}, "there are no such pairs"),
        ({"same": [{"among": ["t0"], "relation": "all"}]}, "no label for a relation"),
        ({"same": [{"among": ["t0"], "pairs": "any"}]}, "'same seed' or 'other seeds'"),
        ({"same": [{"among": "t0"}]}, "is no list of names"),
        ({"contains": [], "same": [], "unrelated": []}, "no relation is named"),
    ],
)
def test_what_is_wrong_with_a_truth(change, words) -> None:
    with pytest.raises(taskvec.TaskvecError) as caught:
        taskvec.score(MADE, {**TRUTH, **change})
    assert words in str(caught.value) and "\n" not in str(caught.value)


MADE = made_result(12, names=NAMES, tasks=4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "is no truth, expected a JSON object"),
        ('{"schema": 1, "schema": 2}', "the key 'schema' stands twice"),
    ],
)
def test_a_file_that_is_no_truth(tmp_path, text, words) -> None:
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(taskvec.TaskvecError, match=words):
        taskvec.score(MADE, tmp_path / "truth.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source,target\n", "does not have the column behaviour"),
        ("source,target,behaviour\nx,t0-s0,1\n", "line 2: the result has no such adapter, got 'x'"),
        ("source,target,behaviour\nt0-s0,t1-s0,1\nt0-s0,t1,1\n", "line 3: the pair t0-s0 → t1-s0 comes twice"),
        ("source,target,behaviour\nt0-s0,t1-s0,much\n", "line 2: behaviour is no number, got 'much'"),
    ],
)
def test_a_file_that_is_no_behaviour(tmp_path, text, words) -> None:
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(taskvec.TaskvecError, match=words):
        taskvec.score(MADE, TRUTH, tmp_path / "b.csv")


def test_a_metric_that_there_is_not() -> None:
    with pytest.raises(taskvec.TaskvecError, match="no metric 'mine'"):
        taskvec.score(MADE, TRUTH, metrics=["mine"])
