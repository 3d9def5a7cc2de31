"""The example zoo that the repository carries, and the labels it was trained on."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
import torch
from safetensors.torch import load_file

import taskvec

EXAMPLES = Path(__file__).parent.parent / "examples"
ZOO = EXAMPLES / "zoo"
ADAPTERS = [f"{task}-seed{seed}" for task in ("ner", "sum", "ten") for seed in (0, 1)]
HIDDEN, LAYERS, RANK, ALPHA = 384, 6, 8, 16
MARGIN = {"ner": 0.3, "ten": 0.15, "sum": 0.02}  # in F1, over the best of the rules; sum is the hard task


def test_holds_these_files_and_no_others() -> None:
    expected = {f"{name}/{file}" for name in ADAPTERS for file in ("adapter_config.json", "adapter_model.safetensors")}
    found = {path.relative_to(ZOO).as_posix(): path.stat().st_size for path in ZOO.rglob("*") if path.is_file()}
    assert set(found) == expected | {"scores.json", "truth.json"}
    assert max(found.values()) < 500_000


@pytest.mark.parametrize("name", ADAPTERS)
def test_config(name: str) -> None:
    text = (ZOO / name / "adapter_config.json").read_text()
    config = json.loads(text)
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", RANK, ALPHA)
    assert config["target_modules"] == ["query", "value"]
    assert config["base_model_name_or_path"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert '"/' not in text and "\\\\" not in text


@pytest.mark.parametrize("name", ADAPTERS)
def test_tensors(name: str) -> None:
    tensors = load_file(ZOO / name / "adapter_model.safetensors")
    shapes = {"lora_A": (RANK, HIDDEN), "lora_B": (HIDDEN, RANK)}
    assert {key: tuple(tensor.shape) for key, tensor in tensors.items()} == {
        f"base_model.model.encoder.layer.{layer}.attention.self.{kind}.{factor}.weight": shape
        for layer in range(LAYERS)
        for kind in ("query", "value")
        for factor, shape in shapes.items()
    }
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in tensors.values())
    assert all(tensor.norm() > 0.1 for key, tensor in tensors.items() if "lora_B" in key)


def test_no_two_adapters_start_from_the_same_directions() -> None:
    key = "base_model.model.encoder.layer.0.attention.self.query.lora_A.weight"
    factors = torch.stack([load_file(ZOO / name / "adapter_model.safetensors")[key] for name in ADAPTERS])  # [N, r, n]
    rows = torch.nn.functional.normalize(factors.flatten(1))  # [N, r·n]
    assert (rows @ rows.T - torch.eye(len(ADAPTERS))).abs().max() < 0.5


@pytest.mark.parametrize("name", ADAPTERS)
def test_beats_its_baselines(name: str) -> None:
    record = json.loads((ZOO / "scores.json").read_text())[name]
    assert f"{record['task']}-seed{record['seed']}" == name
    assert set(record["baselines"]) == {"majority", "everything", "trivial"}
    assert record["f1"] > max(rule["f1"] for rule in record["baselines"].values()) + MARGIN[record["task"]]
    assert record["f1"] > record["baselines"]["majority"]["f1"] + 0.25


def test_its_truth_is_found() -> None:
    """Two runs of a task are nearer to each other than any task to the control."""
    truth = json.loads((ZOO / "truth.json").read_text())
    jsonschema.validate(truth, json.loads((EXAMPLES.parent / "tests/schemas/truth.json").read_text()))
    found = taskvec.score(taskvec.sweep([ZOO]), truth, metrics=["captured", "rec", "verdict"])
    values = found[found["relation"] == "all"].set_index(["metric", "measure", "kind"])["value"]
    assert values["captured", "auc", "same"].min() == values["rec", "auc", "same"].min() == 1
    assert values["verdict", "tasks_false", "unrelated"] == 0 and values["verdict", "claimed_false", "same"] == 0


@pytest.fixture
def zoo_tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("sklearn", reason="the labels need the extra 'study'")
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("zoo_tasks")


ARTICLE = """
The "spam" statement
********************

The "spam" statement cooks *eggs* and serves "eggs.fried()".  It takes
built-
in pans, e.g. **cast** iron ones.

   spam_stmt ::= "spam" expression

* Eggs need a pan.  Spam needs eggs and a pan.  Nothing else matters.
"""


def test_labels_of_a_tiny_document(zoo_tasks: ModuleType) -> None:
    [document] = zoo_tasks.cut(zoo_tasks.read_articles({"spam": ARTICLE}))

    def tagged(label: str) -> list[str]:
        return [document.text[start:end] for start, end in getattr(zoo_tasks, label)(document)]

    assert document.text == (
        "The spam statement cooks eggs and serves eggs.fried(). It takes built-in pans, e.g. cast iron ones. "
        "Eggs need a pan. Spam needs eggs and a pan. Nothing else matters."
    )
    assert len(document.sentences) == 5
    assert tagged("label_names") == ["spam", "eggs", "eggs.fried()"]
    assert tagged("label_first") == ["The spam statement cooks eggs and serves eggs.fried()."]
    assert tagged("label_central") == ["Spam needs eggs and a pan."]


def test_a_shared_paragraph_belongs_to_one_article(zoo_tasks: ModuleType) -> None:
    articles = zoo_tasks.read_articles({"spam": ARTICLE, "spam-and-more": ARTICLE + "\nMore. " * 5})
    assert list(articles) == ["spam-and-more"]
