"""For jobs that nobody watches: exit status 0, 1, 2, JUnit, SARIF, and what changed since yesterday."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from made_results import made_result, stored
from taskvec import sweep
from taskvec.cli import main
from taskvec.queries.changes import changes

SCHEMAS = Path(__file__).parents[1] / "schemas"


def test_a_sweep_whose_rule_is_broken_is_whole_and_ends_with_1(zoo_folder, tmp_path, capsys) -> None:
    out, junit, sarif = (tmp_path / name for name in ("out.zarr", "found.xml", "found.sarif"))
    files = ["--junit", str(junit), "--sarif", str(sarif)]
    assert main(["sweep", str(zoo_folder), "-o", str(out), "--fail-on", "captured > 0.9", *files]) == 1
    printed = capsys.readouterr()
    assert "written to" in printed.out and printed.err.count("\n") == 1
    assert "captured > 0.9: 2 pairs: " in printed.err and "first → near" in printed.err
    assert len(ElementTree.parse(junit).findall(".//failure")) == 2
    assert len(json.loads(sarif.read_text())["runs"][0]["results"]) == 2
    show = ["show", str(out), "--fail-on"]
    assert main([*show, "captured > 0.9 and source == 'far'"]) == 0
    labels = tmp_path / "labels.csv"
    labels.write_text("adapter,group\nfirst,one\nnear,one\n")
    assert main([*show, "captured > 0.9 and not same_group"]) == 1
    assert main([*show, "captured > 0.9 and not same_group", "--groups", str(labels), *files]) == 0
    assert ElementTree.parse(junit).findall(".//failure") == []


def test_a_rule_is_read_before_the_work(zoo_folder, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    for bad in (["--fail-on", "captured >"], ["--junit", str(tmp_path / "missing" / "x.xml")]):
        assert main(["sweep", str(zoo_folder), "-o", str(out), *bad]) == 2
        assert capsys.readouterr().err.count("\n") == 1 and not out.exists()


def test_files_left_out_end_a_job_that_has_rules(zoo_folder, tmp_path, capsys) -> None:
    (zoo_folder / "far/adapter_model.safetensors").write_text("broken")
    run = ["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr"), "--skip-bad"]
    junit = tmp_path / "found.xml"
    assert main([*run, "--fail-on", "captured > 2", "--junit", str(junit)]) == 1
    assert "far" in ElementTree.parse(junit).find(".//failure").get("message")
    assert main([*run, "--overwrite"]) == 0


def test_a_result_that_is_not_complete_ends_a_job_that_has_rules(tmp_path, capsys) -> None:
    dataset = made_result(3, layers=1)
    out = stored(tmp_path / "out.zarr", dataset.assign_attrs(complete=0))
    junit = tmp_path / "found.xml"
    assert main(["show", str(out), "--fail-on", "captured > 2", "--junit", str(junit)]) == 1
    assert "not complete" in ElementTree.parse(junit).find(".//failure").get("message")
    assert main(["show", str(out)]) == 0


@pytest.fixture
def results(adapter, tmp_path) -> tuple[Path, Path]:
    """a stays, b changes, c goes, d comes."""
    old = [adapter(name, seed=i) for i, name in enumerate("abc")]
    spec = {path: module.update()[:2] for path, module in old[0].modules.items()}
    nearly = {path: (b + 0.3 * b.roll(1, 0), a) for path, (b, a) in spec.items()}
    new = [old[0], adapter("b", nearly), adapter("d", seed=9)]
    from dataclasses import replace

    new[1] = replace(new[1], digest="other")
    paths = tmp_path / "old.zarr", tmp_path / "new.zarr"
    for zoo, path in zip((old, new), paths, strict=True):
        sweep(zoo, path)
    return paths


def test_what_came_went_changed_and_moved(results, tmp_path, capsys) -> None:
    from taskvec import open_result

    old, new = results
    found = changes(open_result(old), open_result(new))
    assert (found.added, found.removed, found.changed) == (("d",), ("c",), ("b",))
    assert sorted(zip(found.pairs["source"], found.pairs["target"], strict=True)) == [("a", "b"), ("b", "a")]
    moved = found.moved(0.1)
    assert len(moved) == 2
    assert (moved["captured"] - moved["captured_before"] - moved["captured_change"]).abs().max() < 1e-12
    assert main(["diff", str(old), str(new), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, json.loads((SCHEMAS / "diff.json").read_text()))
    assert document["results"][0]["moved"] == 2
    for width in (60, 80, 200):
        assert main(["diff", str(old), str(new), "--width", str(width)]) == 0
        printed = capsys.readouterr().out
        assert "added: d" in printed and "2 of 2 pairs in both moved" in " ".join(printed.split())
        assert max(map(len, printed.splitlines())) <= width
    assert main(["diff", str(old), str(new), "--fail-on", "captured_change > 0.1"]) == 1
    assert main(["diff", str(old), str(old), "--fail-on", "abs(captured_change) > 0"]) == 0
    assert "none moved" in capsys.readouterr().out
    assert main(["diff", str(old), str(new), "--csv", str(tmp_path / "pairs.csv")]) == 0
    assert len((tmp_path / "pairs.csv").read_text().splitlines()) == 3
