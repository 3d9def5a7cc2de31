"""Packages from PyPI that compare adapters, beside ours from the same raw factors: ``pairwise peers …``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, permutations, product
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels import reference

from .case import Case, Provider, threads
from .inputs import Model, factors, scale
from .lowrank import Factors, qr_svd
from .pairs import METRICS, Result, agrees, each_module, in_span, picks, row_panels

WHOLE_JOB = "peers"  # the variant of ``pairwise`` that starts from the factors
FEW = 4  # adapters that are given to a peer of which every pair costs milliseconds
DENSE = 150_000_000  # elements of the dense task vectors of a module up to which they are formed
ENERGY = 0.9  # of τ that gradience keeps

Job = Callable[[], Result]


@dataclass(frozen=True)
class Peer:
    """``job`` imports the package and builds its objects, all outside the timing, and returns what is timed.

    ``job`` and ``truth`` get b (modules, N, m, r), a (modules, N, r, n) and the scale: of all modules if ``whole``,
    otherwise of the first, and of ``few`` adapters, of which every pair is compared by one call each.
    """

    needs: str
    job: Callable[[Tensor, Tensor, float], Job]
    truth: Callable[[Tensor, Tensor, float], Result]
    computes: str
    few: int | None = None
    whole: bool = False
    threads: int | None = None

    def given(self, inputs: Factors) -> Factors:
        b, a, size = inputs
        modules = None if self.whole else 1
        return b[:modules, : self.few], a[:modules, : self.few], size

    def provider(self, modules: int, adapters: int) -> Provider:
        few = min(self.few or adapters, adapters)
        # the pairs of an adapter with itself are nobody's work
        part = few * (few - 1) / (adapters * (adapters - 1)) / (1 if self.whole else modules)
        return Provider(
            self.run,
            part=part,
            computes=self.computes,
            truth=lambda inputs: self.truth(*self.given(inputs)),
            prepare=lambda inputs: self.job(*self.given(inputs)),
            needs=self.needs,
        )

    def run(self, job: Job) -> Result:
        with threads(self.threads):
            return {name: values[None] for name, values in job().items()}


def gradience(b: Tensor, a: Tensor, size: float) -> Job:
    """One call an ordered pair, since the agreement has a direction; it takes no SVDs that were made before."""
    from gradience.vnext.merge.spectral_compat import compute_subspace_metrics

    b, a, r = b[0], a[0], a.shape[-2]
    alpha = size * r

    def job() -> Result:
        out = {name: torch.eye(len(b), dtype=torch.float64) for name in ("directional_agreement", "mean_overlap")}
        for i, j in permutations(range(len(b)), 2):
            found = compute_subspace_metrics(a[i], b[i], alpha, r, a[j], b[j], alpha, r)
            for name, values in out.items():
                values[i, j] = getattr(found, name)
        return out

    return job


def adaptersentry(b: Tensor, a: Tensor, size: float) -> Job:
    """One call an unordered pair: the cosine is symmetric."""
    from adaptersentry.features.lowrank_core import delta_cosine

    b_of, a_of = b[0].numpy(), a[0].numpy()
    return lambda: symmetric(len(b_of), lambda i, j: delta_cosine(a_of[i], b_of[i], size, a_of[j], b_of[j], size))


def adaptersentry_cached(b: Tensor, a: Tensor, size: float) -> Job:
    """What its user can write instead of ``delta_cosine``, which computes both norms again for every pair."""
    from adaptersentry.features.lowrank_core import compute_core, delta_inner

    b_of, a_of = b[0].numpy(), a[0].numpy()

    def job() -> Result:
        norms = [compute_core(a_of[i], b_of[i], size).fro for i in range(len(b_of))]
        inner = symmetric(len(b_of), lambda i, j: delta_inner(a_of[i], b_of[i], size, a_of[j], b_of[j], size))["cosine"]
        cosine = inner / torch.outer(torch.tensor(norms), torch.tensor(norms)).double()
        return {"cosine": cosine.fill_diagonal_(1)}

    return job


def symmetric(adapters: int, one: Callable[[int, int], float]) -> Result:
    out = torch.eye(adapters, dtype=torch.float64)
    for i, j in combinations(range(adapters), 2):
        out[i, j] = out[j, i] = one(i, j)
    return {"cosine": out}


def peft(b: Tensor, a: Tensor, size: float) -> Job:
    """Every dense task vector once, and one product of all of them: the best one can do with ``get_delta_weight``."""
    from peft import LoraConfig, get_peft_model

    (adapters, m, r), n = b[0].shape, a.shape[-1]
    config = LoraConfig(r=r, lora_alpha=size * r, target_modules=["0"], init_lora_weights=False)
    names = [f"adapter{i}" for i in range(adapters)]
    model = get_peft_model(torch.nn.Sequential(torch.nn.Linear(n, m, bias=False)), config, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, config)
    layer = model.base_model.model[0]
    for name, one_b, one_a in zip(names, b[0], a[0], strict=True):
        layer.lora_A[name].weight.data, layer.lora_B[name].weight.data = one_a, one_b

    @torch.no_grad()
    def job() -> Result:
        tau = torch.empty(adapters, m * n)
        for row, name in zip(tau, names, strict=True):
            row.copy_(layer.get_delta_weight(name).flatten())
        inner = tau @ tau.T
        norm = inner.diagonal().sqrt()
        return {"cosine": inner / (norm[:, None] * norm)}

    return job


def vlora(b: Tensor, a: Tensor, size: float) -> Job:
    """All adapters with all their modules in one call."""
    from vlora.analysis import compute_similarity_matrix
    from vlora.io import LoRAWeights

    layers = [str(module) for module in range(len(b))]
    parts = [[dict(zip(layers, t[:, i], strict=True)) for t in (a, b)] for i in range(b.shape[1])]
    adapters = [LoRAWeights(layers, *part, rank=a.shape[-2]) for part in parts]
    return lambda: {"cosine": compute_similarity_matrix(adapters)}


# what they claim to compute, as fp64 formulas of picked adapters


def small(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Picked adapters of the first and the last module in coordinates of their span: the same inner products."""
    chosen = picks(b.shape[1])
    b, a = (t[[0, -1]][:, chosen].double() for t in (b, a))
    return in_span(b), in_span(a.mT).mT


def metrics(b: Tensor, a: Tensor, size: float) -> Result:
    """What the case asks for, (2, picked, picked) each."""
    return dict(reference.pairwise(reference.lowrank_svd(*small(b, a), size), metrics=METRICS).forward)


def cosine(b: Tensor, a: Tensor, size: float) -> Result:
    """⟨τ_i, τ_j⟩ / (‖τ_i‖ ‖τ_j‖), (2, picked, picked)."""
    left, right = small(b, a)
    tau = torch.nn.functional.normalize((size * left @ right).flatten(2), dim=-1)
    return {"cosine": tau @ tau.mT}


def factor_cosine(b: Tensor, a: Tensor, size: float) -> Result:
    """The cosine of the factors of all modules as one vector an adapter, (2, picked, picked), both the same."""
    chosen = picks(b.shape[1])
    parts = [t[:, chosen].double().transpose(0, 1).flatten(1) for t in (a, b)]
    vector = torch.nn.functional.normalize(torch.cat(parts, 1), dim=-1)
    return {"cosine": (vector @ vector.mT).expand(2, -1, -1)}


def agreement_and_overlap(b: Tensor, a: Tensor, size: float) -> Result:
    """gradience's two numbers of one module, (2, picked, picked), both the same, from dense SVDs.

    k_i is the fewest directions with ``ENERGY`` of ‖τ_i‖². Agreement: the cosine of σ_i and diag(U_iᴴ τ_j V_i), both
    cut at k_i. Overlap: the mean cosine of the principal angles between U_i cut at k_i and U_j cut at k_j.
    """
    left, right = small(b, a)
    tau = (size * left @ right)[0]
    U, S, Vh = torch.linalg.svd(tau, full_matrices=False)
    energy = S.square().cumsum(-1) / S.square().sum(-1, keepdim=True)
    kept = [int((one < ENERGY).sum()) + 1 for one in energy]
    agreement, overlap = torch.empty(2, 2, len(tau), len(tau)).double()
    for (i, k), (j, k_other) in product(enumerate(kept), repeat=2):
        d = (U[i, :, :k].mT @ tau[j] @ Vh[i, :k].mT).diagonal()
        agreement[:, i, j] = torch.nn.functional.cosine_similarity(d, S[i, :k], dim=0)
        overlap[:, i, j] = torch.linalg.svdvals(U[i, :, :k].mT @ U[j, :, :k_other]).mean()
    return {"directional_agreement": agreement, "mean_overlap": overlap}


COSINE = "the cosine of two task vectors alone"
FACTORS = "one cosine of A‖B of all modules: depends on the gauge of the factors, knows no scale"
AGREEMENT = "cosine of σ and diag(UᴴτV), and the overlap of the U's, both cut at 90 % of the energy; no distances"
PEERS = {
    "gradience": Peer("gradience", gradience, agreement_and_overlap, AGREEMENT, few=FEW),
    # its matrices are small: on a busy machine a second thread costs it more than it brings
    "gradience, one thread": Peer("gradience", gradience, agreement_and_overlap, AGREEMENT, few=FEW, threads=1),
    "adaptersentry/delta_cosine": Peer("adaptersentry", adaptersentry, cosine, COSINE, few=FEW),
    "adaptersentry/norms kept": Peer(
        "adaptersentry", adaptersentry_cached, cosine, f"{COSINE}, norms computed once an adapter"
    ),
    "peft/dense": Peer("peft", peft, cosine, f"{COSINE}, each formed as m × n"),
    "vlora": Peer("vlora", vlora, factor_cosine, FACTORS, whole=True),
}


def ours(x: Factors) -> Any:
    return tk.pairwise(tk.lowrank_svd(*x, backend="cpu"), metrics=METRICS, backend="cpu").forward


def peer_case(model: Model, adapters: int, r: int, **also: Any) -> Case:
    """All ordered pairs of raw adapters of all modules of a model; see ``Case`` for ``also``."""
    m, n, modules = model.m, model.n, model.modules
    providers = {name: peer.provider(modules, adapters) for name, peer in PEERS.items()}
    if adapters * m * n > DENSE:
        del providers["peft/dense"]
    return Case(
        function="pairwise",
        variant=WHOLE_JOB,
        shape=model.shape(r, modules=modules, N=adapters),
        # pairs as in pairwise_case, and the SVDs as in lowrank_case; the share is of the fp32 rate, for both
        flop=modules * (adapters**2 * r * r * (m + n) + adapters * (3 * r * r * (m + n) + 26 * r**3)),
        bytes=4 * modules * (adapters * r * (m + n) + len(METRICS) * adapters**2),
        inputs=lambda: (*factors((modules, adapters), m, n, r), scale(m, n)),
        truth=lambda x: metrics(*x),
        agrees=agrees,
        providers={
            "ours/cpu": Provider(ours),
            "torch/qr and panels": Provider(lambda x: each_module(row_panels)(tk.LowRankSVD(*qr_svd(*x)))),
            **providers,
        },
        **also,
    )
