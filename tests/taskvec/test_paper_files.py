"""``report --paper``: the paper's tables in Markdown and LaTeX, and its figures, of any result."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import taskvec
from kept import reduced
from made_results import made_result, stored
from taskvec.cli import main
from taskvec.queries.labels import read_labels
from taskvec.queries.paper import pair_means, task_means
from taskvec.queries.task_curves import task_curves
from taskvec.reports.html.sheets import Head, Sheet
from taskvec.reports.html.typeset import latex, markdown

pytest.importorskip("matplotlib")
TASKS, MODELS, SEEDS = ("sum", "ner", "ten"), ("instruct", "base"), (0, 1)
NAMES = [f"{model}/{task}-s{seed}" for model in MODELS for task in TASKS for seed in SEEDS]


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """A result over two λ of two models, and labels with a score."""
    rows = [f"{name},{name.split('/')[1][:3]},{name.split('/')[0]},{10 + i}" for i, name in enumerate(NAMES)]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["adapter,task,model,rougeL", *rows]))
    return stored(tmp_path / "made.zarr", made_result(12, names=NAMES, lams=(0.0, 0.1))), labels


def test_table_6_has_tasks_models_and_adam_beside(files, tmp_path) -> None:
    result, labels = files
    adam = []
    for start, shift in enumerate((0.1, 0.3)):
        other = made_result(12, names=NAMES, lams=(0.0, 0.1))
        other["rec"] = other["rec"] + shift
        other = other.isel(source=slice(None, None, -1), target=slice(None, None, -1))
        adam.append(stored(tmp_path / f"adam{start}.zarr", other.assign_attrs(method="adam")))
    taskvec.plot.paper(result, tmp_path / "paper", labels=labels, adam=adam)
    text = (tmp_path / "paper/tables.md").read_text()
    heads = text.split("## Table 6")[1].splitlines()[2]
    assert [heads.count(one) for one in ("instruct", "base", "exact", "Adam", "REC")] == [6, 6, 6, 6, 4]
    rows = rows_of(text, "Table 6")
    assert len(rows) == 12 and {row[1] for row in rows} == {"0", "0.1"}
    four = {row[0]: row for row in rows_of(text, "Table 4")}
    for row in rows[::2]:
        exact, by_adam = (float(cell.split()[0]) for cell in (row[4], row[7]))
        assert by_adam == pytest.approx(exact + 0.2, abs=2e-3)  # the mean of its starts
        assert row[4] in four[row[0]]  # the same number with the same interval


def test_adam_beside_must_be_of_adam_and_of_the_same_adapters(files, tmp_path) -> None:
    result, _ = files
    with pytest.raises(taskvec.TaskvecError, match="is not by Adam"):
        taskvec.plot.paper(result, tmp_path / "paper", adam=[result])
    few = stored(tmp_path / "few.zarr", made_result(3, names=NAMES[:3]).assign_attrs(method="adam"))
    with pytest.raises(taskvec.TaskvecError, match="has no adapter"):
        taskvec.plot.paper(result, tmp_path / "paper", adam=[few])


def rows_of(text: str, title: str) -> list[list[str]]:
    """Cells of a table of the Markdown file, without its heads."""
    block = text.split(f"## {title}")[1].split("\n\n")[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]


def test_the_command_writes_every_table_and_figure(files, tmp_path, capsys) -> None:
    result, labels = files
    folder = tmp_path / "paper"
    asked = ["report", str(result), "-o", str(tmp_path / "r.html"), "--labels", str(labels), "--paper", str(folder)]
    assert main(asked) == 0
    assert {file.name for file in folder.iterdir()} == {
        "tables.md", "tables.tex", "figure_2.pdf", "figure_3.pdf", "captured.pdf",
    }  # fmt: skip
    text = (folder / "tables.md").read_text()
    assert re.findall(r"## Table (\d+)", text) == ["2", "3", "4", "5", "6", "7"]
    assert [row[0] for row in rows_of(text, "Table 2")] == ["ner", "sum", "ten"]
    assert rows_of(text, "Table 2")[0][2].startswith("12.5 ")  # of instruct, the mean over two seeds
    assert {row[0] for row in rows_of(text, "Table 4")} == {f"{a} → {b}" for a in TASKS for b in TASKS if a != b}
    for row in rows_of(text, "Table 5"):
        assert len({name.split("/")[0] for name in re.findall(r"(?:instruct|base)/", row[0])}) == 1
    tex = (folder / "tables.tex").read_text()
    assert tex.count(r"\begin{table}") == tex.count(r"\end{tabular}") == 6
    assert main([*asked[:3], str(tmp_path / "r2.html"), *asked[4:]]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_figure_is_the_mean_over_pairs_of_runs(files) -> None:
    result, labels = files
    dataset = taskvec.open_result(result).isel(lam=0)
    names = dataset["source"].values.tolist()
    ends = np.array([(i, j) for i in range(12) for j in range(12) if i != j]).T
    curves = task_curves(dataset, *ends, read_labels(labels, names), "rec")
    assert len(curves) == 2 * 6 * 2  # models, projections, kinds
    one = next(one for one in curves if (one.model, one.projection, one.kind) == ("base", "sum → ner", curves[0].kind))
    runs = [[f"base/{task}-s{seed}" for seed in SEEDS] for task in ("sum", "ner")]
    some = dataset["rec"].sel(source=runs[0], target=runs[1]).where(dataset["kind"] == one.kind, drop=True)
    np.testing.assert_allclose(one.mean, some.mean(("source", "target")).values, rtol=1e-6)
    assert one.layers.tolist() == [0, 1, 2, 3, 4, 5]
    assert (one.low < one.mean).all() and (one.mean < one.high).all()


def test_two_pairs_of_runs_have_a_mean_and_no_interval(files) -> None:
    result, labels = files
    dataset = taskvec.open_result(result).isel(lam=0)
    names = NAMES[:3]  # sum in two seeds, ner in one
    means = pair_means(dataset, *np.array([(i, j) for i in range(3) for j in range(3) if i != j]).T)
    rows = task_means(means, read_labels(labels, NAMES)).set_index("projection")
    assert rows["pairs"].tolist() == [2, 2]
    expected = dataset["rec"].sel(source=names[2], target=names[:2]).mean()
    assert rows.loc["ner → sum", "rec"] == pytest.approx(float(expected), rel=1e-5)
    assert rows[["rec_low", "rec_high"]].isna().all(axis=None)


def test_without_modules_there_are_tables_and_no_figures(tmp_path) -> None:
    result = stored(tmp_path / "reduced.zarr", reduced(made_result(6)))
    written = taskvec.plot.paper(result, tmp_path / "paper")
    assert [file.name for file in written] == ["tables.md", "tables.tex"]


def test_text_is_text() -> None:
    names = ["a_b & 5 % of $x", "{~^\\}", "| <b> *c* `d` #", "λ → x"]
    frame = pd.DataFrame({"name": names, "x": [0.5, np.nan, -0.25, 1.0], "x_low": np.nan, "x_high": np.nan})
    frame.loc[0, ["x_low", "x_high"]] = 0.4, 0.6
    sheet = Sheet("t", "A & B", [Head("name", "name"), Head("x", "x_1", "s3", bounds=True)], frame, ("50 %.",))
    rows = [line for line in latex([sheet]).splitlines() if line.endswith(r"\\")][1:]
    assert rows[0] == r"a\_b \& 5 \% of \$x & +0.500 [+0.400, +0.600] \\"
    assert rows[1] == r"\{\textasciitilde{}\textasciicircum{}\textbackslash{}\} &  \\"
    assert rows[2].endswith("$-$0.250 \\\\") and rows[3].startswith(r"$\lambda$ $\to$ x")
    assert r"\caption{A \& B. 50 \%.}" in latex([sheet])
    lines = markdown([sheet]).splitlines()
    assert lines[6] == r"| \| \<b\> \*c\* \`d\` \# | −0.250 |"
