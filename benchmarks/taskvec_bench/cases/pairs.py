"""``pairwise``: every ordered pair of a zoo, beside the loops and products that one would write in torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels import reference

from .case import TOLERANCE, Case, Provider, backend, close
from .inputs import Model, random_zoo

METRICS = ("l1", "l2", "rec", "entropy_projected", "cosine")
SHARES, CHANCE = ("captured", "captured_out", "captured_in"), ("rec_chance", "rec_chance_sd")
LOOP_PAIRS = 1024  # as many of the ordered pairs are given to a Python loop, whose time does not depend on their number
BLOCKS = 1 << 27  # elements of the r × r blocks of all pairs: above, einsum and the whole product want gigabytes
PANEL = 32
# of precisions besides the default: what is rounded, and the error that is allowed
ROUNDED = {"high": ("products like tf32's", 5e-3), "medium": ("products of 16-bit inputs", 1e-2)}
PRECISIONS = {"cpu": ("medium",), "cuda": ("high", "medium")}

Result = dict[str, Tensor]


def pairwise_case(
    model: Model, adapters: int, r: int, *, modules: int = 1, device: str = "cpu", compiled: bool = False, **also: Any
) -> Case:
    """``modules`` modules of ``model`` in one call; see ``Case`` for ``also``."""
    ordered = modules * adapters**2
    ours = f"ours/{backend('pairwise', device)}"
    providers = {ours: Provider(pairwise_by(ours))}
    for precision in PRECISIONS[device]:
        rounded, error = ROUNDED[precision]
        providers[f"{ours} {precision}"] = Provider(
            pairwise_by(ours, precision=precision),
            computes=f'precision="{precision}": {rounded}, error up to {error:.0e}'.replace("e-0", "e-"),
            truth=truth,
            agrees=lambda result, true, error=error: close(picked(result), true, error, error),  # type: ignore[misc]
        )
    providers["torch/panels"] = Provider(each_module(row_panels))
    if device == "cpu":
        few = min(adapters, max(2, int(LOOP_PAIRS**0.5)))
        few_modules = min(modules, max(1, LOOP_PAIRS // few**2))
        part = few_modules * few**2 / ordered

        def fewer(svd: tk.LowRankSVD) -> tk.LowRankSVD:
            return tk.LowRankSVD(*(t[:few_modules, :few] for t in svd))

        providers["torch/loop"] = Provider(pair_loop, prepare=fewer, part=part, truth=lambda svd: truth(fewer(svd)))
        if ordered * r * r <= BLOCKS:
            providers["torch/einsum"] = Provider(einsum)
            providers["torch/gemm"] = Provider(each_module(whole_product))
    if compiled:
        providers["torch/compile"] = Provider(lambda svd: compiled_einsum()(svd))
    return Case(
        function="pairwise",
        **workload(model, modules, adapters, r, device),
        truth=truth,
        agrees=agrees,
        providers=providers,
        precision="float32" if device == "cpu" else "float16",
        **also,
    )


def inclusion_case(model: Model, adapters: int, r: int, *, device: str = "cpu", **also: Any) -> Case:
    """The other cases' metrics, the shares captured and the chance of REC: what each adds to the five is read off."""
    ours = f"ours/{backend('pairwise', device)}"
    providers = {}
    for more, added in (("", SHARES + CHANCE), (" shares", SHARES), (" chance", CHANCE), (" five", ())):
        metrics = METRICS + added
        providers[ours + more] = Provider(
            pairwise_by(ours, metrics),
            computes="" if not more else f"the five metrics and {more.strip()}" if added else "the five metrics alone",
            truth=partial(truth, metrics=metrics),
        )
    return Case(
        function="pairwise",
        variant="shares and chance",
        **workload(model, 1, adapters, r, device, len(METRICS + SHARES + CHANCE)),
        truth=partial(truth, metrics=METRICS + SHARES + CHANCE),
        agrees=lambda result, true: close(picked(result), true, TOLERANCE * max(1, r / 32)),  # l1 adds r errors
        providers=providers,
        precision="float32" if device == "cpu" else "float16",
        **also,
    )


def workload(
    model: Model, modules: int, adapters: int, r: int, device: str = "cpu", metrics: int = len(METRICS)
) -> dict[str, Any]:
    """What a case says of all pairs of a random zoo."""
    m, n, ordered = model.m, model.n, modules * adapters**2
    return {
        "shape": model.shape(r, modules=modules, N=adapters),
        # the blocks of one unordered pair, 2 r² (m + n) flop, give both directions
        "flop": ordered * r * r * (m + n),
        "bytes": 4 * (modules * adapters * r * (m + n + 1) + metrics * ordered),
        "inputs": lambda: random_zoo(modules, adapters, m, n, r, device),
        "device": device,
    }


def pairwise_by(
    ours: str, metrics: tuple[str, ...] = METRICS, **options: Any
) -> Callable[[tk.LowRankSVD], Mapping[str, Tensor]]:
    name = ours.partition("/")[2]
    return lambda svd: tk.pairwise(svd, metrics=metrics, backend=name, **options).forward


def agrees(result: Mapping[str, Tensor], true: Result) -> None:
    """Of picked adapters: ``result`` speaks of all, ``true`` of those."""
    close(picked(result), true)


def picks(adapters: int) -> list[int]:
    """The adapters that are compared with the reference: the first and, in other tiles and panels, the last."""
    return sorted({0, 1, adapters - 1})


def truth(svd: tk.LowRankSVD, metrics: tuple[str, ...] = METRICS, **options: Any) -> Result:
    """The reference of the picked adapters of the first and the last module, in coordinates of their own span.

    With Q an orthonormal basis of the columns of all U_i, QᵀU_i has the same inner products and but a few rows, so
    that the reference, which forms the task vectors, can be asked at any m × n.
    """
    U, S, Vh = (t[[0, -1]][:, picks(t.shape[1])].double().cpu() for t in svd)
    few = tk.LowRankSVD(in_span(U), S, in_span(Vh.mT).mT)
    return dict(reference.pairwise(few, metrics=metrics, **options).forward)


def in_span(bases: Tensor) -> Tensor:
    """(modules, N, m, r) in coordinates of the span of a module's N·r columns: (modules, N, at most N·r, r)."""
    modules, adapters, m, r = bases.shape
    Q, _ = torch.linalg.qr(bases.movedim(1, 2).reshape(modules, m, adapters * r))
    coordinates: Tensor = Q.mT[:, None] @ bases
    return coordinates


def picked(result: Mapping[str, Tensor]) -> Result:
    """What of a result of all pairs, (modules, N, N), ``truth`` speaks of."""
    chosen = picks(next(iter(result.values())).shape[-1])
    return {name: t[[0, -1]][:, chosen][:, :, chosen] for name, t in result.items()}


def spectra_metrics(s1: Tensor, s_target: Tensor, d: Tensor) -> Result:
    s2 = d.clamp(min=0)
    share1, share2 = s1 / s1.sum(-1, keepdim=True), s2 / s2.sum(-1, keepdim=True)
    return {
        "l1": (s1 - s2).abs().sum(-1),
        "l2": (s1 - s2).norm(dim=-1),
        "rec": torch.minimum(share1, share2).sum(-1).nan_to_num(0),
        "entropy_projected": -torch.special.xlogy(share2, share2).sum(-1) / math.log(s2.shape[-1]),
        "cosine": (s1 * d).sum(-1) / (s1.norm(dim=-1) * s_target.norm(dim=-1)),
    }


def pair_loop(svd: tk.LowRankSVD) -> Result:
    """What one writes first: one pair after the other, with every SVD cached."""
    U, S, Vh = svd
    modules, adapters = S.shape[:2]
    out = {name: torch.empty(modules, adapters, adapters) for name in METRICS}
    for module, i, j in product(range(modules), range(adapters), range(adapters)):
        d = ((U[module, i].mT @ U[module, j]) * (Vh[module, i] @ Vh[module, j].mT)) @ S[module, j]
        for name, value in spectra_metrics(S[module, i], S[module, j], d).items():
            out[name][module, i, j] = value
    return out


def einsum(svd: tk.LowRankSVD) -> Result:
    """All pairs of all modules in three einsums: every r × r block of them is in memory at once."""
    U, S, Vh = svd
    P = torch.einsum("...imr,...jms->...ijrs", U, U) * torch.einsum("...irn,...jsn->...ijrs", Vh, Vh)
    d = torch.einsum("...ijrs,...js->...ijr", P, S)
    return spectra_metrics(S[..., :, None, :], S[..., None, :, :], d)


@cache
def compiled_einsum() -> Callable[[tk.LowRankSVD], Result]:
    return torch.compile(einsum, dynamic=False)


def each_module(run: Callable[[tk.LowRankSVD], Result]) -> Callable[[tk.LowRankSVD], Result]:
    def all_modules(svd: tk.LowRankSVD) -> Result:
        parts = [run(tk.LowRankSVD(*(t[module] for t in svd))) for module in range(len(svd.S))]
        if len(parts) == 1:  # a view: stacking one would copy it
            return {name: t[None] for name, t in parts[0].items()}
        return {name: torch.stack([part[name] for part in parts]) for name in METRICS}

    return all_modules


def whole_product(svd: tk.LowRankSVD) -> Result:
    """One full product of all directions with all others, (N·r × N·r), both triangles of it."""
    U, S, Vh = svd
    N, m, r = U.shape
    X, Y = U.mT.reshape(N * r, m), Vh.reshape(N * r, -1)
    P = (X @ X.T).mul_(Y @ Y.T).view(N, r, N, r)
    return spectra_metrics(S[:, None], S[None], torch.einsum("irjs,js->ijr", P, S))


def row_panels(svd: tk.LowRankSVD) -> Result:
    """The best plain torch: a panel of adapters against all that remain, both directions from the block."""
    U, S, Vh = svd
    N, m, r = U.shape
    X, Y = U.mT.reshape(N * r, m), Vh.reshape(N * r, -1)
    out = {name: torch.empty(N, N, device=S.device) for name in METRICS}
    for i in range(0, N, PANEL):
        stop = min(i + PANEL, N)
        rows = slice(i * r, stop * r)
        P = (X[rows] @ X[i * r :].T).mul_(Y[rows] @ Y[i * r :].T).view(stop - i, r, N - i, r)
        forward = torch.einsum("ikjl,jl->ijk", P, S[i:])
        backward = torch.einsum("ikjl,ik->jil", P, S[i:stop])
        for name, value in spectra_metrics(S[i:stop, None], S[None, i:], forward).items():
            out[name][i:stop, i:] = value
        for name, value in spectra_metrics(S[i:, None], S[None, i:stop], backward).items():
            out[name][i:, i:stop] = value
    return out
