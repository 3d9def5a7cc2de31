"""Adapters trained by other people, oddities and all, against the table that describes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from taskvec import Adapter, load_adapter, load_zoo
from taskvec.cli import main
from taskvec.zoo import Zoo, read_adapters

FOREIGN = {
    "sam-vit-b-image-encoder/mathieunlp-lora_weights": "SAM/ViT .* format: its alpha, and so its scale, is in no file"
}
OTHERS = {
    "mlx-community-quantized-gemma-2b/arjun-254-adapters": "mlx",
    "stable-diffusion-1.5-unet/catundchat-stable-diffusion-v1.5-lora": "diffusers",
}
STACKED = "gpt2-null-in-config-gpt-2-small-shapes-nested-peftmodels/d-yurtaev-final_model"
B_ZERO = {
    "bigscience-bloomz-560m/ironhack-labs-pr27-peft_lab_outputs-lora_model-80f3f5b": 24,
    "gemma-3-270m--it/0112ly-adapter": 36,
    "openai-whisper-small/erika0915-models": 24,
    "prajjwal1-bert-tiny/rishabh-dixit04-lora_weights": 4,
}


@pytest.fixture(scope="module")
def table(real_adapters: Path) -> dict[str, dict[str, str]]:
    """The rows of INDEX.md by path."""
    lines = [line for line in (real_adapters / "INDEX.md").read_text().splitlines() if line.startswith("| ")]
    header, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


@pytest.fixture(scope="module")
def zoo(real_adapters: Path) -> Zoo:
    return read_adapters(real_adapters, skip_bad=True)


@pytest.fixture(scope="module")
def adapters(zoo: Zoo) -> dict[str, Adapter]:
    return {adapter.name: adapter for adapter in zoo.adapters}


def test_every_adapter_loads_or_is_refused_by_its_name(
    table: dict[str, Any], zoo: Zoo, adapters: dict[str, Adapter], real_adapters: Path
) -> None:
    assert len(table) == 61 and len(adapters) == 60
    assert adapters.keys() == table.keys() - FOREIGN.keys()
    reasons = {item.path.relative_to(real_adapters).as_posix(): item.reason for item in zoo.skipped}
    assert reasons.keys() == FOREIGN.keys()
    for name, words in FOREIGN.items():
        assert re.search(f"is an adapter in {words}; ", reasons[name])
    assert {name: adapters[name].format for name in OTHERS} == OTHERS


def test_modules_and_shapes_are_those_of_the_table(table: dict[str, Any], adapters: dict[str, Adapter]) -> None:
    for name, adapter in adapters.items():
        assert len(adapter.modules) == int(table[name]["modules"]), name
        counted = re.findall(r"(\d+)×(\d+)\((\d+)\)", table[name]["shapes out×in (count)"])
        shapes = [module.shape for module in adapter.modules.values()]
        for m, n, count in counted:
            assert shapes.count((int(m), int(n))) == int(count), name
        assert not [path for path in adapter.modules if path.startswith("base_model")]


def test_scale_is_alpha_over_the_rank_of_the_tensors(table: dict[str, Any], adapters: dict[str, Adapter]) -> None:
    for name, adapter in adapters.items():
        if name in OTHERS:
            continue
        alpha, rank = float(table[name]["alpha"]), int(table[name]["r"])
        rslora = "use_rslora=true" in table[name]["oddities"]
        for module in adapter.modules.values():
            assert module.scale == pytest.approx(alpha / (module.rank**0.5 if rslora else module.rank))
            assert module.rank == rank or name == STACKED
            assert module.scale_source.startswith("alpha/sqrt(r)" if rslora else "alpha/r")


def test_scales_of_other_formats(adapters: dict[str, Adapter]) -> None:
    found = {name: {module.scale for module in adapters[name].modules.values()} for name in OTHERS}
    assert list(found.values()) == [{10.0}, {1.0}]


def test_other_tensors_are_left_out(table: dict[str, Any], adapters: dict[str, Adapter]) -> None:
    for name, adapter in adapters.items():
        match = re.search(r"(\d+) non-LoRA tensors", table[name]["oddities"])
        assert len(adapter.left_out) == (int(match[1]) if match else 0), name
        assert not [item for item in adapter.left_out if "lora_" in item.tensor]


def test_stacked_models_of_two_ranks(zoo: Zoo, adapters: dict[str, Adapter]) -> None:
    modules = adapters[STACKED].modules.values()
    by_rank = {rank: [module for module in modules if module.rank == rank] for rank in (4, 8)}
    assert {rank: len(found) for rank, found in by_rank.items()} == {4: 12, 8: 36}
    assert {module.warnings for module in by_rank[4]} == {()}
    assert all("rank 8, adapter_config.json says 4" in module.warnings[0] for module in by_rank[8])
    assert {module.scale for module in by_rank[8]} == {1.0}
    # the only adapter that needs a warning
    assert [warning.split(":")[0] for warning in zoo.warnings] == [STACKED]


def test_b_is_zero_where_the_table_says_so(adapters: dict[str, Adapter]) -> None:
    zero = {}
    for name, adapter in adapters.items():
        count = sum(not bool(module.update().b.count_nonzero()) for module in adapter.modules.values())
        if count:
            zero[name] = count
    assert zero == B_ZERO


def test_dtypes_are_kept(table: dict[str, Any], adapters: dict[str, Adapter]) -> None:
    for name, adapter in adapters.items():
        expected = getattr(torch, table[name]["dtype"])
        assert {factor.dtype for module in adapter.modules.values() for factor in module.update()[:2]} == {expected}, (
            name
        )


@pytest.mark.peft
@pytest.mark.parametrize("folder", ["gpt2", "sentence-transformers-all-minilm-l6-v2"])
def test_a_family_is_one_zoo(folder: str, real_adapters: Path, table: dict[str, Any]) -> None:
    zoo = load_zoo(real_adapters / folder)
    assert len(zoo.adapters) == sum(path.startswith(f"{folder}/") for path in table)
    assert len({adapter.digest for adapter in zoo.adapters}) == len(zoo.adapters)


def test_two_spellings_of_a_base_and_what_is_left_out_are_a_warning_each(real_adapters: Path) -> None:
    warnings = load_zoo(real_adapters / "gpt2").warnings
    assert warnings == (
        "2 different base models are named (gpt2, openai-community/gpt2); modules of one path and shape are compared",
        "not compared: 10 tensors of 10 of 26 adapters (10 not a LoRA factor: a whole tensor, as modules_to_save and "
        "resized embeddings give): up to 4.0% of the trained parameters (of hitoshikumagai-gpt-lora)",
    )


def test_different_models_of_one_architecture_are_groups(real_adapters: Path) -> None:
    warnings = load_zoo([real_adapters / "gpt2", real_adapters / "sshleifer-tiny-gpt2"]).warnings
    assert any("share no module with any other (ironhack-labs-pr127" in warning for warning in warnings)


def test_bin_and_safetensors_can_be_given_as_files(real_adapters: Path) -> None:
    for path in ("gpt2/yoonyerin-be-great/adapter_model.bin", "gpt2/stathopoan-lora_model/adapter_model.safetensors"):
        assert len(load_adapter(real_adapters / path).modules) == 12


def test_inspect_everything(real_adapters: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(real_adapters), "--skip-bad", "--json"]) == 0
    out, err = capfd.readouterr()
    document = json.loads(out)
    schema = json.loads((Path(__file__).parent.parent / "schemas" / "inspect.json").read_text())
    jsonschema.validate(document, schema)
    assert len(document["adapters"]) == 60
    odd_rank, left_out = err.splitlines()
    assert "36 of 48 modules: its tensors have rank 8" in odd_rank and "SAM/ViT (w_a, w_b) format" in left_out
    for adapter in document["adapters"]:
        zero = [module for module in adapter["modules"] if module["effective_rank"] is None]
        assert len(zero) == B_ZERO.get(adapter["name"], 0)
        assert all(not any(module["spectrum"]) for module in zero)
