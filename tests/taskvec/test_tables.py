"""Tables fit the terminal: every name and number is whole, and what has no room is said."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taskvec import cli
from taskvec.cli import main
from taskvec.reports.tables import Column, Table
from taskvec.reports.terminal import render

from .conftest import random_factors, save_adapter

LONG = ("customer-support/english_v2-seed0", "customer-support/english_v2-seed1", "sports")
WIDTHS = (60, 80, 200)
TIMED = ("status", "sweep --dry-run")  # what they took or would take is another number each time
TRUTH = {
    "schema": "taskvec.truth/1",
    "same": [{"among": [*LONG[:2]]}],
    "contains": [{"container": LONG[2], "part": LONG[0]}],
    "unrelated": [{"between": [LONG[1], LONG[2]]}],
}
NUMBER = re.compile(r"[-+]?\d+\.\d+(?:e[-+]\d+)?")


def lines(text: str) -> list[str]:
    return text.splitlines()


def squeezed(text: str) -> str:
    """Without spaces and line ends, so that a folded name is found again."""
    return re.sub(r"\s", "", text)


def too_wide(text: str, width: int) -> list[str]:
    """A word alone may be wider than the terminal: it stays whole."""
    return [line for line in lines(text) if len(line) > width and len(line.split()) > 1 and "written to" not in line]


def table(names: list[str], numbers: int = 4) -> Table:
    columns = [Column("source", "name"), Column("target", "name")]
    columns += [Column(f"number {i}", rank=i) for i in range(numbers)]
    return Table(columns, rows=[(name, names[0], *(f"{i}.123456" for i in range(numbers))) for name in names])


def test_room_that_one_column_leaves_another_takes() -> None:
    """No title folds while cells are left, in whatever order the columns stand."""
    titles = ["two words", *"abcdef"]
    some = Table([Column(title) for title in titles], rows=[["1"] * len(titles)])
    least = len("two words") + 3 * len(titles[1:])
    assert "two words" in render([some], least).splitlines()[0]
    assert "two words" not in render([some], least - 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    spec = {f"model.layers.{layer}.self_attn.{kind}_proj": (16, 12, 2) for layer in (0, 2, 10) for kind in "qv"}
    for seed, name in enumerate(LONG):
        save_adapter(tmp_path / "zoo" / name, random_factors(spec, seed), rank=2)
    return tmp_path / "zoo"


def commands(folder: Path, out: Path) -> dict[str, list[str]]:
    first, second, third = (str(folder / name) for name in LONG)
    return {
        "sweep": ["sweep", str(folder), "-o", str(out), "--overwrite", "--baseline", "none"],
        "show": ["show", str(out)],
        "show --paper": ["show", str(out), "--paper"],
        "query": ["query", str(out), "--source", "sports"],
        "groups": ["groups", str(out), "--at", "0.001"],
        "project": ["project", first, second, "--error-bars"],
        "inspect": ["inspect", first],
        "inspect several": ["inspect", str(folder)],
        "test": ["test", first, second, third],
        "lambda-path": ["lambda-path", first, second, "--grid", "0,0.1"],
        "env": ["env"],
        "diff": ["diff", str(out), str(out)],
        "sweep --dry-run": ["sweep", str(folder), "-o", str(out.with_name("none.zarr")), "--dry-run"],
        "ingest": ["ingest", str(folder), "-o", str(out.with_name("zoo.zarr"))],
        "status": ["status", str(out)],
        "verify": ["verify", str(out)],
        "report": ["report", str(out), "-o", str(out.with_suffix(".html")), "--overwrite"],
        "convert": ["convert", first, str(out.with_name("as-peft"))],
        "score": ["score", str(out), "--truth", str(out.with_name("truth.json"))],
    }


COMMANDS = tuple(commands(Path(), Path("out.zarr")))


def test_every_command_is_here() -> None:
    """But a server, and the benchmarks, which have a test of their own."""
    assert {command.split()[0] for command in COMMANDS} == set(cli.COMMANDS) - {"explore"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_fits(folder, tmp_path, capsys, monkeypatch, command: str) -> None:
    run = commands(folder, tmp_path / "out.zarr")
    if str(tmp_path / "out.zarr") in run[command][:3] and command != "sweep":
        assert main(run["sweep"]) == 0
    (tmp_path / "truth.json").write_text(json.dumps(TRUTH))

    def printed_at(width: int) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        shutil.rmtree(tmp_path / "as-peft", ignore_errors=True)
        capsys.readouterr()
        assert main(run[command]) == 0
        return capsys.readouterr().out

    whole = printed_at(1000)
    assert whole
    for width in WIDTHS:
        printed = printed_at(width)
        assert too_wide(printed, width) == []
        assert "…" not in printed
        if command not in TIMED:
            assert set(NUMBER.findall(printed)) <= set(NUMBER.findall(whole))
        if command in ("sweep", "show", "inspect several"):
            assert all(piece in printed for name in LONG for piece in re.split("(?<=[-_/])", name))


def test_what_has_no_room_is_said_and_the_most_important_stays(folder, tmp_path, capsys) -> None:
    run = commands(folder, tmp_path / "out.zarr")
    assert main([*run["project"], "--width", "60"]) == 0
    printed = capsys.readouterr().out
    header = printed.split("───")[0]
    assert "captured" in header and "REC" in header and "energy" not in header
    said = re.search(r"No room for (\d+) columns: (.*?);", " ".join(printed.split()))
    assert said and "energy" in said[2] and int(said[1]) == len(said[2].split(", "))


def test_layers_are_in_natural_order(folder, tmp_path, capsys) -> None:
    run = commands(folder, tmp_path / "out.zarr")
    for command in ("project", "inspect"):
        assert main(run[command]) == 0
        found = re.findall(r"^model\.layers\.(\d+)\.", capsys.readouterr().out, re.M)
        assert found == ["0", "0", "2", "2", "10", "10"], command


def test_columns_holds_in_a_pipe_and_without_it_a_row_is_a_line(folder, tmp_path, capsys, monkeypatch) -> None:
    run = commands(folder, tmp_path / "out.zarr")["project"]
    assert main(run) == 0
    piped = capsys.readouterr().out
    assert max(map(len, lines(piped))) > 150
    assert sum(line.startswith("model.layers") for line in lines(piped)) == 6
    monkeypatch.setenv("COLUMNS", "70")
    assert main(run) == 0
    narrow = capsys.readouterr().out
    assert main([*run, "--width", "70"]) == 0
    assert narrow == capsys.readouterr().out != piped
    assert main([*run, "--width", "1000"]) == 0  # an option goes before the environment
    assert capsys.readouterr().out == piped


def test_a_locale_without_unicode_and_no_color(folder, tmp_path) -> None:
    """Every command in one process: what each prints is after a line of dollars."""
    run = commands(folder, tmp_path / "out.zarr")
    (tmp_path / "truth.json").write_text(json.dumps(TRUTH))
    code = "import json, sys; from taskvec.cli import main\nfor one in json.loads(sys.argv[1]):"
    code += " print('$$$'); assert main(one) == 0, one"
    environment = {**os.environ, "LC_ALL": "C", "NO_COLOR": "1", "COLUMNS": "80"}
    arguments = [sys.executable, "-c", code, json.dumps([*run.values()])]
    done = subprocess.run(arguments, capture_output=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    printed = dict(zip(run, done.stdout.decode("ascii").split("$$$\n")[1:], strict=True))
    for command, text in printed.items():
        assert text and "\x1b" not in text and not re.search(r"\\[xuU][0-9a-f]{2}", text), command
        assert too_wide(text, 80) == [], command
    assert "---" in printed["project"]


def test_names_with_control_characters_are_escaped(tmp_path, capsys) -> None:
    name = "bad\x1b[31m\nname\u202e"
    for seed, adapter in enumerate((name, "good")):
        save_adapter(tmp_path / "zoo" / adapter, random_factors({"h.0.q": (8, 8, 2)}, seed), rank=2)
    arguments = ["sweep", str(tmp_path / "zoo"), "-o", str(tmp_path / "out.zarr")]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert not re.search("[\x1b\u202e]", printed.out + printed.err) and "bad\\x1b[31m\\n" in printed.out
    assert main([*arguments, "--overwrite", "--json"]) == 0
    assert all("\x1b" not in name for name in json.loads(capsys.readouterr().out)["results"][0]["adapters"])


def test_a_long_name_folds_at_its_separators() -> None:
    printed = render([table(["a-long-name/with_many-parts", "b"], 1)], 44)
    assert "a-long-name/" in printed and "with_many-parts" in printed
    assert max(map(len, lines(printed))) <= 44


def test_names_that_do_not_fold_are_numbers_with_a_key() -> None:
    names = ["x" * 50, "y" * 50, "short"]
    printed = render([table(names)], 60)
    cells = [line.split()[:2] for line in lines(printed) if "0.123456" in line]
    assert cells == [["[1]", "[1]"], ["[2]", "[1]"], ["short", "[1]"]]
    assert f"[1] {names[0]}" in lines(printed) and f"[2] {names[1]}" in lines(printed)
    assert all(f"{i}.123456" in printed for i in range(2))


def test_columns_go_by_rank_the_last_of_equals_first() -> None:
    columns = [Column("name", "name"), Column("first", rank=2), Column("second", rank=1), Column("third", rank=2)]
    narrow = Table(columns, rows=[("a", "1" * 9, "2" * 9, "3" * 9)])
    kept = {width: lines(render([narrow], width))[0].split() for width in (37, 36, 25, 14)}
    assert kept == {
        37: ["name", "first", "second", "third"],
        36: ["name", "first", "second"],
        25: ["name", "second"],
        14: ["name"],
    }


@pytest.mark.parametrize("width", range(10, 90, 7))
def test_whatever_the_width_nothing_is_cut(width: int) -> None:
    names = ["ner-seed0", "summarisation/cnn_dailymail-lr3e4", "名前-テスト", "z" * 40]
    printed = render([table(names)], width)
    for name in names:
        assert squeezed(name) in squeezed(printed) or all(piece in printed for piece in re.split("(?<=[-_/])", name))
    assert not re.search(r"\d\.\d{1,5}(?!\d)", printed)


def test_wide_characters_take_two_cells() -> None:
    one, two = lines(render([Table([Column("name", "name"), Column("n")], rows=[("名前", "1"), ("ab", "22")])]))[-2:]
    assert one == "名前   1" and two == "ab    22"
