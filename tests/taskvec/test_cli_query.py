"""``taskvec query`` and ``taskvec groups``: the pairs of one adapter, and adapters that others hold."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import torch

from taskvec import TaskvecError, open_result, sweep
from taskvec.cli import main
from taskvec.queries.neighbours import neighbours
from taskvec.queries.ranking import ranking
from taskvec.queries.redundancy import cover, redundancy

from .conftest import random_factors

SCHEMAS = Path(__file__).parents[1] / "schemas"
SPEC = {f"h.{layer}.attn.{kind}_proj": (12, 10, 2) for layer in (0, 1, 10) for kind in "qv"}


@pytest.fixture
def out(adapter, tmp_path: Path) -> Path:
    sweep([adapter(name, SPEC, seed=i) for i, name in enumerate("abcd")], tmp_path / "out.zarr")
    return tmp_path / "out.zarr"


def printed(capsys, *arguments: object) -> str:
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def test_rows_are_those_of_the_ranking(out) -> None:
    dataset = open_result(out)
    whole = ranking(dataset)
    for asked in ({"source": "b"}, {"target": "b"}, {"source": "b", "target": "c"}, {}):
        found = neighbours(dataset, **asked)
        same = whole
        for end, name in asked.items():
            same = same[same[end] == name]
        pd.testing.assert_frame_equal(found, same.reset_index(drop=True), rtol=1e-12)
    worst = neighbours(dataset, "a", order="l1")["l1"]
    assert worst.is_monotonic_increasing


def test_kinds_and_layers_are_as_if_there_were_no_others(out) -> None:
    dataset = open_result(out)
    for asked, modules in (
        ({"kind": "q"}, [0, 2, 4]),
        ({"kind": "attn.v_proj", "layers": (0, 2)}, [1, 3]),
        ({"kind": "attn", "layers": (10, 11)}, [4, 5]),
    ):
        alone = ranking(dataset.isel(module=modules)).set_index(["source", "target"])
        found = neighbours(dataset, "a", **asked).set_index(["source", "target"])
        assert found["used"].tolist() == [len(modules)] * 3
        pd.testing.assert_frame_equal(found, alone.loc[found.index], rtol=1e-12)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"source": "e"}, ["no adapter 'e'", "such as"]),
        ({"source": "a", "target": "a"}, ["same adapter"]),
        ({"kind": "k"}, ["no module", "attn.q_proj"]),
        ({"layers": (3, 5)}, ["layers 0 to 10"]),
        ({"order": "beauty"}, ["no order"]),
    ],
    ids=str,
)
def test_what_cannot_be_asked_for(out, asked, words) -> None:
    with pytest.raises(TaskvecError) as error:
        neighbours(open_result(out), **asked)
    assert all(word in str(error.value) for word in words)


def test_json_csv_parquet_and_the_table(out, tmp_path, capsys) -> None:
    document = json.loads(printed(capsys, "query", out, "--source", "a", "--top", "2", "--layers", "0:2", "--json"))
    jsonschema.validate(document, json.loads((SCHEMAS / "query.json").read_text()))
    (result,) = document["results"]
    assert result["left_out"] == 1 and [row["source"] for row in result["pairs"]] == ["a", "a"]
    csv, parquet = tmp_path / "rows.csv", tmp_path / "rows.parquet"
    assert printed(capsys, "query", out, "--target", "a", "--csv", csv, "--parquet", parquet) == ""
    rows = pd.read_csv(csv)
    assert len(rows) == 3 and set(rows["target"]) == {"a"}
    pd.testing.assert_frame_equal(rows, pd.read_parquet(parquet), check_dtype=False)
    assert main(["query", str(out), "--csv", str(csv)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert printed(capsys, "query", out, "--csv", "-").count("\n") == 13
    table = printed(capsys, "query", out, "--source", "a", "--top", "1")
    assert "2 pairs after these not shown" in table and "a → any adapter" in table


@pytest.mark.parametrize(
    ("text", "expected"), [("8:16", (8, 16)), ("8", (8, 9)), (":2", (0, 2)), ("8:", (8, 2**31 - 1))]
)
def test_layers(text: str, expected: tuple[int, int]) -> None:
    from taskvec.cli.query import span

    assert span(text) == expected


@pytest.mark.parametrize("text", ["", ":", "a:b", "1:2:3", "-1:2"])
def test_layers_that_are_none(out, capsys, text: str) -> None:
    assert main(["query", str(out), f"--layers={text}"]) == 2
    assert "--layers is no range" in capsys.readouterr().err


def test_duplicates_and_adapters_inside_others(adapter, tmp_path, capsys) -> None:
    """b is a again, c is half of d's directions."""
    a, d = random_factors(SPEC, 1), random_factors(SPEC, 2)
    half = {path: (b[:, :1], x[:1]) for path, (b, x) in d.items()}
    noise = {path: (b + 1e-4 * torch.randn_like(b), x) for path, (b, x) in a.items()}
    zoo = [adapter("a", a), adapter("b", noise), adapter("c", half), adapter("d", d), adapter("e", SPEC, seed=9)]
    out = tmp_path / "out.zarr"
    dataset = sweep(zoo, out)
    found = {group.name: group for group in redundancy(dataset, 0.9)}
    assert set(found) == {"a", "d"} or set(found) == {"b", "d"}
    (copy,), (inside,) = (found[name].holds for name in sorted(found))
    assert {copy.name, *found} == {"a", "b", "d"} and copy.back > 0.9
    assert inside.name == "c" and inside.captured > 0.999 and inside.back < 0.9
    assert inside.bytes == 6 * (12 + 10) * 2
    document = json.loads(printed(capsys, "groups", out, "--json"))
    jsonschema.validate(document, json.loads((SCHEMAS / "groups.json").read_text()))
    assert document["results"][0]["bytes_saved"] == sum(one.saved for one in found.values())
    table = printed(capsys, "groups", out)
    assert "2 of 5 adapters can go" in table and "duplicate" in table and "inside" in table
    sweep(zoo[::4], tmp_path / "few.zarr")
    assert "No adapter holds" in printed(capsys, "groups", tmp_path / "few.zarr")
    assert main(["groups", str(out), "--at", "2"]) == 2


def test_what_is_kept_is_held_by_nobody_and_covers_the_rest() -> None:
    edges = {0: {1: 0.9, 2: 0.95}, 1: {2: 0.99}, 2: {}, 3: {0: 1.0}, 4: {}}
    found = cover(edges)
    assert found == [(0, [1, 2])] or found == [(3, [0]), (1, [2])]
    held = {j for _, some in found for j in some}
    assert not held & {keeper for keeper, _ in found}
