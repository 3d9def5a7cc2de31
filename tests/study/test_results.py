"""The committed results: tables.md is made of the CSV files, and README.md and METHOD.md say what these say."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "examples/study"
RESULTS = STUDY / "results"


def test_the_tables_are_made_of_the_csv_files(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")
    tables = importlib.import_module("study.tables")
    copy = tmp_path / "results"
    shutil.copytree(RESULTS, copy)
    assert tables.write_tables(copy).read_text() == (RESULTS / "tables.md").read_text()


@pytest.fixture
def scores() -> pd.DataFrame:
    return pd.read_csv(RESULTS / "instruct/score.csv")


def value(scores: pd.DataFrame, metric: str, measure: str, kind: str = "contains", **where: str) -> str:
    some = (scores["metric"] == metric) & (scores["measure"] == measure) & (scores["kind"] == kind)
    for column, text in ({"relation": "all"} | where).items():
        some &= scores[column] == text
    return f"{scores.loc[some, 'value'].iloc[0]:.2f}".replace("-", "−")


def f1_of_ner(base: str) -> list[str]:
    """Of the base without and with examples, and of the adapter of seed 0."""
    found = pd.read_csv(RESULTS / base / "scores.csv").set_index(["adapter", "task", "setting"])["f1"]
    rows = [("base", "ner", "zero-shot"), ("base", "ner", "few-shot"), ("ner-s0", "ner", "LoRA")]
    return [f"{found[row]:.2f}" for row in rows]


def test_the_table_of_the_method(scores) -> None:
    text = (ROOT / "docs/METHOD.md").read_text().split("## 10.")[1]
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in text.splitlines()
        if "|" in line
    }
    metrics = ("captured", "captured_out", "rec", "l1", "norm")
    asked = {
        "a contained pair has more than an unrelated one": ("auc", "contains", {"against": "unrelated"}),
        "the container has more of its part": ("direction", "contains", {}),
        "rank correlation with behaviour": ("spearman", "behaviour", {}),
    }
    for row, (measure, kind, where) in asked.items():
        assert rows[row] == [value(scores, metric, measure, kind, **where) for metric in metrics], row


def test_what_the_readme_says(scores) -> None:
    text = re.sub(r"\s+", " ", (STUDY / "README.md").read_text())
    of = {
        "`captured` is right about {}": ("captured", "direction"),
        "`captured_out` is right about {}": ("captured_out", "direction"),
        "REC ({})": ("rec", "direction"),
        "L₁ ({})": ("l1", "direction"),
        "norm alone is right about {}": ("norm", "direction"),
        '"inside" is given for {}': ("inside", "claimed_right"),
    }
    for sentence, (metric, measure) in of.items():
        assert sentence.format(value(scores, metric, measure)) in text
    for kind in ("same", "unrelated"):
        assert value(scores, "inside", "claimed_false", kind) == "0.00"
        assert value(scores, "verdict", "claimed_false", kind) in text
    assert value(scores, "inside", "claimed_wrong") == "0.00"
    answers = pd.read_csv(RESULTS / "instruct/scores.csv").query("setting == 'LoRA'")
    assert f"those of the {answers['adapter'].nunique()} adapters that were trained to the end" in text
    starts = pd.read_csv(RESULTS / "instruct/starts.csv").groupby("start")
    assert starts["flagged"].mean().to_dict() == {"own": 0, "shared": 1}
    assert "from {own:.3f} to {shared:.3f}".format(**starts["captured"].mean()) in text
    entropy = pd.read_csv(RESULTS / "instruct/spectra.csv").set_index("adapter")["entropy"]
    of_task = {task: f"{entropy[[f'{task}-s{s}' for s in range(3)]].mean():.2f}" for task in ("ner", "sum", "ten")}
    assert f"is {of_task['ner']} for NER, {of_task['sum']} for SUM and {of_task['ten']} for 10%SENT" in text


def test_what_the_readme_says_of_the_other_base_and_the_other_family() -> None:
    text = re.sub(r"\s+", " ", (STUDY / "README.md").read_text())
    tuned, minilm = (RESULTS / base for base in ("tuned", "minilm"))
    entropy = pd.read_csv(tuned / "spectra.csv").set_index("adapter")["entropy"]
    h = {task: f"{entropy[f'{task}-s0']:.2f}" for task in ("ner", "sum", "ten")}
    assert f"H(S₁) is {h['ner']} for NER, {h['sum']} for SUM and {h['ten']} for 10%SENT. Of its" in text
    for folder, form in (
        (tuned, "REC {0:.2f} against {1:.2f} (p = {2:.2g})"),
        (minilm, "({0:.2f} against {1:.2f}, p = {2:.2g})"),
    ):
        tests = pd.read_csv(folder / "tests.csv")
        row = tests[(tests["seed"] == "s0") & (tests["metric"] == "rec")].iloc[0]
        assert form.format(row["of_first"], row["of_second"], row["p"]) in text
    scores = pd.read_csv(tuned / "score.csv")
    said = "`captured` is right about {}, REC about {};"
    assert said.format(*(value(scores, metric, "direction") for metric in ("captured", "rec"))) in text
    assert f'"inside" is given for {value(scores, "inside", "claimed_right")} of them and for no other pair' in text
    assert {value(scores, "inside", "claimed_false", kind) for kind in ("same", "unrelated")} == {"0.00"}
    said = "behaviour is {} for `captured` and {} for REC."
    assert said.format(*(value(scores, metric, "spearman", "behaviour") for metric in ("captured", "rec"))) in text
    assert "is {} without examples, {} with two and {} with its adapter;".format(*f1_of_ner("tuned")) in text
    assert "adapter; {}, {} and {} on the instruct base.".format(*f1_of_ner("instruct")) in text
    scores = pd.read_csv(minilm / "score.csv")
    right = [value(scores, metric, "direction") for metric in ("captured", "captured_out", "rec", "l1")]
    assert (
        "right about {} of the contained pairs, `captured_out` about {}, REC about {} and L₁ about {}.".format(*right)
        in text
    )
    method = re.sub(r"\s+", " ", (ROOT / "docs/METHOD.md").read_text())
    adapters = len(pd.read_csv(minilm / "labels.csv"))
    assert f"(MiniLM, {adapters} adapters of the same plan)" in method and f"`minilm` has {adapters} adapters" in text
    assert "in {} of the pairs by `captured`, {} by `captured_out`, {} by REC and {} by L₁.".format(*right) in method
    auc = [value(scores, "captured", "auc", against=one) for one in ("unrelated", "unrelated, shared start")]
    assert "in {} of the cases by `captured`, and in {} where the start is shared".format(*auc) in text
    assert f'"inside" is given for {value(scores, "inside", "claimed_right")} of them' in text
    assert {value(scores, "inside", "claimed_false", kind) for kind in ("same", "unrelated")} == {"0.00"}
    flagged = pd.read_csv(minilm / "starts.csv").groupby("start")["flagged"].agg(["sum", "size"]) // 2
    assert flagged.to_numpy().tolist() == [[0, 6], [3, 3]]
