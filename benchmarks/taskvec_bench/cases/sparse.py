"""The sparse projection: exact, fused into ``pairwise``, and Adam beside the paper's way in torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels import reference

from .case import Case, Provider, backend, close
from .inputs import Model, random_zoo
from .pairs import pairwise_by, picked, truth, workload

LAM = 0.05
STEPS, RATE = 500, 0.01
EXACT = tk.Solver(lam=LAM)
ADAM = tk.Solver(lam=LAM, method="adam", steps=STEPS, lr=RATE, schedule="constant", units="paper")
ADAM_VARIANT = f"adam {STEPS} steps"
ADAM_FLOP = 16  # an element and step: the two moments, their quotient, the gradient, the norm
CHECKED = 1000  # problems that the reference is asked of

Problems = tuple[Tensor, Tensor]


def problems(pairs: int, r: int, device: str) -> Problems:
    """d (pairs, r) of all sizes up to ‖τ₂‖, and ‖τ₂‖ (pairs,)."""
    random: dict[str, Any] = {"generator": torch.Generator(device).manual_seed(0), "device": device}
    d = torch.randn(pairs, r, **random) * torch.rand(pairs, 1, **random)
    return d, (d.square().sum(-1) + torch.rand(pairs, **random)).sqrt()


def sparsify_case(variant: str, pairs: int, r: int, *, device: str = "cpu", **also: Any) -> Case:
    """``pairs`` problems in one call, by the exact solution or by Adam."""
    ours, solver = backend("sparsify", device), EXACT if variant == "exact" else ADAM
    in_torch = {
        "exact": {"torch/sorted": Provider(sorted_solution)},
        ADAM_VARIANT: {"torch/adam": Provider(lambda x: torch_adam(x[0], lambda S: batched_loss(S, *x)))},
    }
    return Case(
        function="sparsify",
        variant=variant,
        shape={"N": pairs, "r": r},
        flop=pairs * r * STEPS * ADAM_FLOP if solver is ADAM else 0,
        bytes=4 * pairs * (2 * r + 1),
        inputs=lambda: problems(pairs, r, device),
        truth=lambda x: reference.sparsify(*(t[-CHECKED:].cpu() for t in x), solver=solver),
        agrees=lambda S, true: (same_steps if solver is ADAM else same_solution)(S[-CHECKED:], true),
        providers={
            f"ours/{ours}": Provider(lambda x: tk.sparsify(*x, solver=solver, backend=ours)),
            **in_torch[variant],
        },
        device=device,
        **also,
    )


def fused_case(model: Model, adapters: int, r: int, **also: Any) -> Case:
    """Every pair of a zoo with and without λ: the second is not the same result, but what λ costs is read off it."""
    # rec and the entropy of what λ all but clips away are rounding; a pair without a residual has c to √ε alone
    metrics = ("l1", "l2", "cosine")
    plain = partial(truth, metrics=metrics)
    return Case(
        function="pairwise",
        variant=f"λ={LAM}",
        **workload(model, 1, adapters, r),
        truth=partial(truth, metrics=metrics, solver=EXACT),
        agrees=lambda result, true: close(picked(result), true, absolute=2e-3, relative=1e-3),
        providers={
            "ours/cpu": Provider(pairwise_by("ours/cpu", solver=EXACT)),
            "ours/cpu λ=0": Provider(pairwise_by("ours/cpu"), computes="the projection without λ", truth=plain),
        },
        **also,
    )


def algorithm1_case(model: Model, pairs: int, r: int, **also: Any) -> Case:
    """The paper's Algorithm 1, τ₂ projected on τ₁'s directions by Adam on the dense objective, and what we do instead.

    Ours solves ``pairs`` pairs in one call, each from the r numbers that the objective depends on; of torch's loops one
    pair is timed. The loop over all min(m, n) directions has another minimiser (its further directions are arbitrary).
    """
    m, n = model.m, model.n

    def inputs() -> tuple[tk.LowRankSVD, Tensor, Tensor, Tensor]:
        svd = random_zoo(1, 2, m, n, r)
        source, target = (tk.LowRankSVD(*(t[0, i] for t in svd)) for i in (0, 1))
        tau = target.U * target.S @ target.Vh
        d = tk.project_dense(source.U, source.Vh, tau, clip=False)
        return source, tau, d.expand(pairs, r).contiguous(), tau.norm().expand(pairs).contiguous()

    def dense(x: Any, full: bool) -> Tensor:
        source, tau, *_ = x
        U, Vh = source.U, source.Vh
        if full:  # the listing's first line: the SVD of τ₁, all directions of it
            U, _, Vh = torch.linalg.svd(source.U * source.S @ source.Vh, full_matrices=False)
        start = (U * (tau @ Vh.mT)).sum(0)
        loss = lambda S: torch.linalg.matrix_norm(U * S @ Vh - tau) + LAM * S.sum()  # noqa: E731
        return torch_adam(start, loss)[None, :r]

    last = lambda x: reference.sparsify(x[2][-1:], x[3][-1:], solver=ADAM)  # noqa: E731
    return Case(
        function="sparsify",
        variant="algorithm 1",
        shape=model.shape(r, N=pairs),
        flop=pairs * r * STEPS * ADAM_FLOP,
        bytes=4 * pairs * (2 * r + 1),
        inputs=inputs,
        truth=last,
        agrees=lambda S, true: same_steps(S[-1:], true),
        providers={
            "ours/cpu": Provider(lambda x: tk.sparsify(x[2], x[3], solver=ADAM, backend="cpu")),
            "torch/algorithm 1, r directions": Provider(lambda x: dense(x, False), part=1 / pairs),
            "torch/algorithm 1, all directions": Provider(
                lambda x: dense(x, True),
                part=1 / pairs,
                computes="min(m, n) directions, most of them arbitrary; compared in the first r, up to order and to λ",
                truth=last,
                agrees=lambda S, true: close(S.sum(-1), true.sum(-1), absolute=0.2, relative=0.2),
            ),
        },
        **also,
    )


def same_solution(S: Tensor, true: Tensor) -> None:
    close(S, true, absolute=1e-5, relative=1e-5)


def same_steps(S: Tensor, true: Tensor) -> None:
    """Both go the same steps: what remains is rounding, which Adam's normalised steps carry into S near a kink."""
    off = float((S.double().cpu() - true).abs().flatten().quantile(0.99))
    assert off < RATE / 10, f"S is off by {off:.2g}, a tenth of a step is {RATE / 10:g}"


def sorted_solution(x: Problems) -> Tensor:
    """What one writes in torch: the fixed point for every number of active directions, and of these the right one."""
    d, norm = x
    c2 = (norm.square() - d.square().sum(-1)).clamp(min=0)
    most = d.sort(dim=-1, descending=True).values
    squares = torch.cat([most.square(), c2[:, None]], -1).flip(-1).cumsum(-1).flip(-1)  # [pairs, r + 1]
    counts = torch.arange(d.shape[-1] + 2, device=d.device)
    room = 1 - LAM**2 * counts[:-1]
    f = (squares / room.clamp(min=1e-30)).sqrt()
    none = torch.ones(len(d), 1, dtype=torch.bool, device=d.device)
    fits = torch.cat([none, most > LAM * f[:, 1:]], -1) & (room > 0)
    active = (fits * counts[1:]).amax(-1, keepdim=True) - 1
    return (d - LAM * f.gather(-1, active)).clamp(min=0)


def torch_adam(d: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    S = d.clamp(min=0).requires_grad_()
    optimiser = torch.optim.Adam([S], lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss(S).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            S.clamp_(min=0)
    return S.detach()


def batched_loss(S: Tensor, d: Tensor, norm: Tensor) -> Tensor:
    c2 = (norm.square() - d.square().sum(-1)).clamp(min=0)
    return ((c2 + (S - d).square().sum(-1)).sqrt() + LAM * S.sum(-1)).sum()
