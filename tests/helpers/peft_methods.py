"""Small adapters of every PEFT method but LoRA, each with its update by the plain formula of its paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from make_adapters import PREFIX, write_adapter

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
