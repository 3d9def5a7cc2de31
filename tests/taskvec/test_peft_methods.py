"""Every PEFT method but LoRA: small files of each, against the plain formula of its paper."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from make_adapters import PREFIX, write_adapter
from taskvec import TaskvecError, load_adapter, sweep
from taskvec.adapters import Dense, Module
from taskvec.inspect import inspect_module

OUT, IN, R = 6, 8, 2
Tensors = dict[str, Tensor]


@dataclass
class Case:
    """One module (or what the paths name) of a method: its file, its config, its update."""

    peft_type: str
    tensors: Tensors
    tau: Tensor
    config: dict[str, Any] = field(default_factory=dict)
    shared: Tensors = field(default_factory=dict)
    path: str = "h.0.q_proj"

    def write(self, folder: Path, dtype: torch.dtype = torch.float32) -> Path:
        names = {f"{PREFIX}{self.path}.{role}": tensor for role, tensor in self.tensors.items()}
        names |= {f"base_model.{role}": tensor for role, tensor in self.shared.items()}
        stored = {name: t.to(dtype) if t.is_floating_point() else t for name, t in names.items()}
        config: dict[str, Any] = {"lora_alpha": ..., "r": R} | self.config
        return write_adapter(folder, stored, peft_type=self.peft_type, **config)


def random(*shape: int) -> Tensor:
    """Numbers that half precision holds exactly."""
    return torch.randint(-8, 9, shape) / 8.0


def entries(shape: tuple[int, int], value: Callable[[int, int], Any]) -> Tensor:
    return torch.tensor([[float(value(o, i)) for i in range(shape[1])] for o in range(shape[0])])


def adalora() -> Case:
    a, b, e = random(R, IN), random(OUT, R), random(R, 1)
    scale = 6 / (5 + 1e-5)  # of the first rank, whatever is left
    tau = scale * sum(e[s, 0] * torch.outer(b[:, s], a[s]) for s in range(R))
    tensors = {"lora_A": a, "lora_B": b, "lora_E": e}
    return Case("ADALORA", tensors, tau, {"init_r": 5, "lora_alpha": 6, "rank_pattern": {"q.lora_E": [True, False]}})


def adalora_empty() -> Case:
    tensors = {"lora_A": random(0, IN), "lora_B": random(OUT, 0), "lora_E": random(0, 1)}
    return Case("ADALORA", tensors, torch.zeros(OUT, IN), {"init_r": 5, "lora_alpha": 6})


def loha(rank: int = R) -> Case:
    w = {"hada_w1_a": random(OUT, rank), "hada_w1_b": random(rank, IN)}
    w |= {"hada_w2_a": random(OUT, rank), "hada_w2_b": random(rank, IN)}
    tau = 5 / rank * (w["hada_w1_a"] @ w["hada_w1_b"]) * (w["hada_w2_a"] @ w["hada_w2_b"])
    return Case("LOHA", w, tau, {"alpha": 5, "r": rank})


def loha_tucker() -> Case:
    w = {f"hada_w{i}_{side}": random(R, n) for i in (1, 2) for side, n in (("a", OUT), ("b", IN))}
    w |= {"hada_t1": random(R, R, 3, 3), "hada_t2": random(R, R, 3, 3)}
    halves = [torch.einsum("ijkl,ip,jq->pqkl", w[f"hada_t{i}"], w[f"hada_w{i}_a"], w[f"hada_w{i}_b"]) for i in (1, 2)]
    tau = 5 / R * (halves[0] * halves[1]).flatten(1)
    return Case("LOHA", w, tau, {"alpha": 5, "use_effective_conv2d": True})


def lokr() -> Case:
    w = {"lokr_w1": random(2, 4), "lokr_w2_a": random(9, R), "lokr_w2_b": random(R, 6)}
    tau = 6 / R * torch.kron(w["lokr_w1"], w["lokr_w2_a"] @ w["lokr_w2_b"])
    return Case("LOKR", w, tau, {"alpha": 6})


def lokr_whole() -> Case:
    """PEFT scales by alpha / r of the config even here."""
    w = {"lokr_w1": random(2, 4), "lokr_w2": random(3, 2)}
    return Case("LOKR", w, 6 / 64 * torch.kron(w["lokr_w1"], w["lokr_w2"]), {"alpha": 6, "r": 64})


def lokr_tucker() -> Case:
    w = {"lokr_w1_a": random(3, 1), "lokr_w1_b": random(1, 2), "lokr_t2": random(1, 1, 3, 3)}
    w |= {"lokr_w2_a": random(1, 4), "lokr_w2_b": random(1, 5)}
    kernel = torch.einsum("ijkl,ip,jq->pqkl", w["lokr_t2"], w["lokr_w2_a"], w["lokr_w2_b"])
    tau = 2.0 * torch.kron(w["lokr_w1_a"] @ w["lokr_w1_b"], kernel.flatten(1))
    return Case("LOKR", w, tau, {"alpha": 2, "r": 1})


def vera() -> Case:
    a, b = random(R, IN), random(9, R)
    d, out = random(R), random(OUT)
    tau = torch.diag(out) @ b[:OUT] @ torch.diag(d) @ a
    return Case("VERA", {"vera_lambda_b": out, "vera_lambda_d": d}, tau, shared={"vera_A": a, "vera_B": b})


def pvera() -> Case:
    a, b = random(2 * R, IN), random(9, R)
    d, out = random(2 * R), random(OUT)
    tau = torch.diag(out) @ b[:OUT] @ torch.diag(d[:R]) @ a[:R]
    return Case("PVERA", {"pvera_lambda_b": out, "pvera_lambda_d": d}, tau, shared={"pvera_A": a, "pvera_B": b})


def randlora() -> Case:
    """A square module: longest and shorter side are one."""
    a, b = random(R, 1, IN), random(IN, 3, R)
    lam, gamma = random(R, 3), random(3, IN)
    scaled = torch.stack([[lam[s, n] * a[s, 0] * gamma[n] for n in range(3)][n] for s in range(R) for n in range(3)])
    tau = 12 / R * b.flatten(1) @ scaled
    tensors = {"randlora_lambda": lam, "randlora_gamma": gamma}
    return Case("RANDLORA", tensors, tau, {"randlora_alpha": 12}, {"randlora_A": a, "randlora_B": b})


def vblora() -> Case:
    bank, length = random(5, 2), 2
    places = {side: torch.randint(0, 5, size, dtype=torch.uint8) for side, size in BANK_SIZES.items()}
    weights = {side: random(*size[:2], 1) for side, size in BANK_SIZES.items()}
    a, b = torch.zeros(R, IN), torch.zeros(OUT, R)
    for s in range(R):
        for j in range(IN // length):
            w = weights["A"][s, j, 0]
            a[s, 2 * j : 2 * j + 2] = w * bank[int(places["A"][s, j, 0])] + (1 - w) * bank[int(places["A"][s, j, 1])]
        for j in range(OUT // length):
            w = weights["B"][j, s, 0]
            b[2 * j : 2 * j + 2, s] = w * bank[int(places["B"][j, s, 0])] + (1 - w) * bank[int(places["B"][j, s, 1])]
    tensors = {f"vblora_logits_{side}_topk_indices": places[side] for side in "AB"}
    tensors |= {f"vblora_logits_{side}_topk_weights": weights[side] for side in "AB"}
    return Case("VBLORA", tensors, b @ a, {"topk": 2}, {"vblora_vector_bank": bank})


BANK_SIZES = {"A": (R, IN // 2, 2), "B": (OUT // 2, R, 2)}


def vblora_logits() -> Case:
    """One vector each: the largest logit chooses it, with weight 1."""
    bank = random(5, 2)
    logits = {side: torch.stack([torch.randperm(5) for _ in range(4 * R)]).float() for side in "AB"}
    shaped = {"A": logits["A"].view(R, 4, 5), "B": logits["B"][: 3 * R].view(3, R, 5)}
    a = torch.stack([torch.cat([bank[int(shaped["A"][s, j].argmax())] for j in range(4)]) for s in range(R)])
    b = torch.stack([torch.cat([bank[int(shaped["B"][j, s].argmax())] for j in range(3)]) for s in range(R)], 1)
    tensors = {f"vblora_logits_{side}": shaped[side] for side in "AB"}
    return Case("VBLORA", tensors, b @ a, {"topk": 1}, {"vblora_vector_bank": bank})


def unilora() -> Case:
    theta = random(7)
    index = {"A": torch.randint(0, 7, (R, IN)), "B": torch.randint(0, 7, (OUT, R))}
    scale = {side: random(*places.shape) for side, places in index.items()}
    factors = {
        side: entries(tuple(index[side].shape), lambda o, i, side=side: theta[index[side][o, i]] * scale[side][o, i])
        for side in "AB"
    }
    tensors = {f"unilora_indices_{side}": index[side] for side in "AB"}
    tensors |= {f"unilora_scales_{side}": scale[side] for side in "AB"}
    return Case("UNILORA", tensors, factors["B"] @ factors["A"], shared={"unilora_theta_d": theta})


def tinylora() -> Case:
    a, b, p, v = random(R, IN), random(OUT, R), random(3, R, R), random(3)
    tau = b @ sum(v[u] * p[u] for u in range(3)) @ a
    tensors = {"tinylora_A": a, "tinylora_B": b, "tinylora_P": p}
    return Case("TINYLORA", tensors, tau, {"u": 3}, {"tinylora_v.0": v})


def delora() -> Case:
    a, b, length, w = random(R, IN), random(OUT, R), torch.tensor([4.0]), random(IN)
    terms = [torch.outer(b[:, s] / b[:, s].norm(), a[s] / a[s].norm()) for s in range(R)]
    tensors = {"delora_A": a, "delora_B": b, "delora_lambda": length, "delora_w_norm": w}
    return Case("DELORA", tensors, 4 / R * sum(terms) @ torch.diag(w))


def gralora(hybrid: int = 0) -> Case:
    """Block (m, n) of the update is (A_n[:, slice m] B_m[slice n])ᵀ."""
    k, rank = 2, 4
    a, b = random(k, IN // k, rank), random(k, rank, OUT // k)
    part = rank // k
    rows = [
        torch.cat([(a[n][:, m * part :][:, :part] @ b[m][n * part :][:part]).T for n in range(k)], 1) for m in range(k)
    ]
    tau = torch.cat(rows)
    tensors = {"gralora_A": a, "gralora_B": b}
    if hybrid:
        tensors |= {"gralora_A_general.weight": random(hybrid, IN), "gralora_B_general.weight": random(OUT, hybrid)}
        tau = tau + tensors["gralora_B_general.weight"] @ tensors["gralora_A_general.weight"]
    config = {"alpha": 6, "r": rank, "gralora_k": k, "hybrid_r": hybrid}
    return Case("GRALORA", tensors, 6 / (rank + hybrid) * tau, config)


def miss(prefix: str = "miss_") -> Case:
    """Queries put out the hidden size, which they also take in."""
    block = random(4, OUT)
    tau = entries((OUT, OUT), lambda o, i: block[i % 4, o])
    return Case({"miss_": "MISS", "bone_": "BONE"}[prefix], {f"{prefix}block": block}, tau, {"r": 4})


def c3a() -> Case:
    kernel = random(3, 4, 2)
    tau = entries((6, 8), lambda o, i: kernel[o // 2, i // 2, (i % 2 - o % 2) % 2] / 8)
    return Case("C3A", {"c3a_kernel": kernel}, tau, {"block_size": 2})


def shira() -> Case:
    """r (out + in) places, the last row and column among them."""
    places = torch.randperm(OUT * IN - 1)[: OUT + IN - 1]
    flat = torch.cat([places, torch.tensor([OUT * IN - 1])])
    index, values = torch.stack([flat // IN, flat % IN]).int(), random(OUT + IN)
    tau = torch.zeros(OUT, IN)
    for (o, i), value in zip(index.T.tolist(), values, strict=True):
        tau[o, i] += value
    return Case("SHIRA", {"shira_indices": index, "shira_weight": values}, tau, {"r": 1})


def super_beside_lora() -> Case:
    places, values, a, b = torch.randperm(OUT * IN)[:5], random(5), random(R, IN), random(OUT, R)
    tau = 4 / R * b @ a
    for place, value in zip(places.tolist(), values, strict=True):
        tau[place // IN, place % IN] += value
    tensors = {"supertuning_indices": places.int(), "supertuning_values": values}
    tensors |= {"supertuning_lora_A.weight": a, "supertuning_lora_B.weight": b}
    return Case("SUPERTUNING", tensors, tau, {"lora_alpha": 4})


CASES: dict[str, Callable[[], Case]] = {
    "AdaLoRA": adalora,
    "AdaLoRA of rank 0": adalora_empty,
    "LoHa": loha,
    "LoHa of full rank": lambda: loha(4),
    "LoHa of a convolution": loha_tucker,
    "LoKr": lokr,
    "LoKr of whole matrices": lokr_whole,
    "LoKr of a convolution": lokr_tucker,
    "VeRA": vera,
    "PVeRA": pvera,
    "RandLoRA": randlora,
    "VB-LoRA": vblora,
    "VB-LoRA of logits": vblora_logits,
    "UniLoRA": unilora,
    "TinyLoRA": tinylora,
    "DeLoRA": delora,
    "GraLoRA": gralora,
    "GraLoRA with LoRA": lambda: gralora(3),
    "MiSS": miss,
    "Bone": lambda: miss("bone_"),
    "C3A": c3a,
    "SHiRA": shira,
    "Super": super_beside_lora,
}


def made(name: str) -> Case:
    torch.manual_seed(1)
    return CASES[name]()


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
