"""``project``, ``project_dense`` and ``compare_spectra``: batches of pairs, beside the same in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels import reference

from .agreement import all_close, close
from .case import Case, Provider
from .pairs import in_span, spectra_metrics
from .shapes import Model, factors, scale

SPECTRAL = ("l1", "l2", "rec", "entropy_projected")


def project_case(model: Model, count: int, r: int, **also: Any) -> Case:
    """``count`` pairs of a source's directions and a target's raw factors."""
    m, n = model.m, model.n
    size = scale(m, n)

    def inputs() -> tuple[Tensor, ...]:
        b, a = factors((2, count), m, n, r)
        U, _, Vh = tk.lowrank_svd(b[0], a[0], size)
        return U, Vh, b[1].contiguous(), a[1].contiguous()

    return Case(
        function="project",
        shape={"model": model.name, "N": count, "m": m, "n": n, "r": r},
        flop=count * (2 * r * r * (m + n) + 2 * r * r),
        bytes=4 * count * (2 * r * (m + n) + r),
        inputs=inputs,
        truth=lambda x: projected_truth(x, size),
        agrees=lambda d, true: close("d", d[[0, -1]], true),
        providers={
            "ours/cpu": Provider(lambda x: tk.project(x[0], x[1], x[2], x[3], size, clip=False, backend="cpu")),
            "torch/matmul": Provider(lambda x: project_matmul(x, size)),
            "torch/einsum": Provider(lambda x: torch.einsum("imk,imr,irn,ikn->ik", *x[:1], *x[2:], x[1]) * size),
            "torch/loop": Provider(
                lambda x: torch.stack([project_matmul([t[i] for t in x], size) for i in range(count)])
            ),
        },
        **also,
    )


def project_matmul(inputs: Sequence[Tensor], size: float) -> Tensor:
    U, Vh, b, a = inputs
    return ((U.mT @ b) * (Vh @ a.mT)).sum(-1) * size


def projected_truth(inputs: Sequence[Tensor], size: float) -> Tensor:
    """The reference of the first and the last pair, in coordinates of the span of U and b, of V and aᵀ."""
    U, Vh, b, a = inputs
    ends = []
    for i in (0, -1):
        left = in_span(torch.stack([U[i], b[i]])[None].double())[0]
        right = in_span(torch.stack([Vh[i].mT, a[i].mT])[None].double())[0]
        ends.append(reference.project(left[0], right[0].mT, left[1], right[1].mT, size, clip=False))
    return torch.stack(ends)


def project_dense_case(model: Model, count: int, r: int, **also: Any) -> Case:
    """``count`` dense targets of one shape."""
    m, n = model.m, model.n

    def inputs() -> tuple[Tensor, ...]:
        b, a = factors((count,), m, n, r)
        U, _, Vh = tk.lowrank_svd(b, a, scale(m, n))
        return U, Vh, torch.randn(count, m, n, generator=torch.Generator().manual_seed(1))

    return Case(
        function="project_dense",
        shape={"model": model.name, "N": count, "m": m, "n": n, "r": r},
        flop=count * 2 * r * n * (m + 1),
        bytes=4 * count * (m * n + r * (m + n) + r),
        inputs=inputs,
        truth=lambda x: reference.project_dense(*(t[[0, -1]] for t in x), clip=False),
        agrees=lambda d, true: close("d", d[[0, -1]], true),
        providers={
            "ours/cpu": Provider(lambda x: tk.project_dense(*x, clip=False, backend="cpu")),
            "torch/matmul": Provider(lambda x: (x[0] * (x[2] @ x[1].mT)).sum(-2)),
            "torch/einsum": Provider(lambda x: torch.einsum("imk,imn,ikn->ik", x[0], x[2], x[1])),
        },
        **also,
    )


def spectra_case(count: int, r: int, **also: Any) -> Case:
    """``count`` pairs of spectra."""

    def inputs() -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        s1 = torch.rand(count, r, generator=generator).sort(descending=True).values
        return s1, torch.randn(count, r, generator=generator).clamp(min=0)

    def in_torch(x: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        s1, s2 = x
        return {name: value for name, value in spectra_metrics(s1, s1, s2).items() if name in SPECTRAL}

    return Case(
        function="compare_spectra",
        shape={"N": count, "r": r},
        flop=0,
        bytes=4 * count * (2 * r + len(SPECTRAL)),
        inputs=inputs,
        truth=lambda x: reference.compare_spectra(*(t[-1000:] for t in x), metrics=SPECTRAL),
        agrees=lambda result, true: all_close({name: t[-1000:] for name, t in result.items()}, true),
        providers={
            "ours/cpu": Provider(lambda x: tk.compare_spectra(*x, metrics=SPECTRAL, backend="cpu")),
            "torch/tensors": Provider(in_torch),
        },
        **also,
    )
