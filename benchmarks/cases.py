"""What is timed: each case once, with what a user would write instead, and how the two must agree."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels import reference

from .case import METRICS, Case, zoo
from .sparse_cases import adam_case, dense_case, exact_case, fused_case


def pairwise_case(adapters: int, m: int, r: int) -> Case:
    svd = tk.LowRankSVD(*(t[0] for t in zoo(1, adapters, m, r)))
    pairs = adapters * adapters

    def check(results: dict[str, Any]) -> None:
        few = tk.LowRankSVD(*(t[:5] for t in svd))
        truth = reference.pairwise(few, metrics=METRICS).forward
        for provider, result in results.items():
            for name, value in truth.items():
                torch.testing.assert_close(
                    result[name][:5, :5].double(),
                    value,
                    rtol=1e-3,
                    atol=1e-4,
                    equal_nan=True,
                    msg=lambda m, p=provider: f"{p}: {m}",
                )

    return Case(
        f"pairwise N={adapters} m=n={m} r={r}",
        pairs * r * r * 2 * m,
        {"ours": lambda: tk.pairwise(svd, metrics=METRICS).forward, "torch row panels": lambda: row_panels(svd)},
        check,
    )


def precision_case(adapters: int, m: int, r: int) -> Case:
    svd = tk.LowRankSVD(*(t[0] for t in zoo(1, adapters, m, r)))

    def check(results: dict[str, Any]) -> None:
        torch.testing.assert_close(results["ours"]["l2"], results["highest"]["l2"], rtol=1e-2, atol=1e-2)

    return Case(
        f'pairwise N={adapters} m=n={m} r={r} "medium"',
        adapters * adapters * r * r * 2 * m,
        {
            "ours": lambda: tk.pairwise(svd, metrics=METRICS, precision="medium").forward,
            "highest": lambda: tk.pairwise(svd, metrics=METRICS).forward,
        },
        check,
    )


def modules_case(modules: int, adapters: int, m: int, r: int) -> Case:
    svd = zoo(modules, adapters, m, r)

    def check(results: dict[str, Any]) -> None:
        for name in METRICS:
            torch.testing.assert_close(
                results["ours"][name], results["python loop, cached SVDs"][name], rtol=1e-3, atol=1e-4, equal_nan=True
            )

    return Case(
        f"pairwise {modules} modules N={adapters} m=n={m} r={r}",
        modules * adapters**2 * r * r * 2 * m,
        {
            "ours": lambda: tk.pairwise(svd, metrics=METRICS).forward,
            "python loop, cached SVDs": lambda: pair_loop(svd),
        },
        check,
    )


def lowrank_case(count: int, m: int, r: int) -> Case:
    generator = torch.Generator().manual_seed(0)
    b = torch.randn(count, m, r, generator=generator)
    a = torch.randn(count, r, m, generator=generator)

    def check(results: dict[str, Any]) -> None:
        tau = reference.dense(b[:2], a[:2], 1.0)
        for provider, (U, S, Vh) in results.items():
            error = (U[:2].double() * S[:2].double()[:, None, :] @ Vh[:2].double() - tau).norm() / tau.norm()
            assert error < 2e-6, f"{provider}: {error}"

    return Case(
        f"lowrank_svd {count} × ({m}×{r}, {r}×{m})",
        0,
        {"ours": lambda: tk.lowrank_svd(b, a), "torch qr + svd": lambda: qr_svd(b, a)},
        check,
        {"torch qr + svd": 2},
    )


def qr_svd(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    qb, rb = torch.linalg.qr(b)
    qa, ra = torch.linalg.qr(a.mT)
    u, s, vh = torch.linalg.svd(rb @ ra.mT)
    return qb @ u, s, vh @ qa.mT


def row_panels(svd: tk.LowRankSVD, panel: int = 32) -> dict[str, Tensor]:
    """The best plain torch: one matmul of each panel of adapters against all that remain, metrics on the block."""
    N, m, r = svd.U.shape
    X, Y, S = svd.U.mT.reshape(N * r, m), svd.Vh.reshape(N * r, -1), svd.S
    out = {name: torch.empty(N, N) for name in METRICS}
    for i in range(0, N, panel):
        rows, stop = slice(i * r, (i + panel) * r), min(i + panel, N)
        P = (X[rows] @ X[i * r :].T).mul_(Y[rows] @ Y[i * r :].T).view(stop - i, r, N - i, r)
        forward = torch.einsum("ikjl,jl->ijk", P, S[i:])
        backward = torch.einsum("ikjl,ik->jil", P, S[i:stop])
        for name, value in spectra_metrics(S[i:stop, None], S[None, i:], forward).items():
            out[name][i:stop, i:] = value
        for name, value in spectra_metrics(S[i:, None], S[None, i:stop], backward).items():
            out[name][i:, i:stop] = value
    return out


def pair_loop(svd: tk.LowRankSVD) -> dict[str, Tensor]:
    """What one writes first: the closed form of one pair after the other, with every SVD cached."""
    modules, adapters = svd.S.shape[:2]
    out = {name: torch.empty(modules, adapters, adapters) for name in METRICS}
    for module in range(modules):
        U, S, Vh = (t[module] for t in svd)
        for i in range(adapters):
            for j in range(adapters):
                d = ((U[i].mT @ U[j]) * (Vh[i] @ Vh[j].mT)) @ S[j]
                for name, value in spectra_metrics(S[i], S[j], d).items():
                    out[name][module, i, j] = value
    return out


def spectra_metrics(s1: Tensor, s_target: Tensor, d: Tensor) -> dict[str, Tensor]:
    s2 = d.clamp(min=0)
    share1, share2 = s1 / s1.sum(-1, keepdim=True), s2 / s2.sum(-1, keepdim=True)
    return {
        "l1": (s1 - s2).abs().sum(-1),
        "l2": (s1 - s2).norm(dim=-1),
        "rec": torch.minimum(share1, share2).sum(-1).nan_to_num(0),
        "entropy_projected": -torch.special.xlogy(share2, share2).sum(-1)
        / torch.log(torch.tensor(float(s2.shape[-1]))),
        "cosine": (s1 * d).sum(-1) / (s1.norm(dim=-1) * s_target.norm(dim=-1)),
    }


@cache
def matmul_operands(size: int = 4096) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)


def matmul_case() -> Case:
    """The machine's own limit: torch's fp32 product of 4096³."""
    a, b, out = matmul_operands()
    return Case("torch.mm 4096³", 2 * 4096**3, {"torch": lambda: torch.mm(a, b, out=out)}, lambda results: None)


CASES: dict[str, Callable[[], Case]] = {
    "matmul": matmul_case,
    "pairwise-4096": lambda: pairwise_case(256, 4096, 8),
    "pairwise-1024": lambda: pairwise_case(1024, 1024, 8),
    "pairwise-medium": lambda: precision_case(256, 4096, 8),
    "pairwise-modules": lambda: modules_case(64, 8, 1024, 8),
    "lowrank-8": lambda: lowrank_case(256, 4096, 8),
    "lowrank-64": lambda: lowrank_case(256, 4096, 64),
    "sparse-exact": lambda: exact_case(4_000_000, 8),
    "sparse-fused": lambda: fused_case(256, 4096, 8),
    "sparse-adam": lambda: adam_case(20_000, 8),
    "sparse-dense": lambda: dense_case(20_000, 1024, 8),
}
