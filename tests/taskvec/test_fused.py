"""Fused projections: the rows of their parts, and where they are split."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from make_adapters import pair, pairs, tau, write_adapter
from taskvec import TaskvecError, load_adapter, load_zoo, project
from taskvec.adapters import Adapter, Cut, Dense
from taskvec.cli import main
from taskvec.formats.heads import Heads, heads_of_base, parse_heads
from taskvec.naming.align import align
from taskvec.naming.fused import layout_of, renamed, split, split_all

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
    known = heads_of_base("unsloth/gpt-oss-20b-BF16")
    assert known == Heads(64, 8, "gpt_oss") and rows_of_parts(adapter, path, 6, 4, known)["up_proj"] == [1, 3, 5]


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


def test_the_last_modulation_of_flux_has_its_halves_the_other_way_round_in_diffusers(adapter) -> None:
    """shift, scale = adaLN_modulation(vec).chunk(2) in BFL's code; scale, shift in AdaLayerNormContinuous."""
    common = {"double_blocks.0.img_mlp.0": (16, 4, 2), "double_blocks.0.img_mlp.2": (4, 16, 2)}
    bfl = adapter("bfl", common | {"final_layer.adaLN_modulation.1": (8, 4, 2), "final_layer.linear": (6, 4, 2)})
    names = {"norm_out.linear": (8, 4, 2), "proj_out": (6, 4, 2)}
    streams = {"transformer_blocks.0.ff.net.0.proj": (16, 4, 2), "transformer_blocks.0.ff.net.2": (4, 16, 2)}
    (one, two), _ = align([adapter("diffusers", streams | names), bfl])
    assert one.modules.keys() == two.modules.keys() == (streams | names).keys()
    own = bfl.modules["final_layer.adaLN_modulation.1"]
    assert torch.equal(tau(two.modules["norm_out.linear"]), tau(own).roll(4, 0))
    assert torch.equal(tau(renamed(two.modules["norm_out.linear"], own.path)), tau(own))


def test_rows_of_a_cut_update_are_refused(adapter) -> None:
    """The norm of a part is not known where directions of the whole were left out."""
    (module,) = adapter("a", {"l.0.mlp.gate_up_proj": (8, 4, 2)}).modules.values()
    module = replace(module, update=lambda: Cut.of(torch.ones(8, 2), torch.ones(2, 4), 9.0))
    with pytest.raises(TaskvecError, match=r"other directions were left out.*--split-fused"):
        split(module, None)[0].update()


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


@pytest.mark.parametrize("shown", ["qkv", "q", "v"])
def test_the_ratio_of_heads_from_an_adapter_that_has_them_apart(adapter, shown: str) -> None:
    path = "model.layers.0.self_attn.{}_proj".format
    fused = adapter("fused", {path("qkv"): (32, 12, 2)})  # 4 heads and 2 of keys and values
    apart = adapter("apart", {path(part): (16 if part == "q" else 8, 12, 2) for part in shown})
    (a, b), _ = align([fused, apart])
    assert b.modules.keys() <= a.modules.keys() == {path(part) for part in "qkv"}
    torch.testing.assert_close(tau(a.modules[path("v")]), tau(fused.modules[path("qkv")])[24:])
