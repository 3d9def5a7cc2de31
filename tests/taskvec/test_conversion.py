"""``convert``: what it writes is read again as it was, and by the peft package."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from make_adapters import pair, pairs, write_adapter
from taskvec import TaskvecError, convert, load_adapter
from taskvec.adapters import Adapter, Dense, Module
from taskvec.cli import main
from taskvec.naming.dotted import dotted

TRUTH = ("lycoris-loha", "lycoris-locon-conv-mid", "mlx-lora", "kohya-sd15", "peft-lora-experts", "peft-c3a",
         "peft-lora-conv-grouped", "peft-lora-embedding", "peft-adalora", "gguf-lora", "lycoris-lokr-full")  # fmt: skip


def tau(module: Module) -> Tensor:
    made = module.update()
    return made.tuned.double() if isinstance(made, Dense) else made.scale * made.b.double() @ made.a.double()


def close(found: Tensor, true: Tensor) -> bool:
    return found.shape == true.shape and float((found - true).norm()) <= 2e-6 * float(true.norm())


@pytest.mark.parametrize("name", TRUTH)
def test_what_is_written_is_what_was_read(tmp_path: Path, name: str) -> None:
    folder = os.environ.get("TASKVEC_TEST_TRUTH")
    if not folder:
        pytest.skip("TASKVEC_TEST_TRUTH names no folder of true updates")
    before = load_adapter(Path(folder) / name)
    made = convert(before, tmp_path / "out")
    after = load_adapter(tmp_path / "out")
    assert len(after.modules) == len(before.modules) == made.modules and made.residual < 1e-6
    for old, new in zip(sorted(before.modules), sorted(after.modules), strict=True):
        assert any(close(tau(module), tau(before.modules[old])) for module in after.modules.values()), (old, new)


def test_scales_ranks_and_origin(tmp_path: Path) -> None:
    tensors = pair("h.0.q") | pair("h.1.q", r=3) | pair("q", m=4)
    source = write_adapter(tmp_path / "in", tensors, alpha_pattern={"h.0.q": 10}, rank_pattern={"h.1.q": 3})
    before = load_adapter(source)
    convert(before, tmp_path / "out")
    after = load_adapter(tmp_path / "out")
    assert after.modules.keys() == before.modules.keys() and after.base_model == before.base_model
    for path, module in after.modules.items():
        assert module.scale == 1 and module.rank == before.modules[path].rank and module.warnings == ()
        assert close(tau(module), tau(before.modules[path]))
    with safe_open(tmp_path / "out/adapter_model.safetensors", framework="pt") as file:
        header = file.metadata()
    assert header["source"] == str(source) and header["source_sha256"] == before.digest and header["rank"] == "all"


def test_a_cut_keeps_the_largest_directions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_adapter(tmp_path / "in", pairs("h.0.q", r=4, m=8, n=7), r=4)
    assert main(["convert", str(source), str(tmp_path / "out"), "--rank", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (before,), (after,) = load_adapter(source).modules.values(), load_adapter(tmp_path / "out").modules.values()
    U, S, Vh = torch.linalg.svd(tau(before), full_matrices=False)
    assert after.rank == 2 and close(tau(after), U[:, :2] * S[:2] @ Vh[:2])
    assert document["largest_residual"] == pytest.approx(float(S[2:].norm() / S.norm()), rel=1e-5)
    assert main(["convert", str(source), str(tmp_path / "out")]) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert main(["convert", str(source), str(tmp_path / "other")]) == 0
    assert "1 modules of rank up to 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("model.layers.0.self_attn.q_proj", ("", "model.layers.0.self_attn.q_proj")),
        ("unet.mid_block.attentions.0.proj_in", ("unet", "mid_block.attentions.0.proj_in")),
        (
            "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0",
            ("unet", "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0"),
        ),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1", ("text_encoder_2", "encoder.layers.0.mlp.fc1")),
        ("lora_unet_double_blocks_0_img_mlp_0", ("transformer", "transformer_blocks.0.ff.net.0.proj")),
        ("lora_unet_input_blocks_4_0_emb_layers_1", ("unet", "down_blocks.1.resnets.0.time_emb_proj")),
    ],
)
def test_dots_come_back(path: str, found: tuple[str, str]) -> None:
    assert dotted(path) == found


def test_experts_that_are_not_all_there_are_refused(adapter, tmp_path: Path) -> None:
    with pytest.raises(TaskvecError, match=r"has 2 experts of mlp\.up, numbered to 2"):
        convert(adapter("a", {"mlp.up[0]": (4, 3, 2), "mlp.up[2]": (4, 3, 2)}), tmp_path / "out")


class Tiny(nn.Module):
    """A linear layer, convolutions, an embedding, an attention, and three experts of two bare parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.image, self.embed_tokens = nn.Linear(5, 6), nn.Conv2d(4, 6, 3), nn.Embedding(9, 5)
        self.groups, self.attn = nn.Conv2d(4, 6, 3, groups=2), nn.MultiheadAttention(4, 2)
        self.experts = nn.Module()
        self.experts.gate_up_proj = nn.Parameter(torch.zeros(3, 12, 5))
        self.experts.down_proj = nn.Parameter(torch.zeros(3, 5, 6))

    def forward(self, x: Tensor) -> Tensor:
        return x


HADA = {"w1_a": (6, 2), "w1_b": (2, 5), "w2_a": (6, 2), "w2_b": (2, 5)}
SIZES = {
    "loha": {f"lora_unet_q_proj.hada_{role}": size for role, size in HADA.items()},
    "convolution": {
        "lora_unet_image.lora_up.weight": (6, 2, 1, 1),
        "lora_unet_image.lora_down.weight": (2, 4, 3, 3),
    },
    "embedding": {
        "base_model.model.embed_tokens.lora_embedding_A": (2, 9),
        "base_model.model.embed_tokens.lora_embedding_B": (5, 2),
    },
    "dense": {"lora_unet_q_proj.diff": (6, 5)},
    "groups": {
        "base_model.model.groups.lora_A.weight": (2, 4, 3, 3),
        "base_model.model.groups.lora_B.weight": (6, 1, 1, 1),
    },
    "attention": {
        "base_model.model.attn.lora_A.weight": (2, 4),
        "base_model.model.attn.lora_B.weight": (12, 2),
        "base_model.model.attn.base_layer.out_proj.lora_A.weight": (3, 4),
        "base_model.model.attn.base_layer.out_proj.lora_B.weight": (4, 3),
    },
}
OF_PEFT = ("embedding", "groups", "attention")


def read(folder: Path, kind: str) -> Adapter:
    """An adapter of ``Tiny`` in one of several formats."""
    if kind == "experts":
        both = pair("experts.base_layer", m=12, n=5, r=6, seed=1) | pair("experts", m=5, n=6, r=6, seed=2)
        names = ["experts.gate_up_proj", "experts.down_proj"]
        return load_adapter(write_adapter(folder, both, target_parameters=names))
    tensors = {name: torch.randn(size) for name, size in SIZES[kind].items()}
    if kind in OF_PEFT:
        return load_adapter(write_adapter(folder, tensors))
    folder.mkdir()
    save_file(tensors, folder / "style.safetensors")
    return load_adapter(folder)


def delta(layer: Any) -> Tensor:
    """PEFT's own update of a layer; of a convolution with groups, where PEFT has none, from what it loaded."""
    if getattr(layer.get_base_layer(), "groups", 1) == 1:
        return layer.get_delta_weight("default").detach()
    a, b = layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()
    groups = layer.lora_B["default"].groups
    one = torch.eye(len(a))[..., None, None]  # every direction of A by itself through B
    return layer.scaling["default"] * nn.functional.conv2d(one, b, groups=groups)[..., 0, 0].mT @ a.flatten(1)


@pytest.mark.peft
@pytest.mark.parametrize("kind", ["loha", "convolution", "embedding", "dense", "experts", "groups", "attention"])
def test_peft_loads_what_is_written(tmp_path: Path, kind: str) -> None:
    import peft
    from peft.tuners.lora.layer import LoraLayer

    torch.manual_seed(0)
    adapter = read(tmp_path / "in", kind)
    convert(adapter, tmp_path / "out")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = peft.PeftModel.from_pretrained(Tiny(), tmp_path / "out")
    assert not any("missing" in str(one.message) for one in said)
    found = {
        path.removeprefix("base_model.model."): delta(layer)
        for path, layer in model.named_modules()
        if isinstance(layer, LoraLayer)
    }
    if kind == "experts":
        gate_up, down = found["experts.base_layer"], found["experts"]
        found = {
            f"experts.{name}[{e}]": t[e]
            for name, t in (("gate_up_proj", gate_up), ("down_proj", down))
            for e in range(3)
        }
    expected = {path.removeprefix("lora_unet_"): tau(module) for path, module in adapter.modules.items()}
    found = {path.replace(".base_layer", ""): value for path, value in found.items()}
    assert found.keys() == expected.keys()
    for path, true in expected.items():
        assert close(found[path].flatten(1).mT if kind == "embedding" else found[path].flatten(1), true), path


def test_a_convolution_with_groups_is_not_cut(tmp_path: Path) -> None:
    torch.manual_seed(0)
    adapter = read(tmp_path / "in", "groups")
    with pytest.raises(TaskvecError, match="a convolution with groups, groups, which PEFT holds at the rank"):
        convert(adapter, tmp_path / "out", rank=1)
