"""Packages from PyPI that compare adapters, beside ours from the same raw factors: ``pairwise peers …``.

``python -m taskvec_bench.peers`` prints what each says of one adapter and the same adapter in another gauge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk

from .agreement import all_close
from .case import Case, DisagreementError, Provider
from .fingerprints import WHOLE_JOB
from .lowrank import qr_svd
from .pairs import METRICS, Result, each_module, picked, row_panels
from .peer_truths import agreement_and_overlap, cosine, factor_cosine, metrics
from .shapes import BY_NAME, Model, factors, scale

FEW = 4  # adapters that are given to a peer of which every pair costs milliseconds
HEADLINES = ("cosine", "directional_agreement")
DENSE = 150_000_000  # elements of the dense task vectors of a module up to which they are formed

Job = Callable[[], Result]


@dataclass(frozen=True)
class Zoo:
    """Raw factors b (modules, N, m, r) and a (modules, N, r, n), τ = scale·b·a, and the peers' jobs on them."""

    b: Tensor
    a: Tensor
    scale: float
    jobs: dict[str, Job] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """``job`` imports the package and builds its objects, all outside the timing, and returns what is timed."""

    needs: str
    job: Callable[[Zoo], Job]
    computes: str
    truth: Callable[[Zoo], Result]
    few: int | None = None  # of one module's adapters every pair is compared, one call each; None: all adapters
    whole: bool = False  # all modules are in one call; otherwise the first one

    def part(self, modules: int, adapters: int) -> float:
        """The share of the calls of a whole zoo; the pairs of an adapter with itself are nobody's work."""
        few = min(self.few or adapters, adapters)
        return few * (few - 1) / (adapters * (adapters - 1)) / (1 if self.whole else modules)


def gradience(zoo: Zoo) -> Job:
    """One call an ordered pair, since the agreement has a direction; it takes no SVDs that were made before."""
    from gradience.vnext.merge.spectral_compat import compute_subspace_metrics

    b, a = zoo.b[0, :FEW], zoo.a[0, :FEW]
    r = a.shape[-2]
    alpha = zoo.scale * r

    def job() -> Result:
        out = {name: torch.eye(len(b), dtype=torch.float64) for name in ("directional_agreement", "mean_overlap")}
        for i in range(len(b)):
            for j in range(len(b)):
                if i != j:
                    found = compute_subspace_metrics(a[i], b[i], alpha, r, a[j], b[j], alpha, r)
                    out["directional_agreement"][i, j] = found.directional_agreement
                    out["mean_overlap"][i, j] = found.mean_overlap
        return out

    return job


def gradience_on_one_thread(zoo: Zoo) -> Job:
    """Its matrices are small: on a busy machine a second thread costs it more than it brings."""
    job = gradience(zoo)

    def alone() -> Result:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return job()
        finally:
            torch.set_num_threads(before)

    return alone


def adaptersentry(zoo: Zoo) -> Job:
    """One call an unordered pair: the cosine is symmetric."""
    from adaptersentry.features.lowrank_core import delta_cosine

    b, a = zoo.b[0, :FEW].numpy(), zoo.a[0, :FEW].numpy()
    size = zoo.scale
    return lambda: symmetric(len(b), lambda i, j: delta_cosine(a[i], b[i], size, a[j], b[j], size))


def adaptersentry_cached(zoo: Zoo) -> Job:
    """What its user can write instead of ``delta_cosine``, which computes both norms again for every pair."""
    from adaptersentry.features.lowrank_core import compute_core, delta_inner

    b, a = zoo.b[0].numpy(), zoo.a[0].numpy()
    size = zoo.scale

    def job() -> Result:
        norms = [compute_core(a[i], b[i], size).fro for i in range(len(b))]
        return symmetric(len(b), lambda i, j: delta_inner(a[i], b[i], size, a[j], b[j], size) / (norms[i] * norms[j]))

    return job


def peft(zoo: Zoo) -> Job:
    """Every dense task vector once, and one product of all of them: the best one can do with ``get_delta_weight``."""
    from peft import LoraConfig, get_peft_model

    (adapters, m, r), n = zoo.b[0].shape, zoo.a.shape[-1]
    config = LoraConfig(r=r, lora_alpha=zoo.scale * r, target_modules=["0"], init_lora_weights=False)
    names = [f"adapter{i}" for i in range(adapters)]
    model = get_peft_model(torch.nn.Sequential(torch.nn.Linear(n, m, bias=False)), config, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, config)
    layer = model.base_model.model[0]
    for name, b, a in zip(names, zoo.b[0], zoo.a[0], strict=True):
        layer.lora_A[name].weight.data, layer.lora_B[name].weight.data = a, b

    @torch.no_grad()
    def job() -> Result:
        tau = torch.empty(adapters, m * n)
        for row, name in zip(tau, names, strict=True):
            row.copy_(layer.get_delta_weight(name).flatten())
        inner = tau @ tau.T
        norm = inner.diagonal().sqrt()
        return {"cosine": inner / (norm[:, None] * norm)}

    return job


def vlora(zoo: Zoo) -> Job:
    """All adapters with all their modules in one call."""
    from vlora.analysis import compute_similarity_matrix
    from vlora.io import LoRAWeights

    layers = [str(module) for module in range(len(zoo.b))]
    adapters = [
        LoRAWeights(
            layers,
            dict(zip(layers, zoo.a[:, i], strict=True)),
            dict(zip(layers, zoo.b[:, i], strict=True)),
            rank=zoo.a.shape[-2],
        )
        for i in range(zoo.b.shape[1])
    ]
    return lambda: {"cosine": compute_similarity_matrix(adapters)}


def symmetric(adapters: int, one: Callable[[int, int], float]) -> Result:
    out = torch.eye(adapters, dtype=torch.float64)
    for i in range(adapters):
        for j in range(i + 1, adapters):
            out[i, j] = out[j, i] = one(i, j)
    return {"cosine": out}


ONE_COSINE = "the cosine of two task vectors alone"
AGREEMENT = "cosine of σ and diag(UᴴτV), and the overlap of the U's, both cut at 90 % of the energy; no distances"


def agreement_truth(zoo: Zoo) -> Result:
    return agreement_and_overlap(zoo.b[:1, :FEW], zoo.a[:1, :FEW], zoo.scale)


PEERS: dict[str, Peer] = {
    "gradience": Peer("gradience", gradience, AGREEMENT, agreement_truth, few=FEW),
    "gradience, one thread": Peer("gradience", gradience_on_one_thread, AGREEMENT, agreement_truth, few=FEW),
    "adaptersentry/delta_cosine": Peer(
        "adaptersentry",
        adaptersentry,
        ONE_COSINE,
        lambda zoo: cosine(zoo.b[:1, :FEW], zoo.a[:1, :FEW], zoo.scale),
        few=FEW,
    ),
    "adaptersentry/norms kept": Peer(
        "adaptersentry",
        adaptersentry_cached,
        ONE_COSINE + ", norms computed once an adapter",
        lambda zoo: cosine(zoo.b[:1], zoo.a[:1], zoo.scale),
    ),
    "peft/dense": Peer(
        "peft", peft, ONE_COSINE + ", each formed as m × n", lambda zoo: cosine(zoo.b[:1], zoo.a[:1], zoo.scale)
    ),
    "vlora": Peer(
        "vlora",
        vlora,
        "one cosine of A‖B of all modules: depends on the gauge of the factors, knows no scale",
        lambda zoo: factor_cosine(zoo.b, zoo.a),
        whole=True,
    ),
}


def peer_provider(name: str, modules: int, adapters: int) -> Provider:
    peer = PEERS[name]
    return Provider(
        lambda zoo: zoo.jobs[name](),
        part=peer.part(modules, adapters),
        computes=peer.computes,
        truth=peer.truth,
        agrees=same,
        needs=(peer.needs,),
    )


def same(result: Result, true: Result) -> None:
    """Of picked adapters: ``result`` speaks of all, ``true`` of those."""
    all_close(picked(result), true)


def prepared(b: Tensor, a: Tensor, size: float, providers: Mapping[str, Provider]) -> Zoo:
    """The zoo, with the jobs of those peers among ``providers`` that are installed."""
    zoo = Zoo(b, a, size)
    for name, provider in providers.items():
        if name in PEERS and not provider.missing():
            try:
                zoo.jobs[name] = PEERS[name].job(zoo)
            except (ImportError, AttributeError, TypeError) as error:  # another version's names: the others go on
                zoo.jobs[name] = partial(unusable, name, str(error))
    return zoo


def unusable(name: str, why: str) -> Result:
    raise DisagreementError(f"{name} cannot be used as it is installed: {why}; install the extra 'peers'")


def providers_of(modules: int, adapters: int, m: int, n: int) -> dict[str, Provider]:
    ways = {
        "ours/cpu": Provider(
            lambda zoo: (
                tk.pairwise(
                    tk.lowrank_svd(zoo.b, zoo.a, zoo.scale, backend="cpu"), metrics=METRICS, backend="cpu"
                ).forward
            )
        ),
        "torch/qr and panels": Provider(
            lambda zoo: each_module(row_panels)(tk.LowRankSVD(*qr_svd(zoo.b, zoo.a, zoo.scale)))
        ),
    }
    names = [name for name in PEERS if name != "peft/dense" or adapters * m * n <= DENSE]
    return ways | {name: peer_provider(name, modules, adapters) for name in names}


def peer_case(model: Model, adapters: int, r: int, *, modules: int | None = None, **also: Any) -> Case:
    """All ordered pairs of raw adapters, ``modules`` of each (None: all of the model's); see ``Case`` for ``also``."""
    m, n, modules = model.m, model.n, modules or model.modules
    providers = providers_of(modules, adapters, m, n)
    size = scale(m, n)
    return Case(
        function="pairwise",
        variant=WHOLE_JOB,
        shape={"model": model.name, "modules": modules, "N": adapters, "m": m, "n": n, "r": r},
        # pairs as in pairwise_case, and the SVDs as in lowrank_case; the share is of the fp32 rate, for both
        flop=modules * (adapters**2 * r * r * (m + n) + adapters * (3 * r * r * (m + n) + 26 * r**3)),
        bytes=4 * modules * (adapters * r * (m + n) + len(METRICS) * adapters**2),
        inputs=lambda: prepared(*factors((modules, adapters), m, n, r), size, providers),
        truth=lambda zoo: metrics(zoo.b, zoo.a, zoo.scale),
        agrees=same,
        providers=providers,
        **also,
    )


def peer_cases() -> Iterator[Case]:
    yield peer_case(BY_NAME["gpt2-c_attn"], 8, 8, quick=True)
    yield peer_case(BY_NAME["gpt2-c_attn"], 64, 8)
    yield peer_case(BY_NAME["llama3-mistral-query"], 8, 16)


def gauge_report(m: int = 96, n: int = 64, r: int = 8) -> dict[str, float]:
    """Provider → the cosine (gradience: the agreement) of an adapter (b, a) with the same adapter as (b·G, Gᵀ·a).

    G is orthogonal, so that both have one task vector and every function of it says 1. Of those that run.
    """
    b, a = factors((1,), m, n, r)
    G, _ = torch.linalg.qr(torch.randn(r, r, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    both_b = torch.stack([b, (b.double() @ G).float()], 1)
    both_a = torch.stack([a, (G.mT @ a.double()).float()], 1)
    ways = providers_of(1, 2, m, n)
    zoo = prepared(both_b, both_a, scale(m, n), ways)
    report = {}
    for name, way in ways.items():
        if not way.missing():
            with suppress(DisagreementError):
                result = way.run(zoo)
                key = next(key for key in HEADLINES if key in result)
                report[name] = float(result[key][..., 0, 1])
    return report


def main() -> None:
    report = gauge_report()
    print("An adapter (b, a) and the same task vector as (b·G, Gᵀ·a), G orthogonal: cosine of the two\n")
    for name, way in providers_of(1, 2, 96, 64).items():
        value = f"{report[name]:.9f}" if name in report else f"{way.missing() or name} cannot be run"
        print(f"{name:28} {value:12}  {way.computes}".rstrip())


if __name__ == "__main__":
    main()
