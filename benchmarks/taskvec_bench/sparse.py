"""The sparse projection: exact, fused into ``pairwise``, and Adam beside the paper's way in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels import reference

from .agreement import all_close, close
from .case import Case, DisagreementError, Provider
from .pairs import METRICS, picked, picks
from .shapes import Model, zoo

LAM = 0.05
STEPS, RATE = 500, 0.01
ADAM: dict[str, Any] = {"method": "adam", "steps": STEPS, "lr": RATE, "schedule": "constant", "units": "paper"}
ADAM_FLOP = 16  # an element and step: the two moments, their quotient, the gradient, the norm
CHECKED = 1000

Problems = tuple[Tensor, Tensor]


def problems(pairs: int, r: int) -> Problems:
    """d (pairs, r) of all sizes up to ‖τ₂‖, and ‖τ₂‖ (pairs,)."""
    generator = torch.Generator().manual_seed(0)
    d = torch.randn(pairs, r, generator=generator) * torch.rand(pairs, 1, generator=generator)
    return d, (d.square().sum(-1) + torch.rand(pairs, generator=generator)).sqrt()


def exact_case(pairs: int, r: int, **also: Any) -> Case:
    return Case(
        function="sparsify",
        variant="exact",
        shape={"N": pairs, "r": r},
        flop=0,
        bytes=4 * pairs * (2 * r + 1),
        inputs=lambda: problems(pairs, r),
        truth=lambda x: reference.sparsify(x[0][-CHECKED:], x[1][-CHECKED:], LAM),
        agrees=lambda S, true: close("S", S[-CHECKED:], true, absolute=1e-5, relative=1e-5),
        providers={
            "ours/cpu": Provider(lambda x: tk.sparsify(x[0], x[1], LAM, backend="cpu")),
            "torch/sorted": Provider(lambda x: sorted_solution(x[0], x[1], LAM)),
        },
        **also,
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


def fused_case(model: Model, adapters: int, r: int, **also: Any) -> Case:
    """Every pair of a zoo with and without λ: the second is not the same result, but what λ costs is read off it."""
    m, n = model.m, model.n
    # rec and the entropy of what λ all but clips away are rounding; a pair without a residual has c to √ε alone
    names = ("l1", "l2", "cosine")

    def truth(lam: float) -> Callable[[tk.LowRankSVD], dict[str, Tensor]]:
        def of(svd: tk.LowRankSVD) -> dict[str, Tensor]:
            few = tk.LowRankSVD(*(t[picks(adapters)][None] for t in svd))
            return reference.pairwise(few, metrics=names, lam=lam).forward

        return of

    def agrees(result: dict[str, Tensor], true: dict[str, Tensor]) -> None:
        all_close(picked(result), true, absolute=2e-3, relative=1e-3)

    return Case(
        function="pairwise",
        variant=f"λ={LAM}",
        shape={"model": model.name, "modules": 1, "N": adapters, "m": m, "n": n, "r": r},
        flop=adapters**2 * r * r * (m + n),
        bytes=4 * (adapters * r * (m + n + 1) + len(METRICS) * adapters**2),
        inputs=lambda: zoo(1, adapters, m, n, r),
        truth=truth(LAM),
        agrees=agrees,
        providers={
            "ours/cpu": Provider(lambda svd: tk.pairwise(svd, metrics=METRICS, lam=LAM, backend="cpu").forward),
            "ours/cpu λ=0": Provider(
                lambda svd: tk.pairwise(svd, metrics=METRICS, backend="cpu").forward,
                computes="the projection without λ",
                truth=truth(0.0),
            ),
        },
        **also,
    )


def adam_case(pairs: int, r: int, **also: Any) -> Case:
    return Case(
        function="sparsify",
        variant=f"adam {STEPS} steps",
        shape={"N": pairs, "r": r},
        flop=pairs * r * STEPS * ADAM_FLOP,
        bytes=4 * pairs * (2 * r + 1),
        inputs=lambda: problems(pairs, r),
        truth=lambda x: reference.sparsify(x[0][-CHECKED:], x[1][-CHECKED:], LAM, **ADAM),
        agrees=lambda S, true: same_steps(S[-CHECKED:], true),
        providers={
            "ours/cpu": Provider(lambda x: tk.sparsify(x[0], x[1], LAM, **ADAM, backend="cpu")),
            "torch/adam": Provider(lambda x: torch_adam(x[0], lambda S: batched_loss(S, *x))),
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
        svd = zoo(1, 2, m, n, r)
        source = tk.LowRankSVD(*(t[0] for t in svd))
        tau = svd.U[1] * svd.S[1] @ svd.Vh[1]
        d = tk.project_dense(source.U, source.Vh, tau, clip=False)
        return source, tau, d.expand(pairs, r).contiguous(), tau.norm().expand(pairs).contiguous()

    def dense(x: Any, full: bool) -> Tensor:
        source, tau, *_ = x
        if full:  # the listing's first line: the SVD of τ₁, all directions of it
            U, _, Vh = torch.linalg.svd(source.U * source.S @ source.Vh, full_matrices=False)
        else:
            U, Vh = source.U, source.Vh
        start = (U * (tau @ Vh.mT)).sum(0)
        loss = lambda S: torch.linalg.matrix_norm(U * S @ Vh - tau) + LAM * S.sum()  # noqa: E731
        return torch_adam(start, loss)[None, :r]

    return Case(
        function="sparsify",
        variant="algorithm 1",
        shape={"model": model.name, "N": pairs, "m": m, "n": n, "r": r},
        flop=pairs * r * STEPS * ADAM_FLOP,
        bytes=4 * pairs * (2 * r + 1),
        inputs=inputs,
        truth=lambda x: reference.sparsify(x[2][-1:], x[3][-1:], LAM, **ADAM),
        agrees=lambda S, true: same_steps(S[-1:], true),
        providers={
            "ours/cpu": Provider(lambda x: tk.sparsify(x[2], x[3], LAM, **ADAM, backend="cpu")),
            "torch/algorithm 1, r directions": Provider(lambda x: dense(x, False), part=1 / pairs),
            "torch/algorithm 1, all directions": Provider(
                lambda x: dense(x, True),
                part=1 / pairs,
                computes="min(m, n) directions, most of them arbitrary; compared in the first r, up to order and to λ",
                agrees=lambda S, true: close("ΣS", S.sum(-1), true.sum(-1), absolute=0.2, relative=0.2),
            ),
        },
        **also,
    )


def same_steps(S: Tensor, true: Tensor) -> None:
    """Both go the same steps: what remains is rounding, which Adam's normalised steps carry into S near a kink."""
    off = float((S.double() - true).abs().flatten().quantile(0.99))
    if not off < RATE / 10:
        raise DisagreementError(f"S is off by {off:.2g}, a tenth of a step is {RATE / 10:g}")


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
