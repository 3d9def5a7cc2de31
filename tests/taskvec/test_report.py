"""``taskvec report``: one file with everything in it, whatever the names are."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import taskvec
from kept import listed, reduced
from made_results import made_result, stored
from taskvec.cli import main
from taskvec.errors import TaskvecError
from taskvec.queries.clustering import tree
from taskvec.queries.mapping import classical_map
from taskvec.queries.matrices import matrices
from taskvec.queries.slices import slices
from taskvec.reports.html.packing import Pack, rooted
from taskvec.reports.html.report import report

HOSTILE = [
    "</script><script>alert(1)</script>",
    "a\nb\x1b[31mred",
    '=1+1,"x"',
    "<img src=x onerror=alert(2)>",
    "$title & ${x}",
    "naïve→λ",
]


class Page(HTMLParser):
    """Tags and attributes of a page, and the text of its scripts by id."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.scripts: dict[str | None, str] = {}
        self.inside: str | None = None
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag == "script":
            self.inside = dict(attrs).get("id")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.scripts[self.inside] = self.scripts.get(self.inside, "") + data

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts["document"])
        return found

    def array(self, name: str) -> np.ndarray[Any, Any]:
        of = self.document["arrays"][name]
        raw = gzip.decompress(base64.b64decode(self.scripts["arrays"]))
        kind = {"f32": "<f4", "i32": "<i4", "root16": "<i2", "root8": "<i1"}[of["encoding"]]
        values = np.frombuffer(raw, kind, int(np.prod(of["shape"])), of["offset"]).reshape(of["shape"])
        if not of["encoding"].startswith("root"):
            return values
        limit = {"root16": 32767, "root8": 127}[of["encoding"]]
        u = values / limit
        return np.where(values < -limit, np.nan, of["scale"] * u * np.abs(u))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Page, xr.Dataset]:
    folder = tmp_path_factory.mktemp("report")
    dataset = made_result(6)
    path = stored(folder / "made.zarr", dataset)
    return Page(report(path, folder / "report.html")), dataset


def test_one_file_that_asks_for_nothing(written) -> None:
    page, _ = written
    assert all(link.startswith("#") for link in page.links)
    assert {"link", "iframe", "img", "object"}.isdisjoint(page.tags)
    assert "sourceMappingURL" not in page.text
    assert (
        re.findall(r"@import|url\((?!#)", page.scripts[None] + page.text.split("<style>")[1].split("</style>")[0]) == []
    )
    assert "default-src 'none'" in page.text


def test_numbers_are_those_of_the_queries(written) -> None:
    page, dataset = written
    names = dataset["source"].values.tolist()
    square = matrices(dataset)
    for name in ("captured", "rec", "above_chance", "cosine"):
        np.testing.assert_allclose(page.array(f"matrix.{name}"), square.values[name], rtol=1e-6)
    assert page.document["adapters"] == names
    first = page.document["pairs"][0]
    i, j = first["source"], first["target"]
    np.testing.assert_array_equal(page.array("pairs.rec")[0], dataset["rec"].values[:, i, j])
    assert first["captured"] == pytest.approx(square.values["captured"][i, j])
    assert f"{names[i]} holds" in first["sentence"]


def test_hostile_names_are_text(tmp_path) -> None:
    path = stored(tmp_path / "hostile.zarr", made_result(6, names=HOSTILE))
    page = Page(report(path, tmp_path / "report.html"))
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert page.document["adapters"][0] == HOSTILE[0]
    assert page.document["adapters"][1] == "a\\nb\\x1b[31mred"
    assert "\x1b" not in page.text


def test_small_numbers_keep_their_digits_when_packed() -> None:
    pack, values = Pack(), np.array([0.0, 1e-6, 0.003, -0.5, 1.0, np.nan])
    pack.add("x", values, "root16")
    scale = pack.index["x"]["scale"]
    u = rooted(values, "root16", scale) / 32767
    np.testing.assert_allclose((u * np.abs(u) * scale)[:5], values[:5], atol=1e-9, rtol=2e-2)
    assert rooted(values, "root16", scale)[5] == -32768


def test_slices_between_clusters_are_means_of_their_pairs() -> None:
    dataset = made_result(12, layers=3)
    square = matrices(dataset)
    found_tree = tree(square.values["captured"])
    fine = slices(dataset, found_tree, 10**9)
    coarse = slices(dataset, found_tree, 3 * 6 * 16)
    assert fine is not None
    assert coarse is not None
    assert len(coarse.ends) - 1 <= 4
    a, b = slice(*coarse.ends[:2]), slice(*coarse.ends[1:3])
    np.testing.assert_allclose(
        coarse.values["captured"][:, 0, 1], fine.values["captured"][:, a, b].mean((1, 2)), rtol=1e-5
    )
    i, j = found_tree.order[:2]
    np.testing.assert_array_equal(fine.values["captured"][:, 0, 1], dataset["captured"].values[:, i, j])
    assert np.isnan(fine.values["captured"][:, 0, 0]).all()


def test_the_tree_puts_a_task_together() -> None:
    dataset = made_result(15)
    square = matrices(dataset)
    found = tree(square.values["captured"])
    task = found.order % 5
    assert (np.diff(task) != 0).sum() == 4
    assert found.cut(5).tolist() == [0, 3, 6, 9, 12, 15]


def test_the_map_is_that_of_unit_vectors() -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((7, 2)) @ random.standard_normal((2, 30))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gram = vectors @ vectors.T
    plane = classical_map(gram)
    apart = np.linalg.norm(plane.points[:, None] - plane.points, axis=-1)
    np.testing.assert_allclose(apart**2, 2 - 2 * gram, atol=1e-7)
    assert plane.explained is not None
    assert sum(plane.explained) == pytest.approx(1)


@pytest.mark.parametrize("name", ["report.txt", "nowhere/report.html"])
def test_where_a_report_cannot_go(tmp_path, name) -> None:
    with pytest.raises(TaskvecError):
        report(tmp_path / "x.zarr", tmp_path / name)


def test_the_command(tmp_path, capsys) -> None:
    path, out = stored(tmp_path / "made.zarr", made_result(3)), tmp_path / "report.html"
    assert main(["report", str(path), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"written to {out}\n"
    assert main(["report", str(path), "-o", str(out)]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["report", str(path), "-o", str(out), "--overwrite"]) == 0


def test_what_a_result_does_not_keep_is_said(tmp_path) -> None:
    whole = made_result(6)
    for name, dataset in (("reduced", reduced(whole)), ("listed", listed(whole, [(0, 5), (1, 2)]))):
        page = Page(report(stored(tmp_path / f"{name}.zarr", dataset), tmp_path / f"{name}.html"))
        document = page.document
        assert document["matrix"]["slices"] == []
        assert document["pair_metrics"] == []
        assert any("--keep all" in line for line in document["no_tables"])
        assert len(document["pairs"]) == (30 if name == "reduced" else 4)
        captured = page.array("matrix.captured")
        assert np.isnan(captured).sum() == (6 if name == "reduced" else 32)
        assert captured[0, 5] == pytest.approx(matrices(whole).values["captured"][0, 5])


def test_labels_answers_and_tables_as_files(tmp_path) -> None:
    dataset = made_result(6, tasks=3, lams=(0.0, 0.1))
    names = dataset["source"].values.tolist()
    labels, answers = tmp_path / "labels.csv", tmp_path / "answers.jsonl"
    rows = (f"{name},t{i % 3},{i},{['base', 'chat'][i // 3]},{i}.5" for i, name in enumerate(names))
    labels.write_text("adapter,task,seed,model,score\n" + "\n".join(rows))
    answers.write_text(json.dumps(dict.fromkeys(("prompt", "base", "answer"), "<i>x</i>") | {"adapter": names[0]}))
    path = stored(tmp_path / "made.zarr", dataset)
    data = tmp_path / "data"
    page = Page(report(path, tmp_path / "r.html", labels=labels, answers=answers, data=data))
    document = page.document
    assert document["labels"]["task"] == ["t0", "t1", "t2"] * 2
    assert document["answers"][0]["answer"] == "<i>x</i>"
    titles = [table["title"] for table in document["tables"]]
    assert [title.split(":")[0] for title in titles] == [f"Table {number}" for number in range(2, 8)]
    four = pd.read_csv(data / "table_4.csv")
    assert {"projection", "rec.base", "rec.base_low", "rec.chat_high", "l1.chat"} <= set(four.columns)
    row = four.set_index("projection").loc["t0 → t1"]
    values = dataset["rec"].values[:, 0]  # [L, N, N] of the first λ
    assert row["rec.base"] == pytest.approx(values[:, 0, 1].mean(), rel=1e-5)
    assert row["rec.base_low"] < row["rec.base"] < row["rec.base_high"]
    pd.testing.assert_frame_equal(pd.read_parquet(data / "table_4.parquet"), four, check_dtype=False)
    six = pd.read_csv(data / "table_6.csv")
    of = six[six["projection"] == "t0 → t1"]
    np.testing.assert_allclose(of["rec.base"], dataset["rec"].values[:, :, 0, 1].mean(0), rtol=1e-5)
    tests = pd.read_csv(data / "table_5.csv")
    assert (tests["q"] >= tests["p"]).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"adapter": "nobody", "prompt": "", "base": "", "answer": ""}', "no adapter has this name"),
        ('{"adapter": "x"}', "line 1 is no answer"),
        ("[", "line 1 is no JSON"),
    ],
)
def test_answers_that_cannot_be_read(tmp_path, text, words) -> None:
    path, answers = stored(tmp_path / "made.zarr", made_result(3)), tmp_path / "answers.jsonl"
    answers.write_text(text)
    with pytest.raises(TaskvecError, match=words):
        report(path, tmp_path / "r.html", answers=answers)
    assert not (tmp_path / "r.html").exists()


def test_folders_of_tables_are_not_overwritten(tmp_path) -> None:
    path, data = stored(tmp_path / "made.zarr", made_result(3)), tmp_path / "data"
    data.mkdir()
    (data / "mine.csv").write_text("a")
    with pytest.raises(TaskvecError, match="is not empty"):
        report(path, tmp_path / "r.html", data=data)


def test_s2_is_computed_from_the_adapters(zoo_folder, tmp_path, capsys) -> None:
    result, out = tmp_path / "out.zarr", tmp_path / "report.html"
    assert main(["sweep", str(zoo_folder), "-o", str(result)]) == 0
    assert main(["report", str(result), "-o", str(out), "--adapters", str(zoo_folder)]) == 0
    page, dataset = Page(out), taskvec.open_result(result)
    first = page.document["pairs"][1]
    names = dataset["source"].values.tolist()
    adapters = {adapter.name: adapter for adapter in taskvec.load_zoo([zoo_folder]).adapters}
    expected = taskvec.project(adapters[names[first["source"]]], adapters[names[first["target"]]])
    found = page.array("pairs.projected")[1]
    modules = dataset["module"].values.tolist()
    for one in expected.modules:
        np.testing.assert_allclose(found[modules.index(one.module)][: len(one.s2)], one.s2, atol=1e-5)
    capsys.readouterr()
    other = tmp_path / "other.html"
    assert main(["report", str(result), "-o", str(other), "--adapters", str(zoo_folder / "none")]) == 2
    assert not other.exists()
