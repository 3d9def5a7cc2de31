"""Every PEFT method but LoRA: small files of each, against the plain formula of its paper."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from make_adapters import PREFIX, write_adapter
from peft_methods import CASES, IN, OUT, Case, R, loha, made, miss, random, shira, super_beside_lora, vblora
from taskvec import TaskvecError, load_adapter, sweep
from taskvec.adapters import Dense, Module
from taskvec.inspect import inspect_module


def tau_of(module: Module) -> Tensor:
    update = module.update()
    if isinstance(update, Dense):
        assert update.base is None
        return update.tuned
    return update.scale * update.b.float() @ update.a.float()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", CASES)
def test_the_update_is_the_formulas(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    case = made(name)
    (module,) = load_adapter(case.write(tmp_path, dtype)).modules.values()
    assert module.path == case.path and module.shape == tuple(case.tau.shape)
    torch.testing.assert_close(tau_of(module), case.tau, rtol=1e-5, atol=1e-6)
    spectrum = torch.zeros(min(case.tau.shape))
    found = torch.tensor(inspect_module(module)["spectrum"])
    spectrum[: len(found)] = found[: len(spectrum)]
    torch.testing.assert_close(spectrum, torch.linalg.svdvals(case.tau), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_another_process_reads_the_same(tmp_path: Path, name: str) -> None:
    (module,) = load_adapter(made(name).write(tmp_path)).modules.values()
    torch.testing.assert_close(tau_of(pickle.loads(pickle.dumps(module))), tau_of(module), rtol=0, atol=0)


def test_dense_and_low_rank_updates_are_compared(tmp_path: Path) -> None:
    dense = shira()
    u, s, vh = torch.linalg.svd(dense.tau, full_matrices=False)
    factors = {"lora_A.weight": vh.contiguous(), "lora_B.weight": (u * s).contiguous()}
    low = Case("LORA", factors, dense.tau, {"r": len(s), "lora_alpha": len(s)})
    folders = [dense.write(tmp_path / "dense"), low.write(tmp_path / "low")]
    result = sweep(folders).isel(module=0)
    assert float(result["cosine"].isel(source=0, target=1)) == pytest.approx(1, abs=1e-5)
    spectra = result["spectrum"].values
    assert spectra[0] == pytest.approx(spectra[1], rel=1e-4, abs=1e-5)


def test_what_was_assumed_is_said(tmp_path: Path) -> None:
    (module,) = load_adapter(miss().write(tmp_path)).modules.values()
    assert module.warnings == ("assumed 6 inputs: the hidden size that other modules show",)


def test_a_module_whose_size_nothing_tells_is_refused(tmp_path: Path) -> None:
    case = miss()
    case.path = "h.0.strange"
    with pytest.raises(TaskvecError, match="number of inputs is in no tensor"):
        load_adapter(case.write(tmp_path))


def test_sizes_come_from_other_modules(tmp_path: Path) -> None:
    """A down projection takes what its sibling puts out; the hidden size is what it puts out itself."""
    names = {f"{PREFIX}h.0.mlp.{kind}.miss_block": random(R, out) for kind, out in (("up_proj", 12), ("down_proj", 6))}
    modules = load_adapter(write_adapter(tmp_path, names, peft_type="MISS")).modules
    assert {path: module.shape for path, module in modules.items()} == {
        "h.0.mlp.up_proj": (12, 6),
        "h.0.mlp.down_proj": (6, 12),
    }


def test_vera_of_modules_that_take_other_sizes(tmp_path: Path) -> None:
    shared = {"base_model.vera_A": random(R, 12), "base_model.vera_B": random(12, R)}
    outs = {"q_proj": 6, "up_proj": 12, "down_proj": 6}
    names = {f"{PREFIX}h.0.{kind}.vera_lambda_b": random(out) for kind, out in outs.items()}
    names |= {f"{PREFIX}h.0.{kind}.vera_lambda_d": random(R) for kind in outs}
    modules = load_adapter(write_adapter(tmp_path, names | shared, peft_type="VERA")).modules
    shapes = {path.rpartition(".")[2]: module.shape for path, module in modules.items()}
    assert shapes == {"q_proj": (6, 6), "up_proj": (12, 6), "down_proj": (6, 12)}
    assert all("assumed" in module.warnings[0] for module in modules.values())


def test_randlora_of_modules_that_are_not_square(tmp_path: Path) -> None:
    a, b = random(R, 1, 6), random(12, 3, R)
    names = {"base_model.randlora_A": a, "base_model.randlora_B": b}
    for kind in ("q_proj", "up_proj", "down_proj"):
        names[f"{PREFIX}h.0.{kind}.randlora_lambda"] = random(R, 3)
        names[f"{PREFIX}h.0.{kind}.randlora_gamma"] = random(3, 6)
    adapter = load_adapter(write_adapter(tmp_path, names, peft_type="RANDLORA", randlora_alpha=4))
    shapes = {path.rpartition(".")[2]: module.shape for path, module in adapter.modules.items()}
    assert shapes == {"q_proj": (6, 6), "up_proj": (12, 6), "down_proj": (6, 12)}
    lam, gamma = (names[f"{PREFIX}h.0.down_proj.randlora_{part}"] for part in ("lambda", "gamma"))
    scaled = torch.stack([lam[s, n] * a[s, 0] * gamma[n] for s in range(R) for n in range(3)])
    torch.testing.assert_close(tau_of(adapter.modules["h.0.down_proj"]), 2 * (b.flatten(1) @ scaled).T)


def test_tinylora_of_several_vectors(tmp_path: Path) -> None:
    """One module a layer: the layers' numbers are the order in which they take the vectors."""
    parts = {"tinylora_A": random(R, IN), "tinylora_B": random(OUT, R), "tinylora_P": random(1, R, R)}
    names = {f"{PREFIX}h.{i}.q.{role}": tensor.clone() for i in (2, 10) for role, tensor in parts.items()}
    names |= {"base_model.tinylora_v.0": torch.tensor([1.0]), "base_model.tinylora_v.1": torch.tensor([3.0])}
    modules = load_adapter(write_adapter(tmp_path / "one", names, peft_type="TINYLORA")).modules
    torch.testing.assert_close(3 * tau_of(modules["h.2.q"]), tau_of(modules["h.10.q"]))
    names |= {f"{PREFIX}h.2.v.{role}": tensor.clone() for role, tensor in parts.items()}
    with pytest.raises(TaskvecError, match="order of the model's modules"):
        load_adapter(write_adapter(tmp_path / "two", names, peft_type="TINYLORA"))


def test_tinylora_of_a_known_family_takes_its_vectors_in_the_order_of_its_layers(tmp_path: Path) -> None:
    parts = {"tinylora_A": random(R, IN), "tinylora_B": random(OUT, R), "tinylora_P": torch.ones(1, R, R)}
    kinds = ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")
    paths = [f"model.layers.{i}.{kind}" for i in (2, 10) for kind in kinds]
    names = {f"{PREFIX}{path}.{role}": tensor.clone() for path in paths for role, tensor in parts.items()}
    names |= {f"base_model.tinylora_v.{i}": torch.tensor([1.0 + i]) for i in range(6)}
    adapter = load_adapter(write_adapter(tmp_path, names, peft_type="TINYLORA"))
    first = tau_of(adapter.modules[paths[0]])
    for i, path in enumerate(paths):
        torch.testing.assert_close(tau_of(adapter.modules[path]), (1 + i) * first)
    assert adapter.warnings[-1].startswith("6 of 6 modules: assumed that the model has its modules in the order")


@pytest.mark.parametrize(
    ("peft_type", "words"),
    [
        ("IA3", "IA3 multiplies the base weight.*needs the base weights"),
        ("OFT", "needs the base weights"),
        ("HRA", "needs the base weights"),
        ("TRAINABLE_TOKENS", "replace rows of the embedding.*needs the base weights"),
        ("POLY", "Poly mixes adapters by task: there is no single update"),
        ("XLORA", "by the input: there is no single update"),
        ("PREFIX_TUNING", "keys and values: it changes no weight"),
        ("LN_TUNING", "trains vectors: there is no matrix"),
        ("FOURIERFT", "random generator"),
        ("ia3", "peft_type IA3"),
    ],
)
def test_what_has_no_update_is_refused_with_the_reason(tmp_path: Path, peft_type: str, words: str) -> None:
    with pytest.raises(TaskvecError, match=words):
        load_adapter(write_adapter(tmp_path, peft_type=peft_type))


@pytest.mark.parametrize("name", ["VeRA", "PVeRA", "RandLoRA", "TinyLoRA", "VB-LoRA", "UniLoRA"])
def test_projections_that_are_not_saved_are_missed(tmp_path: Path, name: str) -> None:
    case = made(name)
    case.shared = {}
    with pytest.raises(TaskvecError, match="is saved without"):
        load_adapter(case.write(tmp_path))


def test_miss_of_other_kinds_needs_the_base(tmp_path: Path) -> None:
    for kind in ("bat", "mini"):
        case = miss()
        case.config["init_weights"] = kind
        with pytest.raises(TaskvecError, match="needs the base"):
            load_adapter(case.write(tmp_path / kind))


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("MiSS", "Bone", "C3A")])
def test_a_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    case = made(name)
    del case.tensors[next(iter(case.tensors))]
    with pytest.raises(TaskvecError, match=r"but no|is saved without|that do not fit|whole weight") as raised:
        load_adapter(case.write(tmp_path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", CASES)
def test_tensors_that_do_not_fit_are_an_error(tmp_path: Path, name: str) -> None:
    """Any one tensor in another shape is an error in one line, or an update of another shape: never a crash."""
    case = made(name)
    for i, role in enumerate(case.tensors):
        for j, wrong in enumerate((random(3, 5, 7), random(1), torch.tensor(1.0), torch.zeros(0, 3))):
            odd = Case(case.peft_type, case.tensors | {role: wrong}, case.tau, case.config, case.shared)
            try:
                load_adapter(odd.write(tmp_path / f"{i}-{j}"))
            except TaskvecError as error:
                assert "\n" not in str(error)


def test_indices_beyond_the_bank_are_an_error(tmp_path: Path) -> None:
    case = vblora()
    case.tensors["vblora_logits_A_topk_indices"][0, 0, 0] = 9
    with pytest.raises(TaskvecError, match=r"indices .* expected integers from 0 to 4"):
        load_adapter(case.write(tmp_path))


def test_an_update_out_of_all_proportion_is_refused(tmp_path: Path) -> None:
    case = shira()
    case.tensors["shira_indices"][:, 0] = 1 << 12
    with pytest.raises(TaskvecError, match="out of all proportion"):
        load_adapter(case.write(tmp_path))


def test_a_dora_scale_of_another_method_is_refused(tmp_path: Path) -> None:
    case = loha()
    case.tensors["dora_scale"] = torch.ones(OUT, 1)
    with pytest.raises(TaskvecError, match=r"dora_scale, a tensor that is not known"):
        load_adapter(case.write(tmp_path))


@pytest.mark.parametrize(("make", "role"), [(shira, "shira_weight"), (super_beside_lora, "supertuning_values")])
def test_places_and_values_of_different_number_are_an_error(
    tmp_path: Path, make: Callable[[], Case], role: str
) -> None:
    case = make()
    case.tensors[role] = random(len(case.tensors[role]), 2)
    with pytest.raises(TaskvecError, match="do not fit"):
        load_adapter(case.write(tmp_path))
