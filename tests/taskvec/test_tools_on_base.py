"""Updates of other tools than PEFT that are functions of the base weight, against the plain formulas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from taskvec import TaskvecError, load_adapter
from taskvec.adapters import Dense, Module

GENERATOR = torch.Generator().manual_seed(2)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR)


W = random(6, 8)
UP, DOWN = random(6, 2), random(2, 8)


def tau(module: Module) -> Tensor:
    update = module.update()
    return update.tuned if isinstance(update, Dense) else update.scale * update.b @ update.a


def load(folder: Path, tensors: Mapping[str, Tensor], config: Any = None, weight: Tensor = W, **options: Any) -> Tensor:
    """The update of the one module, ``down.0.to_q`` of the base."""
    save_file({"down.0.to_q.weight": weight.contiguous()}, folder / "base.safetensors")
    adapter = folder / "adapter"
    adapter.mkdir(exist_ok=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, adapter / "adapters.safetensors")
    if config is not None:
        (adapter / "adapter_config.json").write_text(json.dumps(config))
    (module,) = load_adapter(
        adapter / "adapters.safetensors", base=folder / "base.safetensors", **options
    ).modules.values()
    return tau(module)


def kohya(**tensors: Tensor) -> dict[str, Tensor]:
    return {f"lycoris_down_0_to_q.{name.replace('__', '.')}": value for name, value in tensors.items()}


def lora(**tensors: Tensor) -> dict[str, Tensor]:
    return kohya(lora_up__weight=UP, lora_down__weight=DOWN, alpha=torch.tensor(4.0), **tensors)


def test_dora_of_lycoris_by_outputs_and_by_inputs(tmp_path: Path) -> None:
    moved = W + 2 * UP @ DOWN
    by_out, by_in = random(6, 1).abs(), random(1, 8).abs()
    found = load(tmp_path, lora(dora_scale=by_out))
    torch.testing.assert_close(found, by_out * moved / moved.norm(dim=1, keepdim=True) - W)
    found = load(tmp_path, lora(dora_scale=by_in))
    torch.testing.assert_close(found, by_in * moved / moved.norm(dim=0, keepdim=True) - W)


def test_dora_of_a_convolution_by_inputs(tmp_path: Path) -> None:
    weight, up, down, size = random(6, 4, 3, 3), random(6, 2, 1, 1), random(2, 4, 3, 3), random(1, 4, 1, 1).abs()
    found = load(tmp_path, kohya(lora_up__weight=up, lora_down__weight=down, dora_scale=size), weight=weight)
    moved = weight + (up.flatten(1) @ down.flatten(1)).view(weight.shape)
    expected = size * moved / moved.square().sum((0, 2, 3), keepdim=True).sqrt() - weight
    torch.testing.assert_close(found, expected.flatten(1))


def test_glora_new_and_old(tmp_path: Path) -> None:
    a1, a2, b1, b2 = random(8, 2), random(2, 8), random(6, 2), random(2, 8)
    expected = 0.5 * (W @ a1 @ a2 + b1 @ b2)
    one = torch.tensor(1.0)
    new = kohya(a1__weight=a1, a2__weight=a2, b1__weight=b1, b2__weight=b2, alpha=one)
    old = kohya(a1__weight=a2, a2__weight=a1, b1__weight=b2, b2__weight=b1, alpha=one)
    for tensors in (new, old):
        torch.testing.assert_close(load(tmp_path, tensors), expected)


def test_glora_of_a_convolution(tmp_path: Path) -> None:
    weight = random(6, 4, 3, 3)
    a1, a2, b1, b2 = random(4, 2, 1, 1), random(2, 4, 1, 1), random(6, 2, 1, 1), random(2, 4, 3, 3)
    inside = torch.einsum("oikl,ir,rj->ojkl", weight, a1[..., 0, 0], a2[..., 0, 0])
    expected = (inside + (b1.flatten(1) @ b2.flatten(1)).view(weight.shape)).flatten(1)
    found = load(tmp_path, kohya(a1__weight=a1, a2__weight=a2, b1__weight=b1, b2__weight=b2), weight=weight)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("on_input", [0, 1, 0.0, 1.0])
def test_ia3_of_lycoris_stores_the_change(tmp_path: Path, on_input: float | int) -> None:
    factor = random(8 if on_input else 6)
    found = load(tmp_path, kohya(weight=factor, on_input=torch.tensor(on_input)))
    torch.testing.assert_close(found, W * (factor if on_input else factor[:, None]))


def test_oft_of_lycoris(tmp_path: Path) -> None:
    blocks, scale = random(3, 2, 2), random(6, 1)
    skew = blocks - blocks.mT
    one = torch.eye(2).expand(3, 2, 2)
    rotation = torch.block_diag(*((one + skew) @ torch.linalg.inv(one - skew)).mT)
    torch.testing.assert_close(load(tmp_path, kohya(oft_blocks=blocks)), rotation @ W - W, rtol=1e-4, atol=1e-5)
    found = load(tmp_path, kohya(oft_blocks=blocks, rescale=scale))
    torch.testing.assert_close(found, scale * (rotation @ W) - W, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("constraint", [0, 0.05])
def test_boft_of_lycoris(tmp_path: Path, constraint: float) -> None:
    """Outputs that are 2ⁱ apart are turned together by factor i."""
    weight, blocks = random(8, 5), random(3, 4, 2, 2)
    skew = blocks - blocks.mT
    if constraint:
        skew = skew * min(1.0, constraint * 8 / float(skew.norm()))
    one, turned = torch.eye(2), weight
    for level in range(3):
        pairs = [(i, i + 2**level) for i in range(8) if not i >> level & 1]
        whole = torch.zeros(8, 8)
        for pair, part in zip(pairs, skew[level], strict=True):
            whole[torch.tensor(pair)[:, None], torch.tensor(pair)] = (one + part) @ torch.linalg.inv(one - part)
        turned = whole @ turned
    tensors = kohya(oft_blocks=blocks, alpha=torch.tensor(constraint))
    torch.testing.assert_close(load(tmp_path, tensors, weight=weight), turned - weight, rtol=1e-4, atol=1e-5)


def test_a_weight_that_replaces_the_base(tmp_path: Path) -> None:
    new = random(6, 8)
    torch.testing.assert_close(load(tmp_path, kohya(set_weight=new)), new - W)


def test_dora_of_mlx(tmp_path: Path) -> None:
    a, b, size = random(8, 2), random(2, 6), random(6).abs()
    path = "down.0.to_q"
    tensors = {f"{path}.lora_a": a, f"{path}.lora_b": b, f"{path}.m": size}
    config = {"fine_tune_type": "dora", "lora_parameters": {"rank": 2, "scale": 3.0}}
    moved = W + 3 * (a @ b).mT
    expected = size[:, None] * moved / moved.norm(dim=1, keepdim=True) - W
    torch.testing.assert_close(load(tmp_path, tensors, config), expected)
    torch.testing.assert_close(load(tmp_path, tensors, config, dora="low-rank"), 3 * (a @ b).mT)


def test_dora_of_mlx_embeddings_has_a_magnitude_for_each_word(tmp_path: Path) -> None:
    a, b, size, weight = random(9, 2), random(2, 4), random(9).abs(), random(9, 4)
    tensors = {f"embed_tokens.{role}": tensor for role, tensor in (("lora_a", a), ("lora_b", b), ("m", size))}
    save_file({"embed_tokens.weight": weight}, tmp_path / "base.safetensors")
    (tmp_path / "a").mkdir()
    save_file(tensors, tmp_path / "a/adapters.safetensors")
    config = {"fine_tune_type": "dora", "lora_parameters": {"rank": 2, "scale": 3.0}}
    (tmp_path / "a/adapter_config.json").write_text(json.dumps(config))
    moved = weight + 3 * a @ b
    expected = size[:, None] * moved / moved.norm(dim=1, keepdim=True) - weight
    (module,) = load_adapter(tmp_path / "a", base=tmp_path / "base.safetensors").modules.values()
    torch.testing.assert_close(tau(module), expected.mT)


@pytest.mark.parametrize("names", ["torchtune", "transformers"])
@pytest.mark.parametrize("heads", [None, "4,2"])
def test_dora_of_torchtune_whatever_the_base_is_called(tmp_path: Path, names: str, heads: str | None) -> None:
    """Rows of queries and keys: Meta's order in the adapter and in torchtune's base, the usual one elsewhere."""
    rows = {"attn.q_proj": 16, "attn.k_proj": 8, "mlp.w1": 20}
    count = {"attn.q_proj": 4, "attn.k_proj": 2}
    called = {"attn.q_proj": "self_attn.q_proj", "attn.k_proj": "self_attn.k_proj", "mlp.w1": "mlp.gate_proj"}
    base, tensors, expected = {}, {}, {}
    for path, m in rows.items():
        weight, b, a, size = random(m, 6), random(m, 2), random(2, 6), random(m).abs() + 1
        moved = weight + 3 * b @ a
        tau_of = size[:, None] * moved / moved.norm(dim=1, keepdim=True) - weight

        def usual(t: Tensor, n: int | None = count.get(path)) -> Tensor:
            return t if n is None else t.view(n, len(t) // n // 2, 2, -1).transpose(1, 2).reshape(t.shape)

        is_own = names == "torchtune"
        name = f"layers.0.{path}.weight" if is_own else f"model.layers.0.{called[path]}.weight"
        base[name] = weight if is_own else usual(weight).contiguous()
        expected[f"layers.0.{path}"] = tau_of if heads is None else usual(tau_of)
        tensors |= {f"layers.0.{path}.lora_a.weight": a, f"layers.0.{path}.lora_b.weight": b}
        tensors[f"layers.0.{path}.magnitude"] = size
    save_file(base, tmp_path / "base.safetensors")
    folder = tmp_path / "a"
    folder.mkdir()
    torch.save(tensors, folder / "adapter_0.pt")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 6}))
    if heads is None and names == "transformers":
        with pytest.raises(TaskvecError, match=r"Meta's rotary order, and a base in the usual one.*--heads"):
            load_adapter(folder / "adapter_0.pt", base=tmp_path / "base.safetensors")
        return
    adapter = load_adapter(folder / "adapter_0.pt", base=tmp_path / "base.safetensors", heads=heads)
    assert adapter.modules.keys() == expected.keys()
    for path, module in adapter.modules.items():
        torch.testing.assert_close(tau(module), expected[path])


def test_one_part_of_a_fused_projection_of_loralib(tmp_path: Path) -> None:
    b, a = random(4, 2), random(2, 6)
    torch.save({"h.0.c_attn.lora_A": a, "h.0.c_attn.lora_B": b}, tmp_path / "lora.pt")
    save_file({"h.0.c_attn.weight": random(12, 6)}, tmp_path / "base.safetensors")
    adapter = load_adapter(tmp_path / "lora.pt", base=tmp_path / "base.safetensors", alpha=6.0)
    torch.testing.assert_close(tau(adapter.modules["h.0.c_attn"]), torch.cat([3 * b @ a, torch.zeros(8, 6)]))
    assert "one part in 3 of a fused projection" in adapter.warnings[0]


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("model.language_model.layers.0.self_attn.q_proj", "language_model.model.layers.0.self_attn.q_proj"),
        ("text_model.encoder.layers.0.self_attn.q_proj", "encoder.layers.0.self_attn.q_proj"),
        ("encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.0.self_attn.q_proj"),
        ("encoder.layer.0.attention.self.query", "bert.encoder.layer.0.attention.self.query"),
        ("bert.encoder.layer.0.attention.self.query", "roberta.encoder.layer.0.attention.self.query"),
    ],
)
@pytest.mark.parametrize("kind", ["DoRA", "IA3"])
def test_the_base_of_another_version_has_its_modules_under_other_prefixes(
    tmp_path: Path, path: str, base: str, kind: str
) -> None:
    weights = {f"{base}.weight": W, "vision_tower.encoder.layers.0.self_attn.q_proj.weight": random(6, 8)}
    save_file(weights | {f"{base.replace('0', '1')}.weight": random(6, 8)}, tmp_path / "base.safetensors")
    size = random(6).abs()
    if kind == "IA3":
        tensors, expected = {"ia3_l": size[:, None].contiguous()}, W * (size[:, None] - 1)
        config = {"peft_type": "IA3", "feedforward_modules": []}
    else:
        tensors = {"lora_A.weight": DOWN, "lora_B.weight": UP, "lora_magnitude_vector": size}
        moved = W + 2 * UP @ DOWN
        expected = size[:, None] * moved / moved.norm(dim=1, keepdim=True) - W
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "use_dora": True}
    (tmp_path / "a").mkdir()
    names = {f"base_model.model.{path}.{role}": tensor for role, tensor in tensors.items()}
    save_file(names, tmp_path / "a/adapter_model.safetensors")
    (tmp_path / "a/adapter_config.json").write_text(json.dumps(config))
    (module,) = load_adapter(tmp_path / "a", base=tmp_path / "base.safetensors").modules.values()
    torch.testing.assert_close(tau(module), expected)


def test_dora_in_the_names_of_sgm_on_a_base_of_diffusers(tmp_path: Path) -> None:
    name = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    others = {f"{name.replace('1.att', '2.att')}.weight": random(6, 8)}
    save_file({f"{name}.weight": W} | others, tmp_path / "b.safetensors")
    path, size = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", random(6, 1).abs()
    tensors = {"lora_up.weight": UP, "lora_down.weight": DOWN, "alpha": torch.tensor(4.0), "dora_scale": size}
    save_file({f"{path}.{role}": tensor for role, tensor in tensors.items()}, tmp_path / "style.safetensors")
    (module,) = load_adapter(tmp_path / "style.safetensors", base=tmp_path / "b.safetensors").modules.values()
    moved = W + 2 * UP @ DOWN
    torch.testing.assert_close(tau(module), size * moved / moved.norm(dim=1, keepdim=True) - W)


def test_a_scale_that_is_in_no_file(tmp_path: Path) -> None:
    a, b = random(8, 2), random(2, 6)
    tensors = {"q.lora_a": a, "q.lora_b": b}
    save_file(tensors, tmp_path / "adapters.safetensors")
    for options, scale in (({"scale": 20.0}, 20), ({"alpha": 8.0}, 4)):
        (module,) = load_adapter(tmp_path / "adapters.safetensors", **options).modules.values()
        assert module.scale == scale
        torch.testing.assert_close(tau(module), scale * (a @ b).mT)
    with pytest.raises(TaskvecError, match=r"scale is in no file.*--alpha or --scale"):
        load_adapter(tmp_path / "adapters.safetensors")
    for given, scales in (("8,q=6", (3, 4)), ("q=6,v=2", (3, 1)), ("8", (4, 4)), ("0.q=4,8,q=6", (3, 4))):
        save_file({**tensors, "v.lora_a": a.clone(), "v.lora_b": b.clone()}, tmp_path / "adapters.safetensors")
        made = load_adapter(tmp_path / "adapters.safetensors", alpha=given).modules
        assert (made["q"].scale, made["v"].scale) == scales
    with pytest.raises(TaskvecError, match=r"none is given for v.*--alpha"):
        load_adapter(tmp_path / "adapters.safetensors", alpha="q=6")
    for wrong in ("", "x", "nan", "1,2", "q=", "=2", "q=1,q=2"):
        with pytest.raises(TaskvecError, match="alpha is"):
            load_adapter(tmp_path / "adapters.safetensors", alpha=wrong)
    with pytest.raises(TaskvecError, match="both given"):
        load_adapter(tmp_path / "adapters.safetensors", alpha=1.0, scale=1.0)
