"""One module, one path: kinds and layers, spellings of several tools, prefixes, fused projections."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from make_adapters import pair, pairs, write_adapter
from make_gguf import gguf
from taskvec import TaskvecError, load_adapter, load_zoo, project
from taskvec.adapters import Adapter, Dense, Module
from taskvec.cli import main
from taskvec.formats.heads import Heads, heads_of_base, parse_heads
from taskvec.formats.spelling import spelling
from taskvec.naming.align import align
from taskvec.naming.fused import layout_of, split, split_all
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


def tau(module: Module) -> torch.Tensor:
    made = module.update()
    return made.tuned.double() if isinstance(made, Dense) else made.scale * made.b.double() @ made.a.double()


# name in fused-layouts.json, the module's path, inputs
MEASURED = {
    "gpt2 c_attn": ("h.0.attn.c_attn", 16),
    "gpt_bigcode c_attn multi_query": ("transformer.h.0.attn.c_attn", 16),
    "gpt_neox query_key_value": ("gpt_neox.layers.0.attention.query_key_value", 16),
    "falcon multi_query (7b)": ("h.0.self_attention.query_key_value", 16),
    "falcon rw (mha)": ("h.0.self_attention.query_key_value", 16),
    "phi3 qkv_proj kv=2": ("model.layers.0.self_attn.qkv_proj", 16),
    "bloom query_key_value": ("h.0.self_attention.query_key_value", 16),
    "mpt Wqkv": ("blocks.0.attn.Wqkv", 16),
    "codegen qkv_proj (mp_num 4, 8 heads)": ("h.0.attn.qkv_proj", 32),
    "sam vision qkv": ("layers.0.attn.qkv", 16),
}


@pytest.mark.parametrize("name", MEASURED)
def test_rows_of_fused_projections_are_those_that_were_measured(adapter, name: str) -> None:
    folder = os.environ.get("TASKVEC_TEST_TRUTH")
    if not folder:
        pytest.skip("TASKVEC_TEST_TRUTH names no folder of true updates")
    layout = json.loads((Path(folder) / "fused-layouts.json").read_text())["layouts"][name]
    path, inputs = MEASURED[name]
    (module,) = adapter("a", {path: (layout["out"], inputs, 2)}).modules.values()
    module = replace(module, update=lambda: Dense(None, torch.arange(layout["out"])[:, None].expand(-1, inputs)))
    parts = split(module, Heads(layout["heads"], layout["kv_heads"]))
    assert isinstance(parts, list)
    for part, which in zip(parts, "qkv", strict=True):
        assert part.path == f"{path.rpartition('.')[0]}.{which}_proj"
        assert part.update().tuned[:, 0].tolist() == [row for head in layout[which] for row in head]


def rows_of_parts(adapter, path: str, rows: int, inputs: int, heads: Heads | None) -> dict[str, list[int]]:
    """The numbers of the rows of each part of a fused module."""
    (module,) = adapter("a", {path: (rows, inputs, 2)}).modules.values()
    module = replace(module, update=lambda: Dense(None, torch.arange(rows)[:, None].expand(-1, inputs)))
    parts = split(module, heads)
    assert isinstance(parts, list)
    return {part.path.rpartition(".")[2]: part.update().tuned[:, 0].tolist() for part in parts}


def base_with(folder: Path, **config: object) -> Heads | None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return heads_of_base(str(folder))


def test_rows_of_qwen3_nexts_linear_attention_are_those_of_transformers(adapter, tmp_path: Path) -> None:
    layer = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next").Qwen3NextGatedDeltaNet
    sizes = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 3}
    heads = base_with(tmp_path / "b", num_attention_heads=4, linear_value_head_dim=5, **sizes)
    own = SimpleNamespace(num_k_heads=2, num_v_heads=4, head_k_dim=3, head_v_dim=5)
    numbers = [torch.arange(rows)[None, None] for rows in (2 * (3 + 3 + 10 + 10), 2 * 4)]
    q, k, v, z, b, a = (part.flatten().tolist() for part in layer.fix_query_key_value_ordering(own, *numbers))
    path = "model.layers.0.linear_attn.in_proj_"
    found = rows_of_parts(adapter, f"{path}qkvz", 52, 16, heads) | rows_of_parts(adapter, f"{path}ba", 8, 16, heads)
    assert found == {f"in_proj_{name}": rows for name, rows in zip("qkvzba", (q, k, v, z, b, a), strict=True)}


def test_rows_of_deepseeks_keys_and_values_go_head_after_head(adapter, tmp_path: Path) -> None:
    """As modeling_deepseek_v3.py has it: view(heads, nope + v), then a split of the last dimension."""
    heads = base_with(tmp_path / "b", num_attention_heads=2, qk_nope_head_dim=3, v_head_dim=2)
    found = rows_of_parts(adapter, "model.layers.0.self_attn.kv_b_proj", 10, 4, heads)
    assert found == {"k_b_proj": [0, 1, 2, 5, 6, 7], "v_b_proj": [3, 4, 8, 9]}


def test_gate_and_up_of_gpt_oss_alternate(adapter) -> None:
    path = "model.layers.0.mlp.experts.gate_up_proj[1]"
    assert rows_of_parts(adapter, path, 6, 4, Heads(4, model_type="gpt_oss")) == {
        "gate_proj": [0, 2, 4],
        "up_proj": [1, 3, 5],
    }
    assert rows_of_parts(adapter, path, 6, 4, Heads(4))["gate_proj"] == [0, 1, 2]


def test_chatglm_has_groups_after_its_queries_or_head_after_head(adapter, tmp_path: Path) -> None:
    heads = base_with(tmp_path / "b", num_attention_heads=4, multi_query_group_num=2, model_type="chatglm")
    path = "transformer.encoder.layers.0.self_attention.query_key_value"
    found = rows_of_parts(adapter, path, 16, 8, heads)
    assert found == {"q_proj": list(range(8)), "k_proj": [8, 9, 10, 11], "v_proj": [12, 13, 14, 15]}
    path = "transformer.layers.0.attention.query_key_value"  # ChatGLM-1
    assert rows_of_parts(adapter, path, 12, 4, Heads(2))["k_proj"] == [2, 3, 8, 9]


def test_gate_and_up_are_halves_and_flux_has_four_parts(adapter) -> None:
    given = adapter("a", {"l.0.mlp.gate_up_proj": (8, 4, 2), "single_blocks.0.linear1": (14, 2, 2), "l.0.o": (4, 4, 2)})
    made = split_all(given)
    assert {path: module.shape for path, module in made.modules.items()} == {
        "l.0.mlp.gate_proj": (4, 4),
        "l.0.mlp.up_proj": (4, 4),
        **{f"single_blocks.0.{part}": (2, 2) for part in ("to_q", "to_k", "to_v")},
        "single_blocks.0.proj_mlp": (8, 2),
        "l.0.o": (4, 4),
    }
    whole = tau(given.modules["l.0.mlp.gate_up_proj"])
    torch.testing.assert_close(tau(made.modules["l.0.mlp.up_proj"]), whole[4:])
    assert made.warnings == ()


@pytest.mark.parametrize(
    ("path", "shape", "words"),
    [
        ("h.0.self_attention.query_key_value", (48, 16), "number of heads is not known.*--heads"),
        ("layers.0.self_attn.qkv_proj", (32, 16), "number of heads is not known.*--heads"),
        ("transformer.encoder.layers.0.self_attention.query_key_value", (48, 16), "number of heads is not known"),
        ("model.layers.0.self_attn.kv_b_proj", (48, 16), "sizes of its parts are not known.*--base"),
    ],
)
def test_what_cannot_be_split_stays_and_is_counted(adapter, path: str, shape: tuple[int, int], words: str) -> None:
    made = split_all(adapter("a", {path: (*shape, 2)}))
    assert list(made.modules) == [path]
    assert len(made.warnings) == 1 and re.search(words, made.warnings[0])


def test_a_module_that_is_not_fused_has_no_layout() -> None:
    for path in ("h.0.attn.c_proj", "l.0.q_proj", "mlp.up_proj", "down_blocks.0.attn1.to_q", "l.0.qkv_norm"):
        assert layout_of(path) is None


def test_fused_and_split_projections_meet(adapter) -> None:
    fused = adapter(
        "fused", {"model.layers.0.self_attn.qkv_proj": (48, 16, 2), "model.layers.0.mlp.gate_up_proj": (20, 16, 2)}
    )
    apart = {f"model.layers.0.self_attn.{part}_proj": (16, 16, 2) for part in "qv"}
    apart |= {"model.layers.0.mlp.up_proj": (10, 16, 2)}
    (a, b), lines = align([fused, adapter("apart", apart)])
    assert lines[0].startswith("fused: 2 fused modules split, as another adapter has them (model.layers.0.")
    assert set(b.modules) == set(apart) and set(apart) < set(a.modules)
    torch.testing.assert_close(
        tau(a.modules["model.layers.0.self_attn.v_proj"]), tau(fused.modules["model.layers.0.self_attn.qkv_proj"])[32:]
    )
    assert project(a, b).used["rec"] == 3


def test_fused_projections_of_two_adapters_are_compared_whole(adapter) -> None:
    path = "model.layers.0.self_attn.qkv_proj"
    (a, b), _ = align([adapter("a", {path: (48, 16, 2)}), adapter("b", {path: (48, 16, 2), "x": (3, 3, 1)})])
    assert path in a.modules and path in b.modules


def test_experts_of_transformers_4_and_5_meet(adapter) -> None:
    four = {f"model.layers.0.block_sparse_moe.experts.1.{name}": (6, 4, 2) for name in ("w1", "w3")}
    five = {"model.layers.0.mlp.experts.gate_up_proj[1]": (12, 4, 2)}
    (a, b), _ = align([adapter("four", four), adapter("five", five)])
    assert len(a.modules.keys() & b.modules.keys()) == 2


def test_heads_from_the_base_models_config(tmp_path: Path) -> None:
    def heads(**config: object) -> Heads | None:
        (tmp_path / "config.json").write_text(json.dumps(config))
        heads_of_base.cache_clear()
        return heads_of_base(str(tmp_path))

    assert heads(num_attention_heads=8, num_key_value_heads=2, model_type="llama") == Heads(8, 2, "llama")
    assert heads(n_head=12, model_type="gpt2") == Heads(12, 12, "gpt2")
    assert heads(num_attention_heads=71, model_type="falcon", multi_query=True) == Heads(71, 1, "falcon")
    assert heads(text_config={"num_attention_heads": 4}) == Heads(4, 4)
    assert heads(num_attention_heads="many") is None and heads_of_base("no such folder") is None
    assert parse_heads("8,2") == Heads(8, 2) and parse_heads("8") == Heads(8)
    for bad in ("", "x", "8,3", "0", "8,2,1", "-4"):
        with pytest.raises(TaskvecError, match="--heads is not usable"):
            parse_heads(bad)


def test_two_updates_are_never_put_under_one_path(adapter) -> None:
    both = adapter("both", {"h.0.attn.qkv": (12, 4, 1), "h.0.attn.q_proj": (4, 4, 1)})
    made: Adapter = split_all(both)
    assert set(made.modules) == set(both.modules) and "has its parts as well" in made.warnings[0]


def test_one_spelling_of_the_unets() -> None:
    assert spelling("lora_unet_input_blocks_4_1_proj_in").path == "down_blocks_1_attentions_0_proj_in"
    assert spelling("input_blocks.4.0.skip_connection").path == "down_blocks_1_resnets_0_conv_shortcut"


def test_fused_projections_are_split_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = "transformer.h.0.self_attention.query_key_value"
    folder = str(write_adapter(tmp_path / "a", pair(path, m=24, n=8)))

    def modules(*options: str) -> list[str]:
        assert main(["inspect", folder, "--json", *options]) == 0
        return [module["module"] for module in json.loads(capsys.readouterr().out)["adapters"][0]["modules"]]

    assert modules() == modules("--heads", "2") == [path]
    assert modules("--split-fused", "--heads", "2") == [path.replace("query_key_value", f"{p}_proj") for p in "qkv"]
    assert modules("--split-fused") == [path]
    assert main(["inspect", folder, "--heads", "x"]) == 2
    assert "--heads is not usable" in capsys.readouterr().err
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps({"n_head": 2, "model_type": "bloom"}))
    write_adapter(tmp_path / "b", pair(path, m=24, n=8), base_model_name_or_path=str(base))
    (adapter,) = load_zoo(tmp_path / "b", split_fused=True).adapters
    whole = tau(load_adapter(folder).modules[path]).reshape(2, 3, 4, 8)  # head, part, row
    for i, part in enumerate("qkv"):
        torch.testing.assert_close(
            tau(adapter.modules[f"transformer.h.0.self_attention.{part}_proj"]), whole[:, i].flatten(0, 1)
        )


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


def test_a_full_fine_tune_and_a_lora_meet_under_two_names_and_split(tmp_path: Path) -> None:
    weight = torch.randn(8, 24)
    for name, change in (("base", 0.0), ("tuned", 1.0)):
        (tmp_path / name).mkdir()
        tensor = weight + change * torch.randn(8, 24)
        save_file({"transformer.h.0.attn.c_attn.weight": tensor}, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_head": 2}))
    lora = write_adapter(tmp_path / "lora", pairs("h.0.attn.q_proj", "h.0.attn.v_proj", m=8, n=8))
    full = load_adapter(f"{tmp_path / 'base'}..{tmp_path / 'tuned'}")
    whole = tau(full.modules["transformer.h.0.attn.c_attn"])
    result = project(lora, full)
    assert result.used["rec"] == 2
    (_, made), _ = align([load_adapter(lora), full])
    torch.testing.assert_close(tau(made.modules["h.0.attn.v_proj"]), whole[16:])
    assert made.modules["h.0.attn.v_proj"].rank == 8


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


@pytest.mark.parametrize("shown", ["qkv", "q", "v"])
def test_the_ratio_of_heads_from_an_adapter_that_has_them_apart(adapter, shown: str) -> None:
    path = "model.layers.0.self_attn.{}_proj".format
    fused = adapter("fused", {path("qkv"): (32, 12, 2)})  # 4 heads and 2 of keys and values
    apart = adapter("apart", {path(part): (16 if part == "q" else 8, 12, 2) for part in shown})
    (a, b), _ = align([fused, apart])
    assert b.modules.keys() <= a.modules.keys() == {path(part) for part in "qkv"}
    torch.testing.assert_close(tau(a.modules[path("v")]), tau(fused.modules[path("qkv")])[24:])
