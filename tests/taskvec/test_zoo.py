"""Adapters that are read together, and whether they belong together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import xarray as xr

from make_adapters import pair, pairs, write_adapter, write_all
from taskvec import TaskvecError, lambda_path, load_zoo, project, sweep
from taskvec.cli import main
from taskvec.store.entry import entry_of
from taskvec.zoo import group_names, groups

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize("out", [None, "out.zarr"])
def test_a_module_of_two_shapes_is_left_out_of_the_pairs_in_which_it_differs(out: str | None) -> None:
    write_adapter(Path("zoo/a"))
    write_adapter(Path("zoo/b"), pair("h.0.q") | pair("h.1.q", m=7))
    write_adapter(Path("zoo/c"))
    zoo = load_zoo("zoo")
    assert zoo.warnings == (
        "1 module has several shapes (h.1.q: 6×5 in a, 7×5 in b): left out of the pairs in which they differ",
        "not compared: 1 module that one adapter alone has (h.1.q): up to 52.2% of the trained parameters (of b)",
    )
    result = sweep(zoo, out)
    compared = result.rec.sel(module="h.1.q").notnull().values.tolist()
    assert compared == [[True, False, True], [False, True, False], [True, False, True]]
    assert bool(result.rec.sel(module="h.0.q").notnull().all() and result.norm.notnull().all())
    assert result.rec.sel(module="h.1.q", source="a", target="c") == pytest.approx(1)
    assert result.attrs["complete"] == 1


def test_what_is_not_compared_is_one_counted_line(capfd: pytest.CaptureFixture[str]) -> None:
    head = {"base_model.model.score.weight": torch.ones(3, 22), "base_model.model.h.0.q.bias": torch.ones(2)}
    write_adapter(Path("zoo/a"), pairs() | head)
    write_adapter(Path("zoo/b"), pair("h.0.q") | pair("h.7.q") | pair("h.1.q"))
    line = (
        "not compared: 2 tensors of 1 of 2 adapters (1 bias: trained or saved beside the factors, not low-rank; 1 not "
        "a LoRA factor: a whole tensor, as modules_to_save and resized embeddings give) and 1 module that one adapter "
        "alone has (h.7.q): up to 60.7% of the trained parameters (of a)"
    )
    assert load_zoo("zoo").warnings == (line,)
    for command in (["sweep", "zoo", "-o", "out.zarr"], ["project", "zoo/a", "zoo/b"]):
        assert main([*command, "--progress", "off"] if "sweep" in command else command) == 0
        (said,) = [text for text in capfd.readouterr().err.splitlines() if "not compared" in text]
        assert said.startswith("taskvec: warning: not compared: 2 tensors of 1 of 2 adapters") and "60.7%" in said


def test_adapters_of_several_models_are_groups_that_are_compared_apart() -> None:
    for name, base, path in (("a", "x", "h.0.q"), ("b", "x", "h.0.q"), ("c", "y", "l.0.v"), ("d", "y", "l.0.v")):
        write_adapter(Path("zoo", name), pair(path), base_model_name_or_path=base)
    zoo = load_zoo("zoo")
    assert [[adapter.name for adapter in group] for group in groups(zoo.adapters)] == [["a", "b"], ["c", "d"]]
    assert zoo.warnings == ("2 groups of adapters that share no module, each compared by itself: 2 of x, 2 of y",)
    assert group_names(zoo.adapters) == ("x", "x", "y", "y") == group_names(list(map(entry_of, zoo.adapters)))
    result = sweep(zoo).rec
    assert float(result.sel(module="l.0.v", source="c", target="d")) == pytest.approx(1)
    assert bool(result.sel(source="a", target="c").isnull().all())
    assert result.source_group.values.tolist() == ["x", "x", "y", "y"] == result.target_group.values.tolist()


def test_each_group_has_a_table(capfd: pytest.CaptureFixture[str]) -> None:
    groups = {"a": ("x", "h.0.q"), "b": ("x", "h.0.q"), "c": ("y", "l.0.v"), "d": ("y", "l.0.v"), "e": ("z", "m.0.k")}
    for seed, (name, (base, path)) in enumerate(groups.items()):
        write_adapter(Path("zoo", name), pair(path, seed=seed), base_model_name_or_path=base)
    assert main(["sweep", "zoo", "-o", "zoo.zarr", "--progress", "off", "--baseline", "none"]) == 0
    lines = capfd.readouterr().out.splitlines()
    titles = [line.strip() for line in lines if line.startswith("How much")]
    assert titles == [f"How much of each target lies inside each source, of {base}" for base in "xy"]
    assert any(line.split()[:2] in (["a", "b"], ["b", "a"]) for line in lines)
    assert "8 pairs of adapters of different groups share no module and are not compared." in lines
    assert main(["show", "zoo.zarr", "--json"]) == 0
    results = json.loads(capfd.readouterr().out)["results"]
    assert [(one["group"], one["adapters"], one["pairs"]) for one in results] == [
        ("x", ["a", "b"], 1),
        ("y", ["c", "d"], 1),
        ("z", ["e"], 0),
    ]
    assert all({row["source"], row["target"]} == set(one["adapters"]) for one in results for row in one["ranking"])


def test_groups_of_one_name_are_told_apart() -> None:
    for name, path in (("a", "h.0.q"), ("b", "l.0.v"), ("c", "l.0.v")):
        write_adapter(Path("zoo", name), pair(path), base_model_name_or_path="x")
    assert group_names(load_zoo("zoo").adapters) == ("x (2)", "x", "x")
    for file in Path("zoo").rglob("adapter_config.json"):
        file.write_text(file.read_text().replace('"x"', "null"))
    assert group_names(load_zoo("zoo").adapters) == ("the base of a", "the base of b", "the base of b")


def test_different_ranks_are_no_different_shapes() -> None:
    write_adapter(Path("zoo/a"))
    write_adapter(Path("zoo/b"), pairs(r=4), r=4)
    assert load_zoo("zoo").warnings == ()


def test_different_base_names_are_one_warning_that_counts() -> None:
    for name, base in (("a", "x"), ("b", "y"), ("c", "y"), ("d", None)):
        write_adapter(Path("zoo", name), base_model_name_or_path=base)
    assert [warning for warning in load_zoo("zoo").warnings if "base" in warning] == [
        "2 different base models are named (x, y); modules of one path and shape are compared"
    ]


def test_adapters_that_share_no_module_are_counted() -> None:
    write_all("zoo/a", "zoo/b")
    write_adapter(Path("zoo/c"), pairs("other.q"))
    write_adapter(Path("zoo/d"), pairs("another.q"))
    assert load_zoo("zoo").warnings == (
        "d: not matched: q is under 'another' in one and under 'other' in the other",
        "2 of 4 adapters share no module with any other (c, d): all their pairs are NaN",
    )


def test_several_adapters_without_any_common_module_are_an_error() -> None:
    for name in ("a", "b", "c"):
        write_adapter(Path("zoo") / name, pairs(f"{name}.q", m=4 + ord(name)))
    with pytest.raises(TaskvecError, match="no two of the 3 adapters have a module in common"):
        load_zoo("zoo")


def test_warnings_name_the_adapter() -> None:
    write_adapter(Path("zoo/a"), r=3)
    assert load_zoo("zoo").warnings[0].startswith("a: 2 of 2 modules: its tensors have rank 2")


def test_bad_adapters_are_skipped_only_when_asked() -> None:
    write_all("zoo/a", "zoo/b", "zoo/c")
    Path("zoo/b/adapter_config.json").write_text("{")
    with pytest.raises(TaskvecError, match=r"zoo/b/adapter_config.json: is not valid JSON"):
        load_zoo("zoo")
    zoo = load_zoo("zoo", skip_bad=True)
    assert [adapter.name for adapter in zoo.adapters] == ["a", "c"]
    assert [str(item.path) for item in zoo.skipped] == ["zoo/b"]
    assert "zoo/b/adapter_config.json: is not valid JSON" in zoo.skipped[0].reason


def test_nothing_left_after_skipping() -> None:
    write_all("zoo/a", "zoo/b")
    for name in "ab":
        Path(f"zoo/{name}/adapter_config.json").write_text("{")
    with pytest.raises(TaskvecError, match="none of 2 adapters can be read, the first because zoo/a/adapter_config"):
        load_zoo("zoo", skip_bad=True)


def test_paths_are_taken_where_adapters_are() -> None:
    write_all("zoo/a")
    write_adapter(Path("zoo/b"), pairs(seed=1))
    a, b = load_zoo("zoo").adapters
    xr.testing.assert_equal(sweep("zoo"), sweep([a, b]))
    xr.testing.assert_equal(sweep([Path("zoo/b"), "zoo/a"]), sweep(load_zoo(["zoo/b", "zoo/a"])))
    mixed = sweep([a, "zoo/b"])
    assert list(mixed.source.values) == ["a", "zoo/b"]
    means = [dict(project(*pair).mean) for pair in (("zoo/a", b), (a, Path("zoo/b")), (a, b))]
    assert means[1:] == [pytest.approx(means[0], rel=0, abs=0, nan_ok=True)] * 2
    named, given = (
        [curve.points for curve in lambda_path(*pair, [0.1]).curves] for pair in (("zoo/a", "zoo/b"), (a, b))
    )
    assert repr(named) == repr(given)  # NaN is not itself
    with pytest.raises(TaskvecError, match="nowhere: no such file"):
        project(a, "nowhere")
    with pytest.raises(TaskvecError, match="no adapters; give at least one"):
        sweep([])
