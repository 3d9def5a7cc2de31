"""τ against the tools that write these files: LyCORIS, diffusers and MLX, where they are installed (group clients)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from taskvec import load_adapter
from taskvec.adapters import Adapter, Dense

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]  # what they say is theirs


def taus(adapter: Adapter) -> dict[str, Tensor]:
    made = {path: module.update() for path, module in adapter.modules.items()}
    return {
        path: one.tuned.float() if isinstance(one, Dense) else one.scale * one.b.float() @ one.a.float()
        for path, one in made.items()
    }


def equal(found: dict[str, Tensor], true: dict[str, Tensor]) -> None:
    assert found.keys() == true.keys() and found
    for path, delta in found.items():
        torch.testing.assert_close(delta, true[path].float().reshape(delta.shape), rtol=1e-4, atol=1e-5)


LAYERS = {"linear": lambda: nn.Linear(12, 16), "convolution": lambda: nn.Conv2d(8, 12, 3)}
LYCORIS: dict[str, tuple[str, dict[str, Any]]] = {
    "LoCon": ("LoConModule", {}),
    "LoCon of Tucker form": ("LoConModule", {"use_tucker": True}),
    "LoCon, rsLoRA": ("LoConModule", {"rs_lora": True}),
    "LoHa": ("LohaModule", {}),
    "LoHa of Tucker form": ("LohaModule", {"use_tucker": True}),
    "LoKr": ("LokrModule", {"factor": 2}),
    "LoKr, both sides of factors": ("LokrModule", {"factor": 4, "decompose_both": True}),
    "LoKr of Tucker form": ("LokrModule", {"factor": 2, "use_tucker": True}),
    "LoKr of whole matrices": ("LokrModule", {"factor": 2, "full_matrix": True}),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("kind", LYCORIS)
def test_lycoris(tmp_path: Path, kind: str, layer: str) -> None:
    modules = pytest.importorskip("lycoris.modules", reason="lycoris-lora is not installed")
    name, settings = LYCORIS[kind]
    torch.manual_seed(0)
    base = LAYERS[layer]()
    made = getattr(modules, name)("lora_unet_mid_to_q", base, 1.0, lora_dim=2, alpha=3.0, **settings)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    state = {f"lora_unet_mid_to_q.{key}": t.contiguous() for key, t in made.state_dict().items()}
    save_file(state, tmp_path / "style.safetensors")
    # not get_diff_weight, which scales LoHa and LoKr twice
    delta = made.make_weight() * made.scale if name == "LoConModule" else made.get_weight(base.weight.shape)
    equal(taus(load_adapter(tmp_path)), {"lora_unet_mid_to_q": delta.detach()})


LYCORIS_ON_BASE: dict[str, tuple[str, dict[str, Any]]] = {
    "LoCon with magnitudes": ("LoConModule", {"weight_decompose": True}),
    "LoCon with magnitudes of inputs": ("LoConModule", {"weight_decompose": True, "wd_on_out": False}),
    "GLoRA": ("GLoRAModule", {}),
    "IA3": ("IA3Module", {}),
    "IA3 of inputs": ("IA3Module", {"train_on_input": True}),
    "OFT": ("DiagOFTModule", {}),
    "OFT, constrained": ("DiagOFTModule", {"constraint": 0.05}),
    "OFT, rescaled": ("DiagOFTModule", {"rescaled": True}),
    "BOFT": ("ButterflyOFTModule", {}),
    "BOFT, constrained and rescaled": ("ButterflyOFTModule", {"constraint": 0.05, "rescaled": True}),
}
OF_16: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(12, 16),
    "convolution": lambda: nn.Conv2d(8, 16, 3),
    "small convolution": lambda: nn.Conv2d(8, 16, 1),
}


@pytest.mark.parametrize("layer", OF_16)
@pytest.mark.parametrize("kind", LYCORIS_ON_BASE)
def test_lycoris_on_the_base(tmp_path: Path, kind: str, layer: str) -> None:
    modules = pytest.importorskip("lycoris.modules", reason="lycoris-lora is not installed")
    name, settings = LYCORIS_ON_BASE[kind]
    torch.manual_seed(0)
    base = OF_16[layer]()
    made = getattr(modules, name)("lora_unet_mid_to_q", base, 1.0, lora_dim=2, alpha=3.0, **settings)
    for parameter in made.parameters():
        parameter.data.add_(torch.randn_like(parameter) / 5)
    # what LyCORIS saves: of some methods with alphas and flags that are integers
    state = made.custom_state_dict() or made.state_dict()
    files = {f"lora_unet_mid_to_q.{key}": t.detach().contiguous() for key, t in state.items()}
    save_file(files, tmp_path / "style.safetensors")
    save_file({"mid.to_q.weight": base.weight.detach()}, tmp_path / "base.safetensors")
    found = taus(load_adapter(tmp_path / "style.safetensors", base=tmp_path / "base.safetensors"))
    merged = made.get_merged_weight(1)[0].detach()
    equal(found, {"lora_unet_mid_to_q": merged - base.weight.detach()})


def test_diffusers(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    import peft
    from peft.tuners.lora.layer import LoraLayer

    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=8, norm_num_groups=4, cross_attention_dim=12,
        attention_head_dim=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    config = peft.LoraConfig(
        r=3, lora_alpha=5, target_modules=["to_q", "to_out.0", "proj_in", "conv1"], rank_pattern={"attn2.to_q": 2},
        alpha_pattern={"attn2.to_q": 7},
    )  # fmt: skip
    unet.add_adapter(config)
    for name, parameter in unet.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.3)
    unet.save_lora_adapter(tmp_path)
    true = {
        path: layer.get_delta_weight("default").detach()
        for path, layer in unet.named_modules()
        if isinstance(layer, LoraLayer)
    }
    equal(taus(load_adapter(tmp_path)), true)


def test_mlx(tmp_path: Path) -> None:
    mx = pytest.importorskip("mlx.core", reason="mlx (mlx-cpu on Linux) is not installed")
    layers = pytest.importorskip("mlx.nn")
    lora = pytest.importorskip("mlx_lm.tuner.lora", reason="mlx-lm is not installed")
    state, true = {}, {}
    made = {
        "model.layers.0.self_attn.q_proj": lora.LoRALinear.from_base(layers.Linear(12, 16), r=3, scale=7.0),
        "model.embed_tokens": lora.LoRAEmbedding.from_base(layers.Embedding(20, 12), r=3, scale=7.0),
    }
    for path, layer in made.items():
        layer.lora_b = mx.random.normal(layer.lora_b.shape)
        base = (layer.linear if hasattr(layer, "linear") else layer.embedding).weight
        delta = np.array(layer.fuse().weight - base)
        true[path] = torch.from_numpy(delta.T.copy() if "embed" in path else delta)
        state |= {f"{path}.lora_a": layer.lora_a, f"{path}.lora_b": layer.lora_b}
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), state)
    document = {"fine_tune_type": "lora", "lora_parameters": {"rank": 3, "scale": 7.0, "dropout": 0.0}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(document))
    equal(taus(load_adapter(tmp_path)), true)
