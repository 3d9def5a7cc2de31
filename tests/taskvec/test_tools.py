"""Small files of every tool's kind, made here, against the formula written out."""

from __future__ import annotations

import json
import pickle
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from make_gguf import gguf
from taskvec import TaskvecError, load_adapter, load_zoo
from taskvec.adapters import Adapter, Dense, LowRank

torch.manual_seed(0)
UP, DOWN, MID = torch.randn(6, 2), torch.randn(2, 5), torch.randn(2, 2, 3, 3)
P = "lora_unet_mid_to_q"
LORA = {f"{P}.lora_up.weight": UP, f"{P}.lora_down.weight": DOWN}
ALPHA = {f"{P}.alpha": torch.tensor(1.0)}


def alike(**tensors: Tensor) -> dict[str, Tensor]:
    return {f"{P}.{role}": tensor for role, tensor in tensors.items()}


W = {name: torch.randn(size) for name, size in {"a1": (6, 2), "b1": (2, 5), "a2": (6, 2), "b2": (2, 5)}.items()}
HADA = alike(hada_w1_a=W["a1"], hada_w1_b=W["b1"], hada_w2_a=W["a2"], hada_w2_b=W["b2"])
T1, T2 = torch.randn(2, 2, 3, 3), torch.randn(2, 2, 3, 3)
TUCKER = alike(hada_t1=T1, hada_w1_a=W["a1"].mT, hada_w1_b=W["b1"], hada_t2=T2, hada_w2_a=W["a2"].mT, hada_w2_b=W["b2"])
W1, W2 = torch.randn(2, 3), torch.randn(4, 5)


def tucker(t: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.einsum("ijkl,ip,jq->pqkl", t, a.mT, b).flatten(1)


KOHYA: dict[str, tuple[dict[str, Tensor], Tensor, str]] = {
    "lora": (LORA | ALPHA, UP @ DOWN / 2, "alpha tensor/r"),
    "lora without alpha": (LORA, UP @ DOWN, "1: no alpha in the file"),
    "1×1 convolution": ({name: tensor[..., None, None] for name, tensor in LORA.items()}, UP @ DOWN, "1: no alpha"),
    "with mid": (
        alike(**{"lora_up.weight": UP[..., None, None], "lora_down.weight": DOWN[..., None, None]})
        | {f"{P}.lora_mid.weight": MID}
        | ALPHA,
        torch.einsum("oi,ijkl,jn->onkl", UP, MID, DOWN).flatten(1) / 2,
        "alpha tensor/r",
    ),
    "loha": (HADA | ALPHA, (W["a1"] @ W["b1"]) * (W["a2"] @ W["b2"]) / 2, "alpha tensor/r"),
    "loha tucker": (TUCKER | ALPHA, tucker(T1, W["a1"], W["b1"]) * tucker(T2, W["a2"], W["b2"]) / 2, "alpha tensor/r"),
    "lokr whole": (alike(lokr_w1=W1, lokr_w2=W2) | ALPHA, torch.kron(W1, W2), "1: both sides"),
    "lokr of factors": (
        alike(lokr_w1=W1, lokr_w2_a=UP, lokr_w2_b=DOWN) | ALPHA, torch.kron(W1, UP @ DOWN) / 2, "alpha tensor/r"
    ),
    "lokr of two pairs": (
        alike(lokr_w1_a=W["a1"], lokr_w1_b=W["b1"], lokr_w2_a=UP, lokr_w2_b=DOWN) | ALPHA,
        torch.kron(W["a1"] @ W["b1"], UP @ DOWN) / 2,
        "alpha tensor/r",
    ),
    "lokr tucker": (
        alike(lokr_w1=W1, lokr_t2=T2, lokr_w2_a=W["a2"].mT, lokr_w2_b=W["b2"]) | ALPHA,
        torch.kron(W1, tucker(T2, W["a2"], W["b2"])) / 2,
        "alpha tensor/r",
    ),
    "dense": ({f"{P}.diff": torch.ones(3, 4), f"{P}.diff_b": torch.ones(3)}, torch.ones(3, 4), "1: the update itself"),
}  # fmt: skip


def save(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}, path, metadata
    )
    return path


def configured(folder: Path, tensors: Mapping[str, Tensor], file: str, config: Any) -> Path:
    """A folder of weights, a pickle for .bin and .pt, with a config beside them."""
    folder.mkdir(exist_ok=True)
    if file.endswith(".safetensors"):
        save(folder / file, tensors)
    else:
        torch.save(dict(tensors), folder / file)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def update(adapter: Adapter, path: str) -> Tensor:
    """τ; also checks that another process can make it."""
    module = adapter.modules[path]
    made = pickle.loads(pickle.dumps(module.update))()
    tau = made.tuned if isinstance(made, Dense) else made.scale * made.b @ made.a
    assert tuple(tau.shape) == module.shape
    return tau


@pytest.mark.parametrize("kind", KOHYA)
def test_kohya_and_lycoris(tmp_path: Path, kind: str) -> None:
    tensors, true, source = KOHYA[kind]
    # the header's alpha belongs to another part, and the file's name says nothing
    adapter = load_adapter(save(tmp_path / "style.v2", tensors, {"ss_network_alpha": "64", "ss_network_dim": "64"}))
    assert adapter.format == "kohya" and list(adapter.modules) == [P]
    assert adapter.modules[P].scale_source.startswith(source)
    torch.testing.assert_close(update(adapter, P), true)
    assert [item.tensor for item in adapter.left_out] == [name for name in tensors if name.endswith("diff_b")]


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (LORA | {f"{P}.dora_scale": torch.ones(6, 1)}, "DoRA.*needs the base weights.*--dora low-rank"),
        (alike(**{"a1.weight": UP, "a2.weight": DOWN, "b1.weight": UP, "b2.weight": DOWN}), "GLoRA.*needs the base"),
        (alike(on_input=torch.tensor(1.0), weight=torch.ones(6)), "IA3.*needs the base weights"),
        (alike(oft_blocks=torch.ones(2, 3, 3)) | ALPHA, "OFT.*needs the base weights"),
        (LORA | {f"{P}.gate": torch.ones(6)}, "gate, a tensor that is not known"),
        (LORA | {f"{P}.diff": torch.ones(6, 5)}, "updates of two kinds.*got diff and lora"),
        ({f"{P}.lora_up.weight": UP}, "no lora_down.weight of that module"),
        ({f"{P}.lora_up.weight": UP, f"{P}.lora_down.weight": torch.ones(3, 5)}, "do not fit.*expected up"),
        (LORA | {f"{P}.alpha": torch.ones(2)}, "alpha, got 2, expected one number"),
        (LORA | {f"{P}.alpha": torch.tensor(float("nan"))}, "NaN or Inf in .*alpha"),
        ({"lycoris_norm.w_norm": torch.ones(3)}, "no module that can be compared: .*a vector"),
        (LORA | {f"{P}.lora_up.weight": UP * float("nan")}, "NaN or Inf in .*lora_up"),
    ],
)
def test_kohya_refused_by_name(tmp_path: Path, tensors: dict[str, Tensor], words: str) -> None:
    with pytest.raises(TaskvecError, match=words):
        load_adapter(save(tmp_path / "style.safetensors", tensors))


@pytest.mark.parametrize(
    ("down", "up", "path"),
    [
        ("unet.mid.to_q.lora_A.weight", "unet.mid.to_q.lora_B.weight", "unet.mid.to_q"),
        ("mid_block.q.lora_A.default.weight", "mid_block.q.lora_B.default.weight", "mid_block.q"),
        ("unet.mid.to_q.lora.down.weight", "unet.mid.to_q.lora.up.weight", "unet.mid.to_q"),
        ("a.processor.to_q_lora.down.weight", "a.processor.to_q_lora.up.weight", "a.to_q"),
        ("a.processor.to_out_lora.down.weight", "a.processor.to_out_lora.up.weight", "a.to_out.0"),
        ("t.self_attn.to_q_lora.down.weight", "t.self_attn.to_q_lora.up.weight", "t.self_attn.q_proj"),
        ("t.q_proj.lora_linear_layer.down.weight", "t.q_proj.lora_linear_layer.up.weight", "t.q_proj"),
    ],
)
def test_diffusers_spellings(tmp_path: Path, down: str, up: str, path: str) -> None:
    adapter = load_adapter(save(tmp_path / "a.safetensors", {down: DOWN, up: UP}))
    assert adapter.format == "diffusers" and list(adapter.modules) == [path]
    assert adapter.modules[path].scale_source == "1: neither metadata nor alpha in the file"
    torch.testing.assert_close(update(adapter, path), UP @ DOWN)


def test_diffusers_scales(tmp_path: Path) -> None:
    pair = {"unet.a.lora_A.weight": DOWN, "unet.a.lora_B.weight": UP}
    said = {"unet.r": 2, "unet.lora_alpha": 8, "unet.use_rslora": False, "unet.alpha_pattern": {"b": 6}}
    other = {name.replace(".a.", ".b."): tensor for name, tensor in pair.items()}
    text = {name.replace("unet.", "text_encoder."): tensor for name, tensor in pair.items()}
    metadata = {"lora_adapter_metadata": json.dumps(said)}
    adapter = load_adapter(save(tmp_path / "a.safetensors", pair | other | text, metadata))
    assert {path: module.scale for path, module in adapter.modules.items()} == {
        "text_encoder.a": 1.0, "unet.a": 4.0, "unet.b": 3.0
    }  # fmt: skip
    with_alpha = load_adapter(save(tmp_path / "b.safetensors", pair | {"unet.a.alpha": torch.tensor(4.0)}))
    assert with_alpha.modules["unet.a"].scale == 2.0
    with pytest.raises(TaskvecError, match="DoRA"):
        load_adapter(save(tmp_path / "c.safetensors", pair | {"unet.a.lora_magnitude_vector": torch.ones(6)}))


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_diffusers_metadata_that_is_none(tmp_path: Path, text: str) -> None:
    pair = {"unet.a.lora_A.weight": DOWN, "unet.a.lora_B.weight": UP}
    with pytest.raises(TaskvecError, match="lora_adapter_metadata that is no"):
        load_adapter(save(tmp_path / "a.safetensors", pair, {"lora_adapter_metadata": text}))


def test_names_of_gpt2_are_not_diffusers(tmp_path: Path) -> None:
    pair = {"transformer.h.0.attn.c_attn.lora_A.weight": DOWN, "transformer.h.0.attn.c_attn.lora_B.weight": UP}
    with pytest.raises(TaskvecError, match=r"without the adapter_config.json that gives its scale"):
        load_adapter(save(tmp_path / "a.safetensors", pair))


MLX = {"lora_parameters": {"rank": 64, "alpha": 64, "scale": 10.0}, "model": "tiny"}


def test_mlx(tmp_path: Path) -> None:
    a, b = torch.randn(3, 2, 5), torch.randn(3, 6, 2)
    tensors = {"q.lora_a": DOWN.mT, "q.lora_b": UP.mT, "experts.lora_a": a, "experts.lora_b": b}
    adapter = load_adapter(configured(tmp_path / "run", tensors, "adapters.safetensors", MLX))
    assert list(adapter.modules) == ["experts[0]", "experts[1]", "experts[2]", "q"] and adapter.base_model == "tiny"
    torch.testing.assert_close(update(adapter, "q"), 10 * UP @ DOWN)
    for e in range(3):
        torch.testing.assert_close(update(adapter, f"experts[{e}]"), 10 * b[e] @ a[e])
    np.savez(tmp_path / "run" / "old.npz", **{"q.lora_a": DOWN.mT.numpy(), "q.lora_b": UP.mT.numpy()})
    torch.testing.assert_close(update(load_adapter(tmp_path / "run" / "old.npz"), "q"), 10 * UP @ DOWN)


@pytest.mark.parametrize(
    ("config", "more", "words"),
    [
        (MLX | {"fine_tune_type": "dora"}, {}, "DoRA"),
        (MLX, {"q.m": torch.ones(6)}, "DoRA"),
        ({"lora_parameters": {"scale": "10"}}, {}, "scale is not usable, got '10'"),
        ({"lora_parameters": {"scale": 10**400}}, {}, "scale is not usable"),
        ({}, {}, "scale is not usable, got nothing"),
    ],
)
def test_mlx_refused(tmp_path: Path, config: Any, more: dict[str, Tensor], words: str) -> None:
    tensors = {"q.lora_a": DOWN.mT, "q.lora_b": UP.mT} | more
    with pytest.raises(TaskvecError, match=words):
        load_adapter(configured(tmp_path / "run", tensors, "adapters.safetensors", config))


def test_torchtune(tmp_path: Path) -> None:
    config = {"r": 2, "lora_alpha": 6, "peft_type": "LORA"}
    tensors = {"l.q_proj.lora_a.weight": DOWN, "l.q_proj.lora_b.weight": UP}
    adapter = load_adapter(configured(tmp_path / "run", tensors, "adapter_0.pt", config))
    torch.testing.assert_close(update(adapter, "l.q_proj"), 3 * UP @ DOWN)
    assert "rotary order" in adapter.warnings[0]


ADAPTERS: dict[str, Any] = {"architecture": "lora", "alpha": 6, "r": 2, "composition_mode": "add"}


def test_adapterhub(tmp_path: Path) -> None:
    settings = ADAPTERS | {"attn_matrices": ["q", "v"]}
    fused = {"c.loras.t.lora_A": torch.randn(4, 5), "c.loras.t.lora_B": torch.randn(12, 2)}
    tensors = {"q.loras.t.lora_A": DOWN, "q.loras.t.lora_B": UP} | fused
    folder = configured(tmp_path / "run", tensors, "pytorch_adapter.bin", {"config": settings, "model_name": "tiny"})
    adapter = load_adapter(folder)
    torch.testing.assert_close(update(adapter, "q"), 3 * UP @ DOWN)
    a, b = fused.values()
    parts = [b[:6] @ a[:2], torch.zeros(6, 5), b[6:] @ a[2:]]
    torch.testing.assert_close(update(adapter, "c"), 3 * torch.cat(parts))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"composition_mode": "scale"}, "IA3.*needs the base"),
        ({"use_gating": True}, "depend on the input"),
        ({"use_dora": True}, "DoRA.*is not implemented"),
        ({"architecture": "union"}, "architecture 'union', which taskvec does not read yet"),
        ({"vera_d": 0.1}, "VeRA"),
        ({"r": 5}, "got 2 rows, expected r = 5"),
    ],
)
def test_adapterhub_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    tensors = {"q.loras.t.lora_A": DOWN, "q.loras.t.lora_B": UP}
    folder = configured(tmp_path / "run", tensors, "pytorch_adapter.bin", {"config": ADAPTERS | change})
    with pytest.raises(TaskvecError, match=words):
        load_adapter(folder)


def test_xlabs(tmp_path: Path) -> None:
    start = "double_blocks.3.processor.qkv_lora2"
    adapter = load_adapter(save(tmp_path / "a.safetensors", {f"{start}.down.weight": DOWN, f"{start}.up.weight": UP}))
    for place, part in enumerate("qkv"):
        path = f"transformer.transformer_blocks.3.attn.add_{part}_proj"
        torch.testing.assert_close(update(adapter, path), (UP @ DOWN)[2 * place : 2 * place + 2])


def test_several_files_in_a_folder_are_one_adapter_each(tmp_path: Path) -> None:
    for name in ("b.safetensors", "a.v2.safetensors"):
        save(tmp_path / "zoo" / name, LORA | ALPHA)
    save(tmp_path / "zoo" / "model.safetensors", {"q.weight": torch.ones(2, 2)})
    zoo = load_zoo(tmp_path / "zoo")
    assert [adapter.name for adapter in zoo.adapters] == ["a.v2", "b"]
    assert len(zoo.warnings) == 1 and re.search("model.safetensors passed over", zoo.warnings[0])
    with pytest.raises(TaskvecError, match=r"holds 2 adapters.*give the file of one"):
        load_adapter(tmp_path / "zoo")


def test_the_last_of_mlx_stands_for_its_checkpoints(tmp_path: Path) -> None:
    tensors = {"q.lora_a": DOWN.mT, "q.lora_b": UP.mT}
    folder = configured(tmp_path / "run", tensors, "adapters.safetensors", MLX)
    save(folder / "0000100_adapters.safetensors", tensors)
    zoo = load_zoo(folder)
    assert [adapter.name for adapter in zoo.adapters] == [str(folder)] and "0000100" in zoo.warnings[0]


class Planted:
    """Runs when a pickle that holds it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path("pickle-was-run").touch, ()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"q.lora_A": DOWN, "q.lora_B": UP}, "loralib format: its alpha, and so its scale, is in no file"),
        ({"q.loras.t.lora_A": Planted()}, "without adapter_config.json|cannot be loaded safely"),
        ({"q.lora_a.weight": Planted()}, "cannot be loaded safely|without adapter_config.json"),
        ([Planted()], "cannot be loaded safely"),
        ([UP, 1], "holds int '1', which is not a plain tensor"),
        ([], "holds no tensors"),
    ],
)
def test_pickles_are_named_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Any, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(made, "lora_weight.pt")
    with pytest.raises(TaskvecError, match=words):
        load_adapter("lora_weight.pt")
    assert not Path("pickle-was-run").exists()


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"GGUF", b"GGUF" + b"\xff" * 40, b"anything at all", b"\xff" * 64]
)
@pytest.mark.parametrize("suffix", ["safetensors", "pt", "gguf", "npz", "unknown"])
def test_broken_files_are_one_line(tmp_path: Path, data: bytes, suffix: str) -> None:
    file = tmp_path / f"a.{suffix}"
    file.write_bytes(data)
    with pytest.raises(TaskvecError) as raised:
        load_adapter(file)
    assert "\n" not in str(raised.value) and str(file) in str(raised.value)


FACTORS = {"blk.0.attn_q.weight.lora_a": DOWN.numpy(), "blk.0.attn_q.weight.lora_b": UP.numpy()}
LORA_GGUF: dict[str, Any] = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 8.0}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_gguf(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "anything"
    path.write_bytes(gguf({name: a.astype(dtype) for name, a in FACTORS.items()}, **LORA_GGUF))
    adapter = load_adapter(path)
    assert adapter.format == "gguf" and list(adapter.modules) == ["blk.0.attn_q"]
    made = adapter.modules["blk.0.attn_q"].update()
    assert isinstance(made, LowRank) and made.scale == 4
    for factor, given in ((made.b, UP), (made.a, DOWN)):
        assert torch.equal(factor.float(), torch.from_numpy(given.numpy().astype(dtype)).float())


def test_gguf_of_llama_says_that_its_rows_are_in_another_order(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(gguf(FACTORS, **{"general.architecture": "llama"} | LORA_GGUF))
    assert "rotary order" in load_adapter(tmp_path / "a.gguf").modules["blk.0.attn_q"].warnings[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:20], "too short for a GGUF file"),
        (lambda data: data[:-40], "of a file of"),
        (lambda data: data.replace(struct.pack("<IQ", 3, 2), struct.pack("<IQ", 1, 2)), "GGUF version 1"),
        (lambda data: data.replace(struct.pack("<IQ", 3, 2), struct.pack("<IQ", 3, 1 << 60)), "claims 11529215"),
        (lambda data: data.replace(struct.pack("<Q", 12), struct.pack("<Q", 1 << 50)), "string of 1125899"),
        (lambda data: data.replace(struct.pack("<IQQ", 2, 5, 2), struct.pack("<IQQ", 2, 1 << 62, 2)), "of a file of"),
    ],
)
def test_gguf_that_lies_about_sizes(tmp_path: Path, change: Callable[[bytes], bytes], words: str) -> None:
    good = gguf(FACTORS, **LORA_GGUF)
    assert change(good) != good
    (tmp_path / "a.gguf").write_bytes(change(good))
    with pytest.raises(TaskvecError, match=words):
        load_adapter(tmp_path / "a.gguf")
