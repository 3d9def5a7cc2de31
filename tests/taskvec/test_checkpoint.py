"""A model's own weights: where its weights are found, which is meant, and what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from taskvec import TaskvecError
from taskvec.formats.checkpoint import Checkpoint

WEIGHTS = {
    "model.embed_tokens.weight": torch.randn(10, 4),
    "model.layers.0.self_attn.q_proj.weight": torch.randn(6, 4),
    "model.layers.1.self_attn.q_proj.weight": torch.randn(6, 4),
    "model.norm.weight": torch.randn(4),
}
Q = "model.layers.1.self_attn.q_proj"


def shards(folder: Path, suffix: str, index: bool) -> Path:
    """``WEIGHTS`` in two files."""
    folder.mkdir()
    names, where = sorted(WEIGHTS), {}
    for part, some in enumerate((names[:2], names[2:]), 1):
        name = f"model-{part:05}-of-00002.{suffix}"
        tensors = {key: WEIGHTS[key] for key in some}
        save_file(tensors, folder / name) if suffix == "safetensors" else torch.save(tensors, folder / name)
        where |= dict.fromkeys(some, name)
    if index:
        (folder / f"model.{suffix}.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


def single(folder: Path, tensors: dict[str, Tensor] | None = None, config: dict[str, object] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(WEIGHTS if tensors is None else tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config or {}))
    return folder


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_weights_in_shards(tmp_path: Path, suffix: str, index: bool) -> None:
    base = Checkpoint(shards(tmp_path / "base", suffix, index))
    assert len(base.file.files) == 2
    assert torch.equal(base.weight(Q)(), WEIGHTS[f"{Q}.weight"])
    assert pickle.loads(pickle.dumps(base.weight(Q)))().equal(WEIGHTS[f"{Q}.weight"])


def test_one_file_in_a_folder_or_given_itself(tmp_path: Path) -> None:
    folder = single(tmp_path / "base")
    for path in (folder, folder / "model.safetensors"):
        assert torch.equal(Checkpoint(path).weight(Q)(), WEIGHTS[f"{Q}.weight"])
    assert Checkpoint(folder).digest == Checkpoint(folder / "model.safetensors").digest


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = shards(tmp_path / "base", "safetensors", index=True)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(TaskvecError, match="lacks the shard model-00002-of-00002"):
        Checkpoint(folder)


def test_an_index_leads_nowhere_else(tmp_path: Path) -> None:
    single(tmp_path / "secret")
    folder = tmp_path / "base"
    folder.mkdir()
    index = {"weight_map": {"a": "../secret/model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(TaskvecError, match="weight_map is not usable"):
        Checkpoint(folder)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (Q, f"{Q}.weight"),
        ("lora_te_model_layers_1_self_attn_q_proj", f"{Q}.weight"),
        ("layers.1.self_attn.q_proj", f"{Q}.weight"),  # the adapter of a model without the head's prefix
        ("wrapper.model.layers.1.self_attn.q_proj", f"{Q}.weight"),
        ("self_attn.q_proj", None),  # of which layer?
        ("q_proj", None),
        ("model.layers.2.self_attn.q_proj", None),
    ],
)
def test_which_weight_is_meant(tmp_path: Path, path: str, name: str | None) -> None:
    base = Checkpoint(single(tmp_path / "base"))
    found = base.find(path)
    assert (found and found.name) == name
    if name is None:
        with pytest.raises(TaskvecError, match=r"has no weight of .*, or several"):
            base.weight(path)


def test_wrappers_go(tmp_path: Path) -> None:
    base = Checkpoint(single(tmp_path / "base", {f"_orig_mod.module.{name}": value for name, value in WEIGHTS.items()}))
    assert base.weight(Q).shape == (6, 4)


def test_embeddings_and_gpt2_are_turned(tmp_path: Path) -> None:
    assert Checkpoint(single(tmp_path / "base")).weight("model.embed_tokens").shape == (4, 10)
    square, fused = torch.randn(4, 4), torch.randn(4, 12)
    base = Checkpoint(single(tmp_path / "gpt2", {"h.0.attn.c_attn.weight": fused, "h.0.attn.c_proj.weight": square}))
    assert base.weight("h.0.attn.c_attn").shape == (12, 4)
    assert torch.equal(base.weight("h.0.attn.c_proj")(), square.mT)
    alone = {"h.0.attn.c_proj.weight": square}
    assert torch.equal(Checkpoint(single(tmp_path / "a", alone)).weight("h.0.attn.c_proj")(), square)
    assert (
        Checkpoint(single(tmp_path / "b", alone, {"model_type": "gpt2"})).weight("h.0.attn.c_proj")().equal(square.mT)
    )


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("weight.quant_state.bitsandbytes__nf4", "bitsandbytes"),
        ("qweight", "AWQ"),
        ("g_idx", "GPTQ"),
        ("weight_scale_inv", "fp8"),
        ("scales", "MLX"),
    ],
)
def test_quantised_models_are_refused_by_name(tmp_path: Path, name: str, method: str) -> None:
    tensors = WEIGHTS | {f"{Q}.{name}": torch.zeros(4, dtype=torch.uint8)}
    with pytest.raises(TaskvecError, match=f"is quantised .*{method}"):
        Checkpoint(single(tmp_path / "base", tensors))


def test_broken_weights_are_named_when_they_are_read(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.full((2, 3), torch.nan), "b.weight": torch.zeros(2, 3, dtype=torch.int64)}
    base = Checkpoint(single(tmp_path / "base", tensors))
    with pytest.raises(TaskvecError, match=r"NaN or Inf in a\.weight"):
        base.weight("a")()
    with pytest.raises(TaskvecError, match=r"b\.weight of torch\.int64"):
        base.weight("b")()


def test_a_pipeline_of_diffusers(tmp_path: Path) -> None:
    names = {"unet": "diffusion_pytorch_model.safetensors", "text_encoder": "model.safetensors"}
    for part, name in names.items():
        (tmp_path / part).mkdir()
        save_file({"down.0.to_q.weight": torch.full((3, 2), float(len(part)))}, tmp_path / part / name)
    (tmp_path / "model_index.json").write_text("{}")
    base = Checkpoint(tmp_path)
    assert base.weight("unet.down.0.to_q")()[0, 0] == 4 and base.weight("text_encoder.down.0.to_q")()[0, 0] == 12
    assert base.find("down.0.to_q") is None


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(TaskvecError, match="holds no weights of a model"):
        Checkpoint(tmp_path)
