"""τ against what PEFT itself computes, for every way PEFT has of saying it."""

from __future__ import annotations

import warnings
from pathlib import Path

import peft
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from make_adapters import pair, pairs, write_adapter
from taskvec import TaskvecError, load_adapter
from taskvec.adapters import Module

pytestmark = pytest.mark.peft


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.v = nn.Linear(6, 8), nn.Linear(6, 4)
        self.attention = nn.MultiheadAttention(6, 2)


class Tiny(nn.Module):
    """A layer of every kind that PEFT's LoRA wraps."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 6)
        self.layers = nn.ModuleList(Block() for _ in range(3))
        self.fused = Conv1D(9, 6)
        self.image, self.point = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Conv2d(4, 5, 1)
        self.sound, self.grouped = nn.Conv1d(2, 3, 5), nn.Conv2d(4, 8, 3, groups=2)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return x


def save(folder: Path, **config: object) -> nn.Module:
    """Save a PEFT adapter of ``Tiny`` with random factors; returns the model that PEFT made."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(Tiny(), LoraConfig(**config))  # type: ignore[arg-type]
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                nn.init.normal_(parameter)
        model.save_pretrained(folder)
    return model


def peft_deltas(model: nn.Module) -> dict[str, Tensor]:
    """The update of every wrapped layer, (out, in...), by module path."""
    deltas = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, peft.tuners.lora.LoraLayer):
            continue
        delta = layer.get_delta_weight("default").detach()
        transposed = isinstance(layer, peft.tuners.lora.Embedding) or getattr(layer, "fan_in_fan_out", False)
        path = name.removeprefix("base_model.model.").replace(".base_layer", "")
        deltas[path] = (delta.T if transposed else delta).flatten(1)
    return deltas


def tau(module: Module) -> Tensor:
    b, a, _ = module.update()
    assert (b.shape[0], a.shape[1]) == module.shape and a.shape[0] == b.shape[1] == module.rank
    return module.scale * b @ a


CONFIGS = {
    "plain": {"r": 4, "lora_alpha": 6, "target_modules": ["q", "v"]},
    "rslora": {"r": 4, "lora_alpha": 6, "use_rslora": True, "target_modules": ["q", "v"]},
    "rank_pattern": {"r": 4, "lora_alpha": 6, "rank_pattern": {"layers.1.q": 2, "v": 3}, "target_modules": ["q", "v"]},
    "alpha_pattern": {
        "r": 4,
        "lora_alpha": 6,
        "alpha_pattern": {"^layers.0.q": 5, "ayers.1.q": 9, r"layers\.(1|2)\..*": 7, "v": 11},
        "target_modules": ["q", "v"],
    },
    "patterns with rslora": {
        "r": 4,
        "lora_alpha": 6,
        "use_rslora": True,
        "rank_pattern": {r".*\.2\.q": 3},
        "alpha_pattern": {"layers.2.q": 1, "q": 2},
        "target_modules": ["q"],
    },
    "embedding": {"r": 3, "lora_alpha": 5, "target_modules": ["words"]},
    "Conv1D": {"r": 3, "lora_alpha": 5, "fan_in_fan_out": True, "target_modules": ["fused"]},
    "convolutions": {"r": 2, "lora_alpha": 5, "target_modules": ["image", "point", "sound"]},
    "attention": {"r": 2, "lora_alpha": 6, "alpha_pattern": {"1.attention": 10}, "target_modules": ["attention"]},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_tau_is_what_peft_computes(tmp_path: Path, config: dict[str, object]) -> None:
    expected = peft_deltas(save(tmp_path, **config))
    modules = load_adapter(tmp_path).modules
    assert modules.keys() == expected.keys()
    for path, module in modules.items():
        torch.testing.assert_close(tau(module), expected[path], rtol=1e-6, atol=1e-6)
        assert module.warnings == ()


def test_scale_source_says_where_the_scale_is_from(tmp_path: Path) -> None:
    save(tmp_path, r=4, lora_alpha=6, use_rslora=True, alpha_pattern={"1.q": 8}, target_modules=["q"])
    sources = {path: (module.alpha, module.scale_source) for path, module in load_adapter(tmp_path).modules.items()}
    assert sources["layers.0.q"] == (6, "alpha/sqrt(r)")
    assert sources["layers.1.q"] == (8, "alpha_pattern/sqrt(r)")


def test_grouped_convolutions_are_left_out_with_the_reason(tmp_path: Path) -> None:
    save(tmp_path, r=2, target_modules=["grouped", "q"])
    adapter = load_adapter(tmp_path)
    assert set(adapter.modules) == {f"layers.{i}.q" for i in range(3)}
    assert {item.reason.split(":")[0] for item in adapter.left_out} == {"grouped convolution"}
    assert [warning for warning in adapter.warnings if "2 tensors left out: grouped convolution" in warning]


def test_heads_and_biases_are_left_out(tmp_path: Path) -> None:
    save(tmp_path, r=2, target_modules=["q"], modules_to_save=["head"], bias="all", lora_bias=True)
    adapter = load_adapter(tmp_path)
    assert len(adapter.modules) == 3
    reasons = {item.tensor.removeprefix("base_model.model."): item.reason for item in adapter.left_out}
    assert "modules_to_save" in reasons["head.weight"]
    assert reasons["head.bias"].startswith("bias") and reasons["layers.1.v.bias"].startswith("bias")
    assert reasons["layers.0.q.lora_B.bias"].startswith("bias of a factor")


def test_dora_is_refused_unless_the_low_rank_part_is_asked_for(tmp_path: Path) -> None:
    model = save(tmp_path, r=2, lora_alpha=6, use_dora=True, target_modules=["q"])
    with pytest.raises(TaskvecError, match=r"adapter_model.*DoRA.*--dora low-rank"):
        load_adapter(tmp_path)
    adapter = load_adapter(tmp_path, dora="low-rank")
    layer = model.base_model.model.layers[1].q
    expected = 3.0 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    torch.testing.assert_close(tau(adapter.modules["layers.1.q"]), expected.detach())
    assert all("DoRA" in module.warnings[0] for module in adapter.modules.values())
    assert "3 of 3 modules: DoRA" in adapter.warnings[0]
    assert len(adapter.left_out) == 3


@pytest.mark.parametrize(("config", "words"), [({"use_dora": True}, "DoRA"), ({"use_dora": False}, "DoRA")])
def test_dora_is_seen_in_the_config_or_in_the_tensors(tmp_path: Path, config: dict[str, bool], words: str) -> None:
    vectors = {} if config["use_dora"] else {"base_model.model.h.0.q.lora_magnitude_vector": torch.ones(6)}
    write_adapter(tmp_path, pairs() | vectors, **config)
    with pytest.raises(TaskvecError, match=words):
        load_adapter(tmp_path)


def test_experts_are_left_out(tmp_path: Path) -> None:
    tensors = pairs("mlp.experts", "mlp.experts.base_layer", "q")
    write_adapter(tmp_path, tensors, target_parameters=["experts.up", "experts.down"])
    adapter = load_adapter(tmp_path)
    assert set(adapter.modules) == {"q"}
    assert {item.reason.split(":")[0] for item in adapter.left_out} == {
        "factors of bare parameters (target_parameters)"
    }


def test_merged_linear_of_peft_0_2_is_refused_with_the_reason(tmp_path: Path) -> None:
    name = "base_model.model.h.0.c_attn.lora_"
    write_adapter(tmp_path, {f"{name}A.weight": torch.ones(4, 5), f"{name}B.weight": torch.ones(8, 2, 1)})
    with pytest.raises(TaskvecError, match="MergedLinear"):
        load_adapter(tmp_path)


def test_a_variant_with_tensors_of_its_own_is_left_out(tmp_path: Path) -> None:
    write_adapter(tmp_path, pairs() | {"base_model.model.h.0.q.lora_diag": torch.ones(2)})
    adapter = load_adapter(tmp_path)
    assert set(adapter.modules) == {"h.1.q"}
    assert len(adapter.left_out) == 3


def test_rank_of_the_tensors_decides_and_the_difference_is_named(tmp_path: Path) -> None:
    write_adapter(tmp_path, pair("a", r=2) | pair("b", r=4), r=2, lora_alpha=8)
    adapter = load_adapter(tmp_path)
    assert [adapter.modules[path].scale for path in "ab"] == [4.0, 2.0]
    assert adapter.modules["a"].warnings == ()
    assert "rank 4, adapter_config.json says 2" in adapter.modules["b"].warnings[0]
    assert adapter.warnings[0].startswith("1 of 2 modules: its tensors have rank 4")


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora", "corda", "loftq"])
def test_a_start_off_zero_is_named(tmp_path: Path, start: str) -> None:
    write_adapter(tmp_path, init_lora_weights=start)
    assert f"initialised by {start}" in load_adapter(tmp_path).warnings[0]


@pytest.mark.parametrize("start", [True, "gaussian", "eva", "orthogonal"])
def test_a_start_at_zero_is_not(tmp_path: Path, start: object) -> None:
    write_adapter(tmp_path, init_lora_weights=start)
    assert load_adapter(tmp_path).warnings == ()


@pytest.mark.parametrize("count", [0, 1, 4])
def test_any_number_of_prefixes_is_removed(tmp_path: Path, count: int) -> None:
    write_adapter(tmp_path, pair("h.0.q", prefix="base_model.model." * count))
    module = load_adapter(tmp_path).modules["h.0.q"]
    assert (module.layer, module.kind) == (0, "q")


def test_names_with_the_adapter_in_them(tmp_path: Path) -> None:
    tensors = {name.replace(".weight", ".default.weight"): tensor for name, tensor in pairs().items()}
    tensors |= {"words.lora_embedding_A.default": torch.ones(2, 11), "words.lora_embedding_B.default": torch.ones(3, 2)}
    write_adapter(tmp_path, tensors)
    modules = load_adapter(tmp_path).modules
    assert {path: module.shape for path, module in modules.items()} == {
        "h.0.q": (6, 5),
        "h.1.q": (6, 5),
        "words": (3, 11),
    }


def test_fan_in_fan_out_changes_nothing(tmp_path: Path) -> None:
    modules = [
        load_adapter(write_adapter(tmp_path / str(flag), fan_in_fan_out=flag)).modules["h.0.q"]
        for flag in (True, False)
    ]
    torch.testing.assert_close(tau(modules[0]), tau(modules[1]), rtol=0, atol=0)


def test_b_zero_is_valid(tmp_path: Path) -> None:
    tensors = {name: tensor * ("lora_A" in name) for name, tensor in pairs().items()}
    assert tau(load_adapter(write_adapter(tmp_path, tensors)).modules["h.0.q"]).count_nonzero() == 0


def test_a_pattern_that_backtracks_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskvec.formats.peft.patterns.TIMEOUT_SECONDS", 1)
    write_adapter(tmp_path, pair("a" * 60), alpha_pattern={"(a+)+b": 3})
    with pytest.raises(TaskvecError, match=r"adapter_config.json.*within 1 s"):
        load_adapter(tmp_path)
