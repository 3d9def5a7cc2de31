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

from make_adapters import PREFIX, pair, pairs, write_adapter
from taskvec import TaskvecError, load_adapter, load_zoo
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
        twice = [warning for warning in module.warnings if "twice" in warning]
        assert bool(twice) == path.endswith("out_proj")  # PEFT applies that one twice


def test_scale_source_says_where_the_scale_is_from(tmp_path: Path) -> None:
    save(tmp_path, r=4, lora_alpha=6, use_rslora=True, alpha_pattern={"1.q": 8}, target_modules=["q"])
    sources = {path: (module.alpha, module.scale_source) for path, module in load_adapter(tmp_path).modules.items()}
    assert sources["layers.0.q"] == (6, "alpha/sqrt(r)")
    assert sources["layers.1.q"] == (8, "alpha_pattern/sqrt(r)")


def test_a_grouped_convolution_is_the_update_of_all_inputs(tmp_path: Path) -> None:
    """PEFT's B is grouped, its A is not: the update is a kernel over all inputs."""
    model = save(tmp_path, r=2, lora_alpha=6, target_modules=["grouped"])
    module = load_adapter(tmp_path).modules["grouped"]
    x = torch.randn(1, 4, 7, 7)
    layer = model.base_model.model.grouped
    expected = 3.0 * layer.lora_B["default"](layer.lora_A["default"](x))
    found = nn.functional.conv2d(x, tau(module).view(8, 4, 3, 3))
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-5)


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


def expert_truth(b: Tensor, a: Tensor, rank: int, count: int, e: int) -> Tensor:
    """Sum over the rank: row s of A's block e, column s·E + e of B."""
    terms = (torch.outer(b[:, s * count + e], a[e * rank + s]) for s in range(rank))
    return torch.stack(list(terms)).sum(0)


def test_experts_are_modules_one_by_one(tmp_path: Path) -> None:
    inner = pair("mlp.experts.base_layer", m=12, n=5, r=6, seed=1)  # gate and up, from 5 to 2 · 6
    outer = pair("mlp.experts", m=5, n=6, r=6, seed=2)
    write_adapter(tmp_path, inner | outer | pair("q"), target_parameters=["experts.down_proj", "experts.gate_up_proj"])
    modules = load_adapter(tmp_path).modules
    both = {f"mlp.experts.{name}[{e}]" for name in ("down_proj", "gate_up_proj") for e in range(3)}
    assert set(modules) == {"q"} | both
    assert {module.kind for module in modules.values()} == {"q", "gate_up_proj", "down_proj"}
    for name, tensors in (("gate_up_proj", inner), ("down_proj", outer)):
        a, b = tensors.values()
        for e in range(3):
            expected = 2 * expert_truth(b, a, 2, 3, e)
            torch.testing.assert_close(tau(modules[f"mlp.experts.{name}[{e}]"]), expected)


def test_factors_of_parameters_without_a_name_are_left_out(tmp_path: Path) -> None:
    tensors = pairs("mlp.experts", "mlp.experts.base_layer", "q")
    write_adapter(tmp_path, tensors, target_parameters=["experts.up", "experts.down"])
    adapter = load_adapter(tmp_path)
    assert set(adapter.modules) == {"q"}
    assert len(adapter.left_out) == 4 and "which one cannot be told" in adapter.warnings[0]


def test_merged_linear_of_peft_0_2(tmp_path: Path) -> None:
    name = "base_model.model.h.0.c_attn.lora_"
    a, b = torch.randn(4, 5), torch.randn(8, 2, 1)
    write_adapter(tmp_path, {f"{name}A.weight": a, f"{name}B.weight": b}, enable_lora=[True, False, True])
    module = load_adapter(tmp_path).modules["h.0.c_attn"]
    first, last = b[:4, :, 0] @ a[:2], b[4:, :, 0] @ a[2:]
    torch.testing.assert_close(tau(module), 2 * torch.cat([first, torch.zeros(4, 5), last]))


def test_merged_linear_without_its_parts_is_refused(tmp_path: Path) -> None:
    name = "base_model.model.h.0.c_attn.lora_"
    write_adapter(tmp_path, {f"{name}A.weight": torch.ones(4, 5), f"{name}B.weight": torch.ones(8, 2, 1)})
    with pytest.raises(TaskvecError, match="MergedLinear"):
        load_adapter(tmp_path)


def test_block_diagonal_factors(tmp_path: Path) -> None:
    tensors = pair("h.q", m=6, n=5, r=4) | pair("h.o", m=6, n=3, r=4)
    tensors[f"{PREFIX}h.q.lora_B.weight"] = tensors[f"{PREFIX}h.q.lora_B.weight"][:, :2].contiguous()
    setting = {"nblocks": 2, "target_modules_bd_a": ["o"], "target_modules_bd_b": ["q"]}
    modules = load_adapter(write_adapter(tmp_path, tensors, r=4, use_bdlora=setting)).modules
    a, b = tensors[f"{PREFIX}h.q.lora_A.weight"], tensors[f"{PREFIX}h.q.lora_B.weight"]
    torch.testing.assert_close(tau(modules["h.q"]), torch.block_diag(b[:3], b[3:]) @ a)
    a, b = tensors[f"{PREFIX}h.o.lora_A.weight"], tensors[f"{PREFIX}h.o.lora_B.weight"]
    torch.testing.assert_close(tau(modules["h.o"]), b @ torch.block_diag(a[:2], a[2:]))


def test_qalora_acts_on_groups_of_inputs_where_the_sizes_say_so(tmp_path: Path) -> None:
    tensors = pair("o", m=8, n=6) | pair("q", m=6, n=4)  # o takes 6 inputs, q 8 in groups of 2
    modules = load_adapter(write_adapter(tmp_path, tensors, use_qalora=True, qalora_group_size=2)).modules
    assert modules["o"].shape == (8, 6) and modules["q"].shape == (6, 8)
    assert modules["q"].warnings == ()
    a, b = tensors[f"{PREFIX}q.lora_A.weight"], tensors[f"{PREFIX}q.lora_B.weight"]
    torch.testing.assert_close(tau(modules["q"]), 2 * b @ a[:, [0, 0, 1, 1, 2, 2, 3, 3]] * 4 / 2)


def test_qalora_that_no_size_confirms_is_named(tmp_path: Path) -> None:
    module = load_adapter(write_adapter(tmp_path, pair("q"), use_qalora=True, qalora_group_size=2)).modules["q"]
    assert module.shape == (6, 10) and "assumed that lora_A acts on groups of 2" in module.warnings[0]


def test_an_alpha_tensor_overrules_the_config(tmp_path: Path) -> None:
    write_adapter(tmp_path, pairs() | {f"{PREFIX}h.0.q.alpha": torch.tensor(7.0)})
    modules = load_adapter(tmp_path).modules
    assert (modules["h.0.q"].scale, modules["h.0.q"].scale_source) == (3.5, "alpha tensor/r")
    assert modules["h.1.q"].scale == 2


def test_a_dora_scale_beside_the_factors_is_dora(tmp_path: Path) -> None:
    write_adapter(tmp_path, pairs() | {f"{PREFIX}h.0.q.dora_scale": torch.ones(6, 1)})
    with pytest.raises(TaskvecError, match="DoRA"):
        load_adapter(tmp_path)


def test_tensors_of_training_are_left_out_with_the_reason(tmp_path: Path) -> None:
    sampler = {f"{PREFIX}h.0.q.lora_monteclora_sampler.{name}": torch.ones(2) for name in ("std_prior", "weights")}
    write_adapter(tmp_path, pairs() | sampler, monteclora_config={"num_samples": 8})
    adapter = load_adapter(tmp_path)
    assert len(adapter.modules) == 2 and adapter.warnings == ()
    assert ["training only" in item.reason for item in adapter.left_out] == [True, True]


def test_kasa_is_refused(tmp_path: Path) -> None:
    write_adapter(tmp_path, pairs() | {f"{PREFIX}h.0.q.lora_diag": torch.ones(2)})
    with pytest.raises(TaskvecError, match=r"KaSA.*needs the base weights"):
        load_adapter(tmp_path)


def test_an_unknown_tensor_of_the_method_is_refused(tmp_path: Path) -> None:
    write_adapter(tmp_path, pairs() | {f"{PREFIX}h.0.q.lora_gate": torch.ones(2)})
    with pytest.raises(TaskvecError, match=r"h\.0\.q\.lora_gate.*not known.*may change"):
        load_adapter(tmp_path)


@pytest.mark.parametrize("field", ["use_magic", "magic_config"])
def test_an_unknown_variant_that_is_on_is_refused(tmp_path: Path, field: str) -> None:
    with pytest.raises(TaskvecError, match=f"switches on {field}"):
        load_adapter(write_adapter(tmp_path / "on", **{field: {"a": 1}}))
    assert load_adapter(write_adapter(tmp_path / "off", **{field: None})).warnings == ()


def test_other_unknown_fields_are_said_in_one_line(tmp_path: Path) -> None:
    (warning,) = load_adapter(write_adapter(tmp_path, colour="red", size=3)).warnings
    assert warning == "config fields that are not known, and not used: colour, size"


def test_layers_that_are_copies_are_named_apart(tmp_path: Path) -> None:
    tensors = pairs("layers.0.q", "layers.2.q", "layers.4.q", "head")
    adapter = load_adapter(write_adapter(tmp_path / "a", tensors, layer_replication=[[0, 3], [2, 4]]))
    apart = "replicated_0-3_2-4.layers.4.q"
    assert adapter.modules.keys() == {"layers.0.q", "layers.2.q", apart, "head"}
    assert (adapter.modules[apart].layer, adapter.modules[apart].kind) == (4, "q")
    (warning,) = adapter.warnings
    assert warning.startswith("1 of 4 modules: layer_replication")
    # the same model's layers are compared with each other, and with no layer of the base
    write_adapter(tmp_path / "b", tensors, layer_replication=[[0, 3], [2, 4]])
    write_adapter(tmp_path / "c", tensors)
    zoo = load_zoo(tmp_path)
    assert [apart in adapter.modules for adapter in zoo.adapters] == [True, True, False]


@pytest.mark.parametrize("value", [[[0, 2], [3]], [[2, 1]], "0-2", [[0, 10**9]], [[-1, 2]]])
def test_layer_replication_of_no_ranges_is_an_error(tmp_path: Path, value: object) -> None:
    with pytest.raises(TaskvecError, match="layer_replication is not usable"):
        load_adapter(write_adapter(tmp_path, layer_replication=value))


def test_arrow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskvecError, match=r"Arrow.*no single update"):
        load_adapter(write_adapter(tmp_path, arrow_config={"top_k": 2}))


def test_rank_of_the_tensors_decides_and_the_difference_is_named(tmp_path: Path) -> None:
    write_adapter(tmp_path, pair("a", r=2) | pair("b", r=4), r=2, lora_alpha=8)
    adapter = load_adapter(tmp_path)
    assert [adapter.modules[path].scale for path in "ab"] == [4.0, 2.0]
    assert adapter.modules["a"].warnings == ()
    assert "rank 4, adapter_config.json says 2" in adapter.modules["b"].warnings[0]
    assert adapter.warnings[0].startswith("1 of 2 modules: its tensors have rank 4")


# a start that is no function of the base weight
WHY = {"corda": "came of data", "loftq": "came of data or quantisation"}


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_16", "olora", "corda", "loftq"])
def test_a_start_off_zero_is_refused(tmp_path: Path, start: str) -> None:
    write_adapter(tmp_path, init_lora_weights=start)
    with pytest.raises(
        TaskvecError, match=f"initialised by {start}.*{WHY.get(start, 'needs the base weights')}.*convert"
    ):
        load_adapter(tmp_path)


def test_an_unknown_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskvecError, match=r"'magic', which is not known"):
        load_adapter(write_adapter(tmp_path, init_lora_weights="magic"))


@pytest.mark.parametrize("start", [True, "gaussian", "eva", "orthogonal", "mica"])
def test_a_start_at_zero_is_not(tmp_path: Path, start: object) -> None:
    write_adapter(tmp_path, init_lora_weights=start)
    assert load_adapter(tmp_path).warnings == ()


def test_peft_type_in_lower_case(tmp_path: Path) -> None:
    assert len(load_adapter(write_adapter(tmp_path, peft_type="lora")).modules) == 2


def test_fan_in_fan_out_changes_nothing(tmp_path: Path) -> None:
    modules = [
        load_adapter(write_adapter(tmp_path / str(flag), fan_in_fan_out=flag)).modules["h.0.q"]
        for flag in (True, False)
    ]
    torch.testing.assert_close(tau(modules[0]), tau(modules[1]), rtol=0, atol=0)


def test_b_zero_is_valid(tmp_path: Path) -> None:
    tensors = {name: tensor * ("lora_A" in name) for name, tensor in pairs().items()}
    assert tau(load_adapter(write_adapter(tmp_path, tensors)).modules["h.0.q"]).count_nonzero() == 0
