"""Plans, the adapters that they ask for, and what is true of those by construction."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

import study
from study.plan import Merged, PlanError, Scaled, Trained, read_plan
from study.truth import group_of, truth

FOLDER = Path(study.__file__).parent
PLANS = sorted(FOLDER.glob("*.toml"))
PLAN = read_plan(FOLDER / "plan.toml")


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_every_plan_can_be_read_and_names_adapters_once(path: Path) -> None:
    plan = read_plan(path)
    for base in plan.base:
        adapters = plan.adapters_of(base)
        names = [adapter.name for adapter in adapters]
        assert len(set(names)) == len(names) > 0
        for adapter in adapters:
            if isinstance(adapter, Merged):
                assert set(adapter.parts) <= set(names)
            if isinstance(adapter, Scaled):
                assert adapter.of in names


def pairs_of(record: dict) -> dict[frozenset[str], str]:
    """Every pair of adapters that the truth says something of; an error where it says two things."""
    members = {name: [name] for names in record["groups"].values() for name in names} | record["groups"]
    said: dict[frozenset[str], str] = {}
    found = [
        (a, b, e["relation"]) for e in record["contains"] for a in members[e["container"]] for b in members[e["part"]]
    ]
    for entry in record["same"]:
        found += [
            (a, b, entry["relation"]) for a, b in combinations([x for n in entry["among"] for x in members[n]], 2)
        ]
    for entry in record["unrelated"]:
        first, second = entry["between"]
        found += [(a, b, entry["relation"]) for a in members[first] for b in members[second]]
    for a, b, relation in found:
        assert a != b and frozenset((a, b)) not in said
        said[frozenset((a, b))] = relation
    return said


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_truth_says_one_thing_of_a_pair(path: Path) -> None:
    plan = read_plan(path)
    for base in plan.base:
        adapters = plan.adapters_of(base)
        record = truth(adapters)
        assert pairs_of(record)
        assert sorted(name for names in record["seeds"].values() for name in names) == sorted(a.name for a in adapters)
        assert not set(record["groups"]) & {a.name for a in adapters}


def test_the_truth_of_the_study() -> None:
    said = pairs_of(truth(PLAN.adapters_of("instruct")))

    def of(first: str, second: str) -> str | None:
        return said.get(frozenset((first, second)))

    assert of("ner-s0", "per-s0") == "ner ⊃ per"
    assert of("ner-s1", "per-s0") == "ner ⊃ per"
    assert of("ner-s0", "ner-s1") == "same task, other seed"
    assert of("ner-s0", "ner-s0-at30") == "last step ⊃ half-way"
    assert of("ner-s0", "ner-s0-x3") == "same task, norm × 3"
    assert of("ner-s0-r2", "ner-s0-r64") == "same task, other rank"
    assert of("ner-with-ten-s0-r8", "ten-s0") == "merge cut to rank 8 ⊃ part"
    assert of("ner-s0", "ten-s0") == of("per-s0", "ten-s1") == "unrelated"
    assert of("ner-s0-shared", "ten-s0-shared") == "unrelated, shared start"
    assert of("sum-s0", "ner-s0") is None


def test_names_runs_and_starts() -> None:
    adapters = {adapter.name: adapter for adapter in PLAN.adapters_of("instruct")}
    snapshot, shared, wide = adapters["ner-s0-at30"], adapters["ner-s0-shared"], adapters["ner-s0-r16"]
    assert isinstance(snapshot, Trained) and isinstance(shared, Trained) and isinstance(wide, Trained)
    assert (snapshot.run, snapshot.steps, snapshot.start) == ("ner-s0", 30, "ner-s0")
    assert shared.start == "shared-s0" != shared.run
    assert (wide.rank, wide.start, group_of(wide)) == (16, "ner-s0-r16", "ner-r16")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = [", "Expected|Unclosed|Invalid"),
        ('extends = "plan.toml"\nseed = [0]', "unknown keys: seed"),
        ('extends = "plan.toml"\n[adapters.tasks]\ntasks = ["nerd"]', "no task 'nerd'"),
        ('extends = "plan.toml"\n[adapters.tasks]\ntask = ["ner"]', r"\[adapters.tasks\] has unknown keys"),
        ('extends = "plan.toml"\n[base.x]\nfamily = "rnn"\nmodel = "m"', "'rnn'; expected causal or tagger"),
        ('extends = "plan.toml"\n[base.x]\nfamily = "causal"\nmodel = "m"\nadapters = ["none"]', "not there: none"),
        ('extends = "plan.toml"\n[training]\nsteps = 3', r"\[training\]: .*missing"),
        ('extends = "none.toml"', "none.toml"),
    ],
)
def test_a_plan_that_cannot_be_meant(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plan.toml").write_text((FOLDER / "plan.toml").read_text())
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=message) as caught:
        read_plan(path)
    assert "mine.toml" in str(caught.value)
