"""One module, one path: kinds and layers, spellings of several tools, prefixes, rows in rotary order."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from make_adapters import pair, pairs, tau, write_adapter
from make_gguf import gguf
from taskvec import TaskvecError, load_adapter, load_zoo, project
from taskvec.adapters import Dense
from taskvec.cli import main
from taskvec.formats.spelling import spelling
from taskvec.naming.align import align
from taskvec.paths import layer_and_kind


@pytest.mark.parametrize(
    ("path", "layer", "kind"),
    [
        ("transformer.h.3.attn.c_proj", 3, "attn.c_proj"),
        ("transformer.h.3.mlp.c_proj", 3, "mlp.c_proj"),
        ("h.10.q", 10, "q"),
        ("unet.down_blocks.1.attentions.0.attn1.to_out.0", 1, "attentions.attn1.to_out.0"),
        ("to_out.0", None, "to_out.0"),
        ("0", None, "0"),
        ("encoder.layer.2.attention.output.dense", 2, "attention.output.dense"),
        ("model.layers.1.mlp.experts.gate_up_proj[7]", 1, "mlp.experts.gate_up_proj"),
        ("model.layers.1.mlp.experts.7.w1", 1, "mlp.experts.w1"),
        ("lora_unet_mid_block_attentions_0_proj_in", 0, "proj_in"),
        ("lora_te1_text_model_encoder_layers_11_mlp_fc1", 11, "mlp_fc1"),
        ("model.embed_tokens", None, "embed_tokens"),
        ("up_proj", None, "up_proj"),
    ],
)
def test_layer_and_kind(path: str, layer: int | None, kind: str) -> None:
    assert layer_and_kind(path) == (layer, kind)


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."])
def test_wrappers_are_removed(tmp_path: Path, wrapper: str) -> None:
    for prefix in (
        f"{wrapper}base_model.model.",
        f"base_model.model.{wrapper}",
        f"base_model.model.{wrapper}{wrapper}",
    ):
        folder = tmp_path / prefix
        write_adapter(folder, pair("h.0.q", prefix=prefix))
        assert list(load_adapter(folder).modules) == ["h.0.q"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bert.encoder.layer.0.attention.self.query", "encoder.layer.0.attention.self.query"),
        ("text_model.encoder.layers.0.self_attn.q_proj", "encoder.layers.0.self_attn.q_proj"),
        ("language_model.model.layers.0.self_attn.q_proj", "model.language_model.layers.0.self_attn.q_proj"),
        ("transformer.h.0.attn.c_attn", "h.0.attn.c_attn"),
        (
            "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0",
            "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0",
        ),
        (
            "lora_te2_text_model_encoder_layers_0_self_attn_q_proj",
            "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj",
        ),
        (
            "lora_unet_output_blocks_5_1_transformer_blocks_0_attn1_to_q",
            "unet.up_blocks.1.attentions.2.transformer_blocks.0.attn1.to_q",
        ),
        ("lora_unet_input_blocks_3_0_op", "unet.down_blocks.0.downsamplers.0.conv"),
        ("lora_unet_middle_block_2_in_layers_2", "unet.mid_block.resnets.1.conv1"),
        ("lora_unet_double_blocks_3_txt_mlp_2", "transformer.transformer_blocks.3.ff_context.net.2"),
        ("diffusion_model.single_blocks.4.linear2", "transformer.single_transformer_blocks.4.proj_out"),
        ("lora_unet_blocks_7_cross_attn_o", "transformer.blocks.7.attn2.to_out.0"),
        ("diffusion_model.blocks.7.ffn.0", "transformer.blocks.7.ffn.net.0.proj"),
        ("model.layers.2.block_sparse_moe.experts.5.w1", "model.layers.2.mlp.experts.5.gate_proj"),
    ],
)
def test_modules_are_matched_under_two_names(adapter, one: str, other: str) -> None:
    (a, b), lines = align([adapter("a", {one: (6, 5, 2)}), adapter("b", {other: (6, 5, 2), "x.y": (3, 3, 1)})])
    assert set(a.modules) < set(b.modules) and "matched under other names" in lines[0]
    assert project(a, b).used["rec"] == 1


@pytest.mark.parametrize(
    ("one", "others"),
    [
        ("encoder.block.0.q", ["decoder.block.0.q"]),
        ("layers.0.q", ["vision_tower.layers.0.q"]),
        ("model.layers.0.q", ["first.layers.0.q", "second.layers.0.q"]),
        ("text_encoder.layers.0.q", ["text_encoder_2.layers.0.q"]),
    ],
)
def test_what_may_be_another_module_is_named_and_not_matched(adapter, one: str, others: list[str]) -> None:
    a, b = adapter("a", {one: (6, 5, 2)}), adapter("b", dict.fromkeys(others, (6, 5, 2)))
    assert [made.modules.keys() for made in align([a, b])[0]] == [a.modules.keys(), b.modules.keys()]
    with pytest.raises(TaskvecError, match=r"no module in common, got .*\.0\.q is under .* in one and under"):
        project(a, b)


def test_prefixes_of_a_model_with_two_parts_are_told_apart_by_their_words(adapter) -> None:
    parts = ("layers.0.q", "layers.1.q")
    old = adapter(
        "old", {f"{of}.{path}": (6, 5, 2) for of in ("language_model.model", "vision_tower") for path in parts}
    )
    new = adapter(
        "new", {f"model.{of}.{path}": (6, 5, 2) for of in ("language_model", "vision_tower") for path in parts}
    )
    (a, b), _ = align([old, new])
    assert a.modules.keys() == b.modules.keys()


def test_another_shape_is_another_module(adapter) -> None:
    with pytest.raises(TaskvecError, match="no module in common"):
        project(adapter("a", {"bert.layer.0.q": (6, 5, 2)}), adapter("b", {"layer.0.q": (7, 5, 2)}))


def test_a_zoo_of_two_spellings(tmp_path: Path) -> None:
    for name, prefix in (("a", ""), ("b", ""), ("c", "bert.")):
        write_adapter(tmp_path / name, pairs(f"{prefix}encoder.layer.0.query", f"{prefix}encoder.layer.1.query"))
    zoo = load_zoo(tmp_path)
    assert {tuple(one.modules) for one in zoo.adapters} == {("encoder.layer.0.query", "encoder.layer.1.query")}
    assert zoo.warnings[0].startswith("c: 2 of 2 modules matched under other names (bert.encoder.layer.0.query is")


def test_no_common_module_ends_a_command_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_adapter(tmp_path / "a", pairs("h.0.q"))
    write_adapter(tmp_path / "b", pairs("h.0.q", m=7))
    for command in (["project"], ["lambda-path"]):
        assert main([*command, str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert main(["sweep", str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "o.zarr")]) == 2
    assert capsys.readouterr().err.count("no module in common") == 3


TOOLS = ("kohya-flux", "kohya-sd15", "kohya-sdxl-sgm", "wan-diffusion-model", "xlabs-flux", "aitoolkit-flux",
         "qwen-image-default-in-keys", "diffusers-old-attn-procs", "diffusers-unet-metadata")  # fmt: skip


@pytest.mark.parametrize("name", TOOLS)
def test_names_of_the_real_clients(adapter, name: str) -> None:
    folder = os.environ.get("TASKVEC_TEST_TRUTH")
    if not folder:
        pytest.skip("TASKVEC_TEST_TRUTH names no folder of true updates")
    deltas = {path: t.reshape(len(t), -1) for path, t in np.load(Path(folder) / name / "delta.npz").items()}
    client = adapter("client", {path: (*t.shape, 1) for path, t in deltas.items()})
    for path, module in client.modules.items():
        true = torch.from_numpy(deltas[path])
        client.modules[path] = replace(module, update=lambda true=true: Dense(None, true))
    (ours, of_client), _ = align([load_adapter(Path(folder) / name), client])
    assert ours.modules.keys() == of_client.modules.keys()
    for path, module in ours.modules.items():
        found, true = tau(module), tau(of_client.modules[path])
        assert float((found - true).norm()) <= 3e-4 * float(true.norm()), path


def test_experts_of_transformers_4_and_5_meet(adapter) -> None:
    four = {f"model.layers.0.block_sparse_moe.experts.1.{name}": (6, 4, 2) for name in ("w1", "w3")}
    five = {"model.layers.0.mlp.experts.gate_up_proj[1]": (12, 4, 2)}
    (a, b), _ = align([adapter("four", four), adapter("five", five)])
    assert len(a.modules.keys() & b.modules.keys()) == 2


def test_one_spelling_of_the_unets() -> None:
    assert spelling("lora_unet_input_blocks_4_1_proj_in").path == "down_blocks_1_attentions_0_proj_in"
    assert spelling("input_blocks.4.0.skip_connection").path == "down_blocks_1_resnets_0_conv_shortcut"


@pytest.mark.parametrize("last", ["q_proj", "k_proj"])
def test_rows_of_torchtune_are_turned(tmp_path: Path, last: str) -> None:
    heads, half = (4, 3) if last == "q_proj" else (2, 3)
    tensors = {}
    for name, count in (("q_proj", 4), ("k_proj", 2)):
        tensors |= {f"layers.0.attn.{name}.lora_a.weight": torch.randn(2, 9)}
        tensors |= {f"layers.0.attn.{name}.lora_b.weight": torch.randn(count * 6, 2)}
    torch.save(tensors, tmp_path / "adapter_0.pt")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4}))
    path = f"layers.0.attn.{last}"
    plain = load_adapter(tmp_path).modules[path]
    assert "rotary order" in plain.warnings[0]
    for given in ("4", "4,2"):
        turned = load_adapter(tmp_path, heads=given).modules[path]
        assert turned.warnings == ()
        # row (head, i, half) of Meta is row (head, half, i)
        torch.testing.assert_close(
            tau(turned).reshape(heads, 2, half, 9), tau(plain).reshape(heads, half, 2, 9).transpose(1, 2)
        )


LLAMA = {"general.type": "adapter", "adapter.type": "lora", "general.architecture": "llama", "adapter.lora.alpha": 4.0}


def test_embeddings_experts_and_rotary_rows_of_gguf(tmp_path: Path) -> None:
    factors = {
        "token_embd.weight.lora_a": torch.randn(20, 2),
        "token_embd.weight.lora_b": torch.randn(6, 2),
        "blk.0.ffn_up_exps.weight.lora_a": torch.randn(3, 2, 6),
        "blk.0.ffn_up_exps.weight.lora_b": torch.randn(3, 5, 2),
        "blk.0.attn_q.weight.lora_a": torch.randn(2, 6),
        "blk.0.attn_q.weight.lora_b": torch.randn(12, 2),
    }
    arrays = {name: t.numpy() for name, t in factors.items()}
    (tmp_path / "a.gguf").write_bytes(gguf(arrays, **LLAMA))
    modules = load_adapter(tmp_path / "a.gguf", heads="2").modules
    a, b, ea, eb, qa, qb = factors.values()
    torch.testing.assert_close(tau(modules["token_embd"]).float(), 2 * b @ a.mT)
    for e in range(3):
        torch.testing.assert_close(tau(modules[f"blk.0.ffn_up_exps[{e}]"]).float(), 2 * eb[e] @ ea[e])
    turned = (2 * qb @ qa).reshape(2, 3, 2, 6).transpose(1, 2).reshape(12, 6)
    torch.testing.assert_close(tau(modules["blk.0.attn_q"]).float(), turned)
