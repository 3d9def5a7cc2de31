"""``taskvec explore`` over HTTP: every page, as HTML and as JSON, of whatever a result keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pytest

from explorer import HOSTILE, NAMES, Served
from kept import listed, reduced
from made_results import KINDS, made_result, stored
from taskvec.cli import main
from taskvec.explore import live as living
from taskvec.explore import tables
from taskvec.explore import view as viewing
from taskvec.explore.live import Progress
from taskvec.explore.pages import matrix as matrices
from taskvec.explore.server import PAGES, listening
from taskvec.queries.ranking import ranking


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, Path]:
    """The same result, keeping all, reduced, and a list of its pairs."""
    folder = tmp_path_factory.mktemp("results")
    whole = made_result(len(NAMES), kinds=KINDS, names=NAMES)
    pairs = [(i, j) for i in range(12) for j in range(i + 1, 12) if (i * 7 + j) % 5 < 2]
    made = {"all": whole, "reduced": reduced(whole), "listed": listed(whole, pairs)}
    return {name: stored(folder / f"{name}.zarr", of) for name, of in made.items()}


@pytest.fixture(scope="module")
def serve(tmp_path_factory) -> Iterator[Callable[..., Served]]:
    running: list[Served] = []

    def start(path: Path, **options: Any) -> Served:
        running.append(Served(path, tmp_path_factory.mktemp("config"), **options))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture(scope="module")
def served(results, serve) -> dict[str, Served]:
    return {name: serve(path) for name, path in results.items()}


@pytest.fixture(params=["all", "reduced", "listed"])
def of_each(request, served) -> Served:
    found: Served = served[request.param]
    return found


@pytest.fixture
def of_all(served) -> Served:
    found: Served = served["all"]
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_every_kind_of_result(page: str, of_each: Served) -> None:
    document = of_each.json(page)
    assert document["page"] == page and document["schema"] == "taskvec.explore/1"
    assert "error" not in document and "reading" not in document
    code, headers, text = of_each.ask(f"/{page}")
    assert code == 200 and headers["Content-Type"].startswith("text/html")
    assert "\x1b" not in text and text.count("<script") == 3  # the document, the arrays, and ours
    assert "script-src 'self'" in headers["Content-Security-Policy"]


def test_json_by_accept(of_all: Served) -> None:
    by_name = of_all.ask("/pairs.json")[2]
    assert of_all.ask("/pairs", Accept="application/json")[2] == by_name


def test_pairs_are_the_ranking(of_all: Served) -> None:
    frame = ranking(of_all.live._dataset)
    document = of_all.json("pairs")
    assert document["paging"]["total"] == len(frame) == 132
    shown = [(NAMES[row["source_at"]], NAMES[row["target_at"]]) for row in document["rows"]]
    assert shown == list(zip(frame["source"][:50], frame["target"][:50], strict=True))
    for name in ("captured", "captured_back", "rec", "rec_z", "q", "excess"):
        found = [row[name] for row in document["rows"]]
        np.testing.assert_allclose(found, frame[name][:50], rtol=2e-6)
    third = of_all.json("pairs", page=3)
    assert len(third["rows"]) == 32 and third["paging"]["last"] == 3


def test_facets_and_order_are_in_the_address(of_all: Served) -> None:
    rows = of_all.json("pairs", captured=0.3, order="rec", way="up")["rows"]
    assert all(row["captured"] >= 0.3 for row in rows)
    assert [row["rec"] for row in rows] == sorted(row["rec"] for row in rows)
    some = of_all.json("pairs", source="author/task1")["rows"]
    assert len(some) == 11 and {row["source_at"] for row in some} == {NAMES.index("author/task1")}
    either = of_all.json("pairs", find="IMG")["rows"]
    assert len(either) == 22 and all(2 in (row["source_at"], row["target_at"]) for row in either)


@pytest.mark.parametrize(
    ("page", "given", "says"),
    [
        ("pairs", {"order": "rows; DROP"}, "no such order"),
        ("pairs", {"captured": "much"}, "captured is no such number"),
        ("pairs", {"captured": "nan"}, "captured is no such number"),
        ("pairs", {"source": "author/task11"}, "no adapter"),
        ("matrix", {"rows": "5:99"}, "rows is no range"),
        ("matrix", {"metric": "love"}, "no such metric"),
        ("matrix", {"kind": "none_such"}, "no module"),
        ("matrix", {"layers": "a:b"}, "layers is no range"),
        ("pair", {"source": "nobody"}, "such as"),
        ("verdicts", {"verdict": "maybe"}, "no such verdict"),
        ("overview", {"lam": "7"}, "lam"),
    ],
)
def test_what_an_address_must_not_ask(page: str, given: dict[str, str], says: str, of_all: Served) -> None:
    error = of_all.json(page, 400, **given)["error"]
    assert says.replace("no adapter", "no such adapter") in error and "\n" not in error
    assert of_all.ask(f"/{page}?{urlencode(given)}")[0] == 400


def test_no_such_page(of_all: Served) -> None:
    for address in ("/nothing", "/overview.txt", "/static", "/../etc/passwd"):
        assert of_all.ask(address)[0] == 404


def test_the_matrix_is_the_result(of_all: Served, of_each: Served) -> None:
    document = of_each.json("matrix", by="result")
    values = np.array(document["arrays"]["cells.values"], float)
    wanted = np.full((12, 12), np.nan)
    frame = ranking(of_each.live._dataset)
    for row in frame.itertuples():
        wanted[NAMES.index(row.source), NAMES.index(row.target)] = row.captured
    np.testing.assert_allclose(values, wanted, rtol=2e-6)
    part = of_each.json("matrix", by="result", rows="2:5", columns="6:12", metric="asymmetry")
    apart = np.array(part["arrays"]["cells.values"], float)
    np.testing.assert_allclose(apart, (wanted - wanted.T)[2:5, 6:12], rtol=1e-4, atol=1e-6)


def test_the_matrix_of_some_modules(of_all: Served) -> None:
    dataset = of_all.live._dataset
    some = dataset.isel(module=(dataset["kind"].values == "q_proj") & (dataset["layer"].values >= 3))
    document = of_all.json("matrix", by="result", kind="q_proj", layers="3:", metric="above_chance", captured=0.4)
    wanted = (some["rec"] - some["rec_chance"]).mean("module").values
    np.fill_diagonal(wanted, np.nan)
    np.testing.assert_allclose(np.array(document["arrays"]["cells.values"], float), wanted, rtol=1e-5, atol=1e-7)
    assert "cells.below" in document["arrays"] and document["what"] == "kind q_proj, layers from 3"


def test_a_pair_has_its_modules(of_all: Served) -> None:
    document = of_all.json("pair", source=HOSTILE[1], target="author/task2")
    i, j = 1, NAMES.index("author/task2")
    assert document["ends"] == [i, j] and document["adapters"][str(i)] == "a\\nb\\x1b[31mred"
    captured = of_all.live._dataset["captured"].values[:, [i, j], [j, i]].T
    np.testing.assert_allclose(document["arrays"]["pairs.captured"], captured, rtol=1e-6)
    assert len(document["arrays"]["adapters.spectrum"][0]) == 2


def test_an_adapter_has_its_neighbours(of_each: Served) -> None:
    document = of_each.json("adapter", name="author/task3")
    frame = ranking(of_each.live._dataset)
    held = frame[frame["source"] == "author/task3"]["target"].head(8).tolist()
    assert [NAMES[one["j"]] for one in document["nearest"]["holds"]] == held


def test_a_list_says_what_it_does_not_have(served) -> None:
    absent = next((a, b) for a in range(12) for b in range(a + 1, 12) if (a * 7 + b) % 5 >= 2)
    error = served["listed"].json("pair", 400, source=NAMES[absent[0]], target=NAMES[absent[1]])["error"]
    assert "does not keep this pair" in error and "taskvec project" in error


def test_labels_are_facets(results, serve, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "adapter,task,norm\n" + "".join(f"author/task{i},t{i % 2},{'a' if i < 3 else ''}\n" for i in range(8))
    )
    one = serve(results["all"], labels=labels)
    assert one.json("adapters", task="t1")["paging"]["total"] == 4
    assert one.json("adapters", label_norm="a")["paging"]["total"] == 3
    assert one.json("pairs", same="task")["paging"]["total"] == 24
    rows = one.json("adapters", order="task", way="down")["rows"]
    assert [row["task"] for row in rows[:5]] == ["t1"] * 4 + ["t0"]
    assert one.json("matrix", by="task")["matrix"]["by"] == "task"
    assert one.json("map", label="norm")["chosen"] == {"label": "norm"}


def test_a_result_for_several_lambda(serve, tmp_path: Path) -> None:
    one = serve(stored(tmp_path / "lams.zarr", made_result(6, layers=2, lams=(0.0, 0.5))))
    first, second = (one.json("pairs", lam=lam, order="captured")["rows"][0] for lam in (0, 1))
    assert second["rec"] == pytest.approx(0.9 * first["rec"], rel=1e-5)
    assert second["captured"] == first["captured"]


@pytest.mark.parametrize("keep", ["reduced", "all"])
def test_what_is_not_in_memory_is_read(keep: str, results, serve, of_all: Served, monkeypatch) -> None:
    """As a result of more than 2,000 adapters: few rows in the tables, numbers from the blocks."""
    given = {"by": "name", "rows": "1:9", "columns": "3:12"}
    wanted = {
        metric: np.array(of_all.json("matrix", **given, metric=metric)["arrays"]["cells.values"], float)
        for metric in ("captured", "above_chance", "asymmetry")
    }
    whole = np.array(of_all.json("matrix", by="name")["arrays"]["cells.values"], float)
    first, near = of_all.json("pairs")["rows"], of_all.json("adapter", name=NAMES[5])["nearest"]
    monkeypatch.setattr(viewing, "MOST_SQUARE", 4)
    monkeypatch.setattr(viewing, "MOST_ROWS", 40)
    monkeypatch.setattr(tables, "MOST_ROWS", 40)
    one = serve(results[keep])
    document = one.json("pairs")
    assert document["paging"]["total"] == 40 and document["every_pair"] is False
    ends = [[(row["source_at"], row["target_at"]) for row in rows[:20]] for rows in (document["rows"], first)]
    assert ends[0] == ends[1]
    found = one.json("adapter", name=NAMES[5])["nearest"]
    assert [[row["j"] for row in found[way]] for way in found] == [[row["j"] for row in near[way]] for way in near]
    assert "landmark" in one.json("map")["map"]["method"]
    one.json("pair", source=NAMES[0], target=NAMES[9])
    if keep == "all":
        assert "--keep reduced" in one.json("matrix", 400)["error"]
        return
    for metric, values in wanted.items():
        got = np.array(one.json("matrix", **given, metric=metric)["arrays"]["cells.values"], float)
        np.testing.assert_allclose(got, values, rtol=2e-5, atol=1e-6)
    monkeypatch.setattr(matrices, "SINGLE", 6)
    monkeypatch.setattr(matrices, "TILES", 3)
    tiled = np.array(one.json("matrix", by="name", q=0.5)["arrays"]["cells.values"], float)
    means = np.nanmean(whole.reshape(3, 4, 3, 4).transpose(0, 2, 1, 3).reshape(3, 3, 16), axis=-1)
    np.testing.assert_allclose(tiled, means, rtol=2e-5)


# sweeps that run


def test_a_running_sweep_is_read_again(serve, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(living, "AGAIN", 0.0)
    dataset = made_result(6, layers=2)
    half = dataset.copy(deep=True)
    for array in half.data_vars.values():
        if array.dims == ("module", "source", "target"):
            array.values[:, 3:] = np.nan
            array.values[:, :, 3:] = np.nan
    path = stored(tmp_path / "running.zarr", half.assign_attrs(complete=0))
    done = [1]
    one = serve(path, progress=lambda: Progress(done[0], 4, "process 7 on here"))
    document = one.json("pairs")
    assert document["progress"] == {"done": 1, "units": 4, "writer": "process 7 on here"}
    assert document["paging"]["total"] == 6
    stored(path, dataset)
    done[0] = 4
    one.json("pairs")  # looks in the background
    one.live._readers.submit(lambda: None).result()
    document = one.json("pairs")
    assert document["paging"]["total"] == 30 and document["progress"] is None


# the command


def test_the_command_says_what_is_missing(results, monkeypatch, capsys) -> None:
    from taskvec.cli import explore

    monkeypatch.setattr(explore, "find_spec", lambda name: None if name == "duckdb" else object())
    assert main(["explore", str(results["all"])]) == 2
    assert capsys.readouterr().err == "taskvec: taskvec explore needs duckdb; pip install 'taskvec[explore]'\n"


def test_the_command_refuses_what_is_no_result(tmp_path: Path, results, capsys) -> None:
    assert main(["explore", str(tmp_path / "none.zarr")]) == 2
    assert "no such result" in capsys.readouterr().err
    with listening(0) as sock:
        assert main(["explore", str(results["all"]), "--port", str(sock.getsockname()[1])]) == 2
    assert "--port" in capsys.readouterr().err


def test_names_are_found(of_all: Served) -> None:
    assert json.loads(of_all.ask(f"/names?find={quote('TASK1')}")[2]) == ["author/task1"]
    assert json.loads(of_all.ask("/names?find=")[2])[:2] == NAMES[:2]
