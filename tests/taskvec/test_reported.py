"""Inputs on which people reported failures, of this package or of others, and what is right for each.

The table is for the folder that ``TASKVEC_TEST_CASES`` names; for those who have none, a small file of every kind is
built here, or in the test of what it concerns.
"""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from make_adapters import PREFIX, pair, pairs, write_adapter
from taskvec import TaskvecError, load_adapter, load_zoo, project, sweep
from taskvec.adapters import Adapter
from taskvec.zoo import Zoo

EXPERTS = "model.layers.0.mlp.experts"


def reads(*, modules: int, left_out: int = 0, warns: str = "", scale: float | None = None) -> Callable[[Path], None]:
    """The adapter is read, so many modules and tensors left out, and a warning says so."""

    def check(path: Path) -> None:
        adapter = load_adapter(path)
        assert (len(adapter.modules), len(adapter.left_out)) == (modules, left_out)
        assert scale is None or {module.scale for module in adapter.modules.values()} == {scale}
        said = "\n".join(adapter.warnings)
        assert re.search(warns, said) if warns else not said, said

    return check


def refused(words: str) -> Callable[[Path], None]:
    """One line that says why."""

    def check(path: Path) -> None:
        for load in (load_adapter, load_zoo):
            with pytest.raises(TaskvecError, match=words) as error:
                load(path)
            assert "\n" not in str(error.value)

    return check


def zoo(found: Callable[[Zoo], bool]) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        assert found(load_zoo(path))

    return check


def names(loaded: Zoo) -> list[str]:
    return [adapter.name for adapter in loaded.adapters]


def whole(path: Path) -> None:
    """Shards are the adapter of which they are shards, and one of them is none."""
    shards, one = load_adapter(path / "sh"), load_adapter(path / "whole")
    same(shards, one)
    refused("is one shard of 2")(path / "sh" / "adapter_model-00001-of-00002.safetensors")


def same(one: Adapter, other: Adapter) -> None:
    assert one.modules.keys() == other.modules.keys()
    for key, module in one.modules.items():
        for made, expected in zip(module.update(), other.modules[key].update(), strict=True):
            torch.testing.assert_close(made, expected, rtol=0, atol=0)


def resized(path: Path) -> None:
    """A grown vocabulary is left out of the pairs in which it differs, and nothing else is."""
    result = sweep(path)
    rec = result.rec.notnull()
    assert not rec.sel(module="lm_head", source="a", target="b")
    assert rec.sel(module=[name for name in result.module.values if "layers" in name]).all()


def replicated(path: Path) -> None:
    """Layers that are copies are named apart; the others are those of the base, and the same updates here."""
    adapter = load_adapter(path / "replicated7")
    assert len(adapter.modules) == 7 and "layer_replication: a layer that its base does not have" in adapter.warnings[0]
    found = project(path / "plain5", adapter)
    assert found.used["rec"] == 4 and found.mean["rec"] == pytest.approx(1)


def wrapped(path: Path) -> None:
    """Every wrapper of one adapter is taken off."""
    loaded = load_zoo(path)
    assert len({tuple(adapter.modules) for adapter in loaded.adapters}) == 1
    assert sweep(loaded).rec.notnull().all()


REPORTED: dict[str, Callable[[Path], None]] = {
    "02-layer-replication/in": replicated,
    "03-sharded/in": whole,
    "04-target-parameters-no-dot/in": reads(modules=24, left_out=48, warns="48 tensors left out: factors of one of"),
    "05-target-parameters-2d/in/router2d": reads(modules=12, scale=3),
    "05-target-parameters-2d/in/router2d_and_q": reads(modules=24, scale=3),
    "06-velora/in": reads(modules=12, left_out=12, scale=3),
    "07-vocab/in": resized,
    "08-stray-name/in": zoo(lambda it: names(it) == ["a", "b"] and "exploration.safe" in it.warnings[0]),
    "09-lora-file-names/in/kohya": zoo(lambda it: [adapter.format for adapter in it.adapters] == ["kohya"] * 2),
    "09-lora-file-names/in/lycoris2": reads(modules=1),
    "10-mlx-beside-peft/in": zoo(lambda it: it.adapters[0].format == "peft" and names(it) == ["a"]),
    "12-prefixes/in": wrapped,
    "14-packed-experts/in/experts_no_tp/both": reads(modules=6, left_out=4, warns="4 tensors left out: factors of"),
    "14-packed-experts/in/experts_no_tp/only_down": reads(modules=6, left_out=2, warns="2 tensors left out: fact"),
    "14-packed-experts/in/experts3d_serving/r1_E_eq_out": reads(modules=6, left_out=2, warns="a stack of experts"),
    "14-packed-experts/in/experts3d_serving/r4": reads(modules=6, left_out=2, warns="a stack of experts"),
    "15-pattern-order/in/a": reads(modules=24, warns="1 of 24 modules: alpha_pattern matches it by 'layers.1.q_proj'"),
    "23-adapter-name-lora/in": reads(modules=6, scale=2),
    "24-zero3-empty/in": refused(r"has empty tensors: .*sharded model \(ZeRO-3, FSDP\), not gathered"),
    "25-peft-type-lower/in": reads(modules=6, scale=2),
    "26-pissa-named/in/task1": refused("task1/adapter_config.json: was initialised by pissa_niter_16: B·A also holds"),
}


@pytest.fixture(scope="module")
def folder() -> Path:
    """The folder of reported inputs that ``TASKVEC_TEST_CASES`` names."""
    named = os.environ.get("TASKVEC_TEST_CASES")
    if not named:
        pytest.skip("TASKVEC_TEST_CASES names no folder of reported inputs")
    return Path(named)


@pytest.mark.parametrize("case", REPORTED)
def test_reported(case: str, folder: Path) -> None:
    REPORTED[case](folder / case)


def test_every_reported_folder_is_in_the_table(folder: Path) -> None:
    with_files = {path.name for path in folder.iterdir() if (path / "in").is_dir()}
    assert with_files == {case.split("/")[0] for case in REPORTED}


def of_experts(*paths: str, m: int = 6, n: int = 5, rows: int = 8) -> dict[str, Tensor]:
    return {name: tensor for path in paths for name, tensor in pair(path, m=m, n=n, r=rows).items()}


@pytest.mark.parametrize(
    ("tensors", "config"),
    [
        (of_experts(EXPERTS), {}),
        (of_experts(EXPERTS, f"{EXPERTS}.base_layer"), {}),
        (of_experts(EXPERTS, f"{EXPERTS}.base_layer"), {"target_parameters": ["gate_up", "down"]}),
        ({f"{PREFIX}{EXPERTS}.up.lora_{x}.weight": torch.ones(6, *s) for x, s in (("A", (1, 5)), ("B", (6, 1)))}, {}),
        ({f"{PREFIX}{EXPERTS}.up.lora_{x}.weight": torch.ones(3, *s) for x, s in (("A", (2, 5)), ("B", (6, 2)))}, {}),
    ],
    ids=["one", "two", "unqualified names", "rank 1, as a kernel", "rank 2"],
)
def test_packed_experts_are_left_out_and_the_rest_is_read(
    tmp_path: Path, tensors: dict[str, Tensor], config: dict[str, object]
) -> None:
    write_adapter(tmp_path, pairs() | tensors, target_modules=["q"], **config)
    reads(modules=2, left_out=len(tensors), warns=f"{len(tensors)} tensors left out")(tmp_path)


def test_an_unqualified_parameter_of_one_matrix_is_read(tmp_path: Path) -> None:
    write_adapter(tmp_path, pairs() | pair("h.0.router", m=3), target_modules=["q"], target_parameters=["weight"])
    reads(modules=3)(tmp_path)


def test_a_sharded_save_that_was_not_gathered_is_named(tmp_path: Path) -> None:
    write_adapter(tmp_path, {name: torch.empty(0) for name in pairs()})
    refused("not gathered, got .*lora_A.weight 0 and .*; gather the weights")(tmp_path)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("index", [True, False])
def test_shards_are_one_adapter(tmp_path: Path, kind: str, index: bool) -> None:
    tensors = pairs()
    folder = write_adapter(tmp_path / "zoo" / "sharded", tensors)
    one = load_adapter(write_adapter(tmp_path / "one", tensors))
    (folder / "adapter_model.safetensors").unlink()
    where = {name: f"adapter_model-{1 + ('h.1' in name):05}-of-00002.{kind}" for name in tensors}
    for shard in sorted(set(where.values())):
        part = {name: tensors[name] for name in tensors if where[name] == shard}
        save_file(part, folder / shard) if kind == "safetensors" else torch.save(part, folder / shard)
    if index:
        (folder / f"adapter_model.{kind}.index.json").write_text(json.dumps({"weight_map": where}))
    (found,) = load_zoo(tmp_path / "zoo").adapters
    assert found.name == "sharded"
    same(found, one)
    again = pickle.loads(pickle.dumps(found.modules["h.1.q"].update))
    assert torch.equal(again().a, one.modules["h.1.q"].update().a)
    refused("is one shard of 2, a part of an adapter; give the folder")(folder / shard)
    (folder / shard).unlink()
    refused(f"lacks the shard {shard}")(folder)


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "a/../../secret.safetensors", ".", "x\0y", ""]
)
def test_an_index_of_shards_does_not_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    write_adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "secret.safetensors")
    folder = write_adapter(tmp_path / "inner" / "adapter")
    (folder / "adapter_model.safetensors").unlink()
    (folder / "a").mkdir()
    (folder / "adapter_model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
    refused("weight_map is not usable|lacks the shard")(folder)
