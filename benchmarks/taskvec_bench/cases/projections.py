"""``project``, ``project_dense`` and ``compare_spectra``: batches of pairs, beside the same in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels import reference

from .case import Case, Provider, backend, close
from .inputs import Model, factors, scale
from .pairs import in_span, spectra_metrics

SPECTRAL = ("l1", "l2", "rec", "entropy_projected")
CHECKED = 1000  # spectra that the reference is asked of


def project_case(model: Model, count: int, r: int, *, device: str = "cpu", **also: Any) -> Case:
    """``count`` pairs of a source's directions and a target's raw factors."""
    m, n, ours = model.m, model.n, backend("project", device)
    size = scale(m, n)

    def inputs() -> tuple[Tensor, ...]:
        b, a = factors((2, count), m, n, r, device)
        U, _, Vh = tk.lowrank_svd(b[0], a[0], size)
        return U, Vh, b[1].contiguous(), a[1].contiguous()

    providers = {
        f"ours/{ours}": Provider(lambda x: tk.project(x[0], x[1], x[2], x[3], size, clip=False, backend=ours)),
        "torch/matmul": Provider(lambda x: project_matmul(x, size)),
        "torch/einsum": Provider(lambda x: torch.einsum("imk,imr,irn,ikn->ik", x[0], x[2], x[3], x[1]) * size),
    }
    if device == "cpu":
        looped = lambda x: torch.stack([project_matmul([t[i] for t in x], size) for i in range(count)])  # noqa: E731
        providers["torch/loop"] = Provider(looped)
    return Case(
        function="project",
        shape=model.shape(r, N=count),
        flop=count * (2 * r * r * (m + n) + 2 * r * r),
        bytes=4 * count * (2 * r * (m + n) + r),
        inputs=inputs,
        truth=lambda x: projected_truth(x, size),
        agrees=lambda d, true: close(d[[0, -1]], true),
        providers=providers,
        device=device,
        **also,
    )


def project_matmul(inputs: Sequence[Tensor], size: float) -> Tensor:
    U, Vh, b, a = inputs
    return ((U.mT @ b) * (Vh @ a.mT)).sum(-1) * size


def projected_truth(inputs: Sequence[Tensor], size: float) -> Tensor:
    """The reference of the first and the last pair, in coordinates of the span of U and b, of V and aᵀ."""
    ends = []
    for i in (0, -1):
        U, Vh, b, a = (t[i].double().cpu() for t in inputs)
        left, right = in_span(torch.stack([U, b])[None])[0], in_span(torch.stack([Vh.mT, a.mT])[None])[0]
        ends.append(reference.project(left[0], right[0].mT, left[1], right[1].mT, size, clip=False))
    return torch.stack(ends)


def project_dense_case(
    model: Model, count: int, r: int, *, device: str = "cpu", dtype: torch.dtype = torch.float32, **also: Any
) -> Case:
    """``count`` dense targets of one shape."""
    m, n, ours = model.m, model.n, backend("project_dense", device)

    def inputs() -> tuple[Tensor, ...]:
        U, _, Vh = tk.lowrank_svd(*factors((count,), m, n, r, device), scale(m, n))
        tau = torch.empty(count, m, n, dtype=dtype, device=device)
        return U.to(dtype), Vh.to(dtype), tau.normal_(generator=torch.Generator(device).manual_seed(1))

    providers = {
        f"ours/{ours}": Provider(lambda x: tk.project_dense(*x, clip=False, backend=ours)),
        "torch/matmul": Provider(lambda x: (x[0] * (x[2] @ x[1].mT)).sum(-2)),
        "torch/einsum": Provider(lambda x: torch.einsum("imk,imn,ikn->ik", x[0], x[2], x[1])),
    }
    if dtype != torch.float32:  # torch rounds what it sums
        del providers["torch/matmul"], providers["torch/einsum"]
    return Case(
        function="project_dense",
        variant="" if dtype == torch.float32 else str(dtype).removeprefix("torch."),
        shape=model.shape(r, N=count),
        flop=count * 2 * r * n * (m + 1),
        bytes=count * (dtype.itemsize * (m * n + r * (m + n)) + 4 * r),
        inputs=inputs,
        truth=lambda x: reference.project_dense(*(t[[0, -1]].cpu() for t in x), clip=False),
        agrees=lambda d, true: close(d[[0, -1]], true),
        providers=providers,
        device=device,
        **also,
    )


def spectra_case(count: int, r: int, *, device: str = "cpu", **also: Any) -> Case:
    """``count`` pairs of spectra."""
    ours = backend("compare_spectra", device)

    def inputs() -> tuple[Tensor, Tensor]:
        generator = torch.Generator(device).manual_seed(0)
        s1 = torch.rand(count, r, generator=generator, device=device).sort(descending=True).values
        return s1, torch.randn(count, r, generator=generator, device=device).clamp(min=0)

    def in_torch(x: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        found = spectra_metrics(x[0], x[0], x[1])
        return {name: found[name] for name in SPECTRAL}

    return Case(
        function="compare_spectra",
        shape={"N": count, "r": r},
        flop=0,
        bytes=4 * count * (2 * r + len(SPECTRAL)),
        inputs=inputs,
        truth=lambda x: reference.compare_spectra(*(t[-CHECKED:].cpu() for t in x), metrics=SPECTRAL),
        agrees=lambda result, true: close({name: t[-CHECKED:] for name, t in result.items()}, true),
        providers={
            f"ours/{ours}": Provider(lambda x: tk.compare_spectra(*x, metrics=SPECTRAL, backend=ours)),
            "torch/tensors": Provider(in_torch),
        },
        device=device,
        **also,
    )
