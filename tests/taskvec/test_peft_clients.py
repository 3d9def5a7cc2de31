"""τ against PEFT itself, for every method whose update it saves whole."""

from __future__ import annotations

import warnings
from pathlib import Path

import peft
import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from taskvec import load_adapter
from taskvec.adapters import Dense, Module

pytestmark = [pytest.mark.peft, pytest.mark.filterwarnings("ignore:Sparse invariant checks")]  # PEFT's SHiRA


class Block(nn.Module):
    """A transformer's linear layers: hidden size 12, two key-value heads of three, 24 inside."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.v_proj = nn.Linear(12, 12), nn.Linear(12, 6)
        self.up_proj, self.down_proj = nn.Linear(12, 24), nn.Linear(24, 12)
        self.image, self.sound = nn.Conv2d(4, 6, 3), nn.Conv1d(4, 6, 3)


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x


LINEAR = ["q_proj", "v_proj", "up_proj", "down_proj"]
SAVED = {"save_projection": True}
CONFIGS = {
    "LoRA": peft.LoraConfig(r=3, lora_alpha=5, target_modules=LINEAR, init_lora_weights=False),
    "LoRA of convolutions": peft.LoraConfig(r=2, lora_alpha=5, target_modules=["image"]),
    "rsLoRA": peft.LoraConfig(r=3, lora_alpha=5, use_rslora=True, target_modules=LINEAR),
    "LoRA of patterns": peft.LoraConfig(
        r=3, lora_alpha=5, rank_pattern={"1.q_proj": 2}, alpha_pattern={"q_proj": 7}, target_modules=LINEAR
    ),
    "LoRA with biases": peft.LoraConfig(r=3, lora_alpha=5, lora_bias=True, target_modules=LINEAR),
    "AdaLoRA": peft.AdaLoraConfig(init_r=3, target_r=2, lora_alpha=5, total_step=10, target_modules=LINEAR),
    "LoHa": peft.LoHaConfig(r=2, alpha=5, target_modules=LINEAR),
    "LoHa of full rank": peft.LoHaConfig(r=4, alpha=5, rank_pattern={"q_proj": 3}, target_modules=LINEAR),
    "LoHa of convolutions": peft.LoHaConfig(r=2, alpha=3, use_effective_conv2d=True, target_modules=["image"]),
    "LoKr": peft.LoKrConfig(r=1, alpha=5, alpha_pattern={"0.q_proj": 7}, target_modules=LINEAR),
    "LoKr, both decomposed": peft.LoKrConfig(r=1, alpha=5, decompose_both=True, target_modules=LINEAR),
    "LoKr of whole matrices": peft.LoKrConfig(r=16, alpha=5, target_modules=LINEAR),
    "LoKr of convolutions": peft.LoKrConfig(r=1, alpha=3, use_effective_conv2d=True, target_modules=["image"]),
    "LoKr of one dimension": peft.LoKrConfig(r=1, alpha=3, target_modules=["sound"]),
    "LoKr of one dimension, whole": peft.LoKrConfig(r=16, alpha=3, target_modules=["sound"]),
    "VeRA": peft.VeraConfig(r=4, target_modules=LINEAR, **SAVED),
    "PVeRA": peft.PveraConfig(r=4, target_modules=["q_proj", "v_proj"], **SAVED),
    "RandLoRA": peft.RandLoraConfig(r=3, randlora_alpha=7, target_modules=LINEAR, **SAVED),
    "VB-LoRA": peft.VBLoRAConfig(r=2, num_vectors=9, vector_length=3, topk=2, target_modules=LINEAR),
    "VB-LoRA of weights": peft.VBLoRAConfig(
        r=2, num_vectors=9, vector_length=3, topk=2, save_only_topk_weights=True, target_modules=LINEAR
    ),
    "UniLoRA": peft.UniLoraConfig(r=2, theta_d_length=40, save_indices=True, target_modules=LINEAR),
    "TinyLoRA": peft.TinyLoraConfig(r=2, u=3, weight_tying=1.0, target_modules=LINEAR, **SAVED),
    "TinyLoRA of two vectors": peft.TinyLoraConfig(r=2, u=3, target_modules=["q_proj"], **SAVED),
    "DeLoRA": peft.DeloraConfig(r=3, rank_pattern={"v_proj": 2}, target_modules=LINEAR),
    "GraLoRA": peft.GraloraConfig(r=4, alpha=5, gralora_k=2, target_modules=LINEAR),
    "GraLoRA with LoRA": peft.GraloraConfig(r=4, alpha=5, gralora_k=2, hybrid_r=2, target_modules=LINEAR),
    "C3A": peft.C3AConfig(block_size=6, target_modules=LINEAR),
    "SHiRA": peft.ShiraConfig(r=2, random_seed=3, target_modules=LINEAR),
}


def save(folder: Path, config: peft.PeftConfig) -> nn.Module:
    """Save an adapter of ``Tiny`` with random numbers; returns the model that PEFT made."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(Tiny(), config)
        for parameter in model.parameters():
            if parameter.requires_grad:
                nn.init.normal_(parameter)
        model.save_pretrained(folder)
    return model


def tau(module: Module) -> Tensor:
    update = module.update()
    return update.tuned if isinstance(update, Dense) else update.scale * update.b @ update.a


@pytest.mark.parametrize("name", CONFIGS)
def test_tau_is_what_peft_computes(tmp_path: Path, name: str) -> None:
    model = save(tmp_path, CONFIGS[name])
    expected = {
        path.removeprefix("base_model.model."): layer.get_delta_weight("default").detach().to_dense().flatten(1)
        for path, layer in model.named_modules()
        if isinstance(layer, BaseTunerLayer) and hasattr(layer, "get_delta_weight")
    }
    modules = load_adapter(tmp_path).modules
    assert modules.keys() == expected.keys() and expected
    for path, module in modules.items():
        found = tau(module)
        torch.testing.assert_close(found, expected[path].to(found.dtype), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("r", [2, 5])
def test_miss_is_what_peft_merges(tmp_path: Path, r: int) -> None:
    model = save(tmp_path, peft.MissConfig(r=r, target_modules=LINEAR))
    before = {
        path.removeprefix("base_model.model.").replace(".base_layer", ""): layer.weight.detach().clone()
        for path, layer in model.named_modules()
        if path.endswith(".base_layer")
    }
    merged = dict(model.merge_and_unload().named_modules())
    modules = load_adapter(tmp_path).modules
    assert modules.keys() == before.keys()
    for path, module in modules.items():
        torch.testing.assert_close(tau(module), merged[path].weight.detach() - before[path], rtol=1e-4, atol=1e-5)
