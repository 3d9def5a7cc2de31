"""The sparse projection: exact, fused into ``pairwise``, and Adam beside torch.optim.Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels import reference

from .case import METRICS, Case, zoo

LAM = 0.05
STEPS, RATE = 500, 0.01
ADAM: dict[str, Any] = {"method": "adam", "steps": STEPS, "lr": RATE, "schedule": "constant", "units": "paper"}


def problems(pairs: int, r: int) -> tuple[Tensor, Tensor]:
    """d (pairs, r) of all sizes up to ‖τ₂‖, and ‖τ₂‖ (pairs,)."""
    generator = torch.Generator().manual_seed(0)
    d = torch.randn(pairs, r, generator=generator) * torch.rand(pairs, 1, generator=generator)
    return d, (d.square().sum(-1) + torch.rand(pairs, generator=generator)).sqrt()


def exact_case(pairs: int, r: int) -> Case:
    d, norm = problems(pairs, r)

    def check(results: dict[str, Any]) -> None:
        truth = reference.sparsify(d[:1000], norm[:1000], LAM)
        for provider, S in results.items():
            torch.testing.assert_close(
                S[:1000].double(), truth, rtol=1e-5, atol=1e-6, msg=lambda m, p=provider: f"{p}: {m}"
            )

    return Case(
        f"sparsify exact, {pairs // 10**6} M pairs r={r}",
        0,
        {"ours": lambda: tk.sparsify(d, norm, LAM), "torch, sorted": lambda: sorted_solution(d, norm, LAM)},
        check,
        {"torch, sorted": 1},
        {"ours": pairs, "torch, sorted": pairs},
    )


def sorted_solution(d: Tensor, norm: Tensor, lam: float) -> Tensor:
    """What one writes in torch: the fixed point for every number of active directions, and of these the right one."""
    c2 = (norm.square() - d.square().sum(-1)).clamp(min=0)
    most = d.sort(dim=-1, descending=True).values
    squares = torch.cat([most.square(), c2[:, None]], -1).flip(-1).cumsum(-1).flip(-1)  # [pairs, r + 1]
    room = 1 - lam**2 * torch.arange(d.shape[-1] + 1)
    f = (squares / room.clamp(min=1e-30)).sqrt()
    fits = torch.cat([torch.ones(len(d), 1, dtype=torch.bool), most > lam * f[:, 1:]], -1) & (room > 0)
    active = (fits * torch.arange(1, d.shape[-1] + 2)).amax(-1, keepdim=True) - 1
    return (d - lam * f.gather(-1, active)).clamp(min=0)


def fused_case(adapters: int, m: int, r: int) -> Case:
    svd = tk.LowRankSVD(*(t[0] for t in zoo(1, adapters, m, r)))

    def check(results: dict[str, Any]) -> None:
        few = tk.LowRankSVD(*(t[:5] for t in svd))
        for provider, lam in (("ours", LAM), ("λ = 0", 0.0)):
            # rec and the entropy of what λ all but clips away are rounding; a pair without a residual has c to √ε alone
            for name, value in reference.pairwise(few, metrics=("l1", "l2", "cosine"), lam=lam).forward.items():
                torch.testing.assert_close(
                    results[provider][name][:5, :5].double(), value, rtol=1e-3, atol=2e-3, equal_nan=True
                )

    return Case(
        f"pairwise λ={LAM} N={adapters} m=n={m} r={r}",
        0,
        {
            "ours": lambda: tk.pairwise(svd, metrics=METRICS, lam=LAM).forward,
            "λ = 0": lambda: tk.pairwise(svd, metrics=METRICS).forward,
        },
        check,
    )


def adam_case(pairs: int, r: int) -> Case:
    d, norm = problems(pairs, r)
    return Case(
        f"sparsify adam, {STEPS} steps, {pairs} pairs r={r}",
        0,
        {
            "ours": lambda: tk.sparsify(d, norm, LAM, **ADAM),
            "torch.optim.Adam, batched": lambda: torch_adam(d, lambda S: batched_loss(S, d, norm)),
        },
        same_solution,
        {"torch.optim.Adam, batched": 1},
        {"ours": pairs, "torch.optim.Adam, batched": pairs},
    )


def dense_case(pairs: int, m: int, r: int) -> Case:
    """Ours is one call for many pairs; the dense loop, of which one pair is timed, is what the paper's listing says."""
    svd = tk.LowRankSVD(*(t[0, :2] for t in zoo(1, 2, m, r)))
    source, target = (tk.LowRankSVD(*(t[i] for t in svd)) for i in range(2))
    tau = target.U * target.S @ target.Vh
    one = tk.project_dense(source.U, source.Vh, tau, clip=False)
    d, norm = one.expand(pairs, r).contiguous(), tau.norm().expand(pairs).contiguous()

    def dense_loss(S: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(source.U * S @ source.Vh - tau) + LAM * S.sum()

    return Case(
        f"sparsify adam, {STEPS} steps, dense m=n={m} r={r}",
        0,
        {
            "ours": lambda: tk.sparsify(d, norm, LAM, **ADAM),
            "torch.optim.Adam, dense": lambda: torch_adam(one, dense_loss)[None],
        },
        same_solution,
        {"torch.optim.Adam, dense": 1},
        {"ours": pairs, "torch.optim.Adam, dense": 1},
    )


def same_solution(results: dict[str, Any]) -> None:
    """Both go the same steps: what remains is fp32 rounding, which Adam's normalised steps carry into S."""
    ours, theirs = results.values()
    few = min(len(ours), len(theirs))
    assert float((ours[:few] - theirs[:few]).abs().quantile(0.99)) < RATE / 10


def torch_adam(d: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    S = d.clamp(min=0).requires_grad_()
    optimiser = torch.optim.Adam([S], lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss(S).backward()
        optimiser.step()
        with torch.no_grad():
            S.clamp_(min=0)
    return S.detach()


def batched_loss(S: Tensor, d: Tensor, norm: Tensor) -> Tensor:
    c2 = (norm.square() - d.square().sum(-1)).clamp(min=0)
    return ((c2 + (S - d).square().sum(-1)).sqrt() + LAM * S.sum(-1)).sum()
