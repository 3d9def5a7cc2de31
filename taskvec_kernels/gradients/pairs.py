"""``pairwise``: blocks of P = (U_iᵀU_j) ∘ (V_iᵀV_j), a few rows of adapters at a time, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..metrics import METRICS
from .metrics import Compared, live, metric
from .rule import Arguments, Formula, Outputs, Tangents, Wanted, norm_last
from .sparse import minimiser

OF_BLOCKS = {record.name for record in METRICS if "cross" in record.needs}
ELEMENTS = 2**21  # of P at a time, and a few times as many of what comes of it
ROWS = (-3, -2, -3, -1)  # the dimension of the adapters in U, S, Vh and norm
PARTS = len(ROWS)
X, Y = slice(0, 4), slice(5, 9)  # the places of these in the arguments; seeds follow
SIDES = 10


class Request(NamedTuple):
    """What a call asks for, its tensors apart."""

    two: bool  # x with y, both ways
    metrics: Sequence[str]
    spectra: bool
    p: float | None
    lam: Sequence[float]
    method: str
    norm: str

    @property
    def names(self) -> list[str]:
        """Of the outputs of one way."""
        return [*self.metrics, "spectra", "d"] if self.spectra else list(self.metrics)

    def name(self, output: int) -> str:
        return self.names[output % len(self.names)]

    def is_forward(self, output: int) -> bool:
        return output < len(self.names)

    def rows(self, output: int) -> int:
        """The dimension of an output that belongs to the adapters of x."""
        return (-2 if self.is_forward(output) else -1) - (self.name(output) in ("spectra", "d"))


class Pairs:
    """The rule of ``pairwise``: ``block`` for some rows of x with all of y, one after the other."""

    def vjp(
        self, arguments: Arguments, outputs: Outputs, cotangents: Tangents, needed: Sequence[bool]
    ) -> list[Tensor | None]:
        request, x, y = read(arguments)
        needs = [*needed[X], *(needed[Y] if request.two else needed[X])]
        found: list[list[Tensor | None]] = []  # one list a block: of U, S, Vh and norm of x, and of y
        for start, count in row_blocks(x[1], y[1]):
            rows = [None if t is None else t.narrow(request.rows(i), start, count) for i, t in enumerate(cotangents)]
            formula = Formula(partial(block, request))
            found.append(formula.vjp([*narrowed(x, start, count), *y], outputs, rows, needs))
        parts = list(zip(*found, strict=True))
        of_x = [joined(part, dim) for part, dim in zip(parts[:PARTS], ROWS, strict=True)]
        of_y = [total(part) for part in parts[PARTS:]]
        gradients: list[Tensor | None] = [None] * len(arguments)
        if request.two:
            gradients[X], gradients[Y] = of_x, of_y
        else:
            gradients[X] = [total(both) for both in zip(of_x, of_y, strict=True)]
        return gradients

    def jvp(self, arguments: Arguments, outputs: Outputs, tangents: Tangents) -> list[Tensor]:
        request, x, y = read(arguments)
        dx, dy = tangents[X], tangents[Y] if request.two else tangents[X]
        found = [
            Formula(partial(block, request)).jvp(
                [*narrowed(x, start, count), *y],
                [t.narrow(request.rows(i), start, count) for i, t in enumerate(outputs)],
                [*narrowed(dx, start, count), *dy],
            )
            for start, count in row_blocks(x[1], y[1])
        ]
        return [torch.cat(parts, request.rows(i)) for i, parts in enumerate(zip(*found, strict=True))]


def read(arguments: Arguments) -> tuple[Request, list[Tensor], list[Tensor]]:
    """What is asked for, and U, S, Vh and norm of x, and of y or of x once more."""
    metrics, spectra, _, p, lam, method, norm, *_ = arguments[SIDES:]
    x, y = list(arguments[X]), list(arguments[Y])
    two = y[0] is not None
    return Request(two, metrics, spectra, p, lam, method, norm), x, y if two else x


def row_blocks(x_S: Tensor, y_S: Tensor) -> Iterator[tuple[int, int]]:
    """(start, count) of the adapters of x that one block takes."""
    *_, adapters, k = x_S.shape
    most = max(1, ELEMENTS // max(1, y_S.numel() * k))
    for start in range(0, adapters, most):
        yield start, min(most, adapters - start)


def narrowed(parts: Sequence[Tensor | None], start: int, count: int) -> list[Tensor | None]:
    return [None if t is None else t.narrow(dim, start, count) for t, dim in zip(parts, ROWS, strict=True)]


def joined(parts: Sequence[Tensor | None], dim: int) -> Tensor | None:
    found = [t for t in parts if t is not None]
    return torch.cat(found, dim) if found else None


def total(parts: Sequence[Tensor | None]) -> Tensor | None:
    found = [t for t in parts if t is not None]
    return sum(found[1:], found[0]) if found else None


def block(request: Request, arguments: Arguments, wanted: Wanted) -> list[Tensor]:
    """The wanted outputs of some rows of x with all of y."""
    x, y = arguments[:PARTS], arguments[PARTS:]
    gram_u = torch.einsum("...imk,...jml->...ijkl", x[0], y[0])
    gram_v = torch.einsum("...ikn,...jln->...ijkl", x[2], y[2])
    P = gram_u * gram_v  # [..., N, M, k_x, k_y]
    needed = any(request.name(i) in OF_BLOCKS for i in wanted)
    crosses = [gram.square().sum((-2, -1)) for gram in (gram_u, gram_v)] if needed else []
    found: list[Tensor] = []
    if forward := [request.name(i) for i in wanted if request.is_forward(i)]:
        d = torch.einsum("...ijkl,...jl->...ijk", P, y[1])
        found += one_way(request, forward, x, y, d, crosses, squares_held(forward, gram_u, gram_v, y[1]))
    if backward := [request.name(i) for i in wanted if not request.is_forward(i)]:
        d = torch.einsum("...ijkl,...ik->...jil", P, x[1])
        back_u, back_v = (gram.transpose(-4, -3).mT for gram in (gram_u, gram_v))
        found += one_way(
            request, backward, y, x, d, [cross.mT for cross in crosses], squares_held(backward, back_u, back_v, x[1])
        )
    return found


def squares_held(names: Sequence[str], gram_u: Tensor, gram_v: Tensor, S: Tensor) -> list[Tensor]:
    """‖U₁ᵀτ₂V₁‖², ‖U₁ᵀτ₂‖², ‖τ₂V₁‖² (..., N, M) of blocks (..., N, M, k_1, k_2) and the targets' S (..., M, k_2)."""
    if not any(name.startswith("captured") for name in names):
        return []
    left, right = (gram * S[..., None, :, None, :] for gram in (gram_u, gram_v))
    return [part.square().sum((-2, -1)) for part in (left @ gram_v.mT, left, right)]


def one_way(
    request: Request,
    names: Sequence[str],
    source: Sequence[Tensor],
    target: Sequence[Tensor],
    d: Tensor,
    crosses: Sequence[Tensor],
    held: Sequence[Tensor],
) -> list[Tensor]:
    """The named outputs of source→target, from d (..., N, M, k), and what its blocks hold, squares (..., N, M)."""
    source_norm, target_norm = length(source)[..., :, None], length(target)[..., None, :]
    s2 = projected(request, d, target_norm)  # [L, ..., N, M, k]
    c = Compared(
        s1=source[1][..., :, None, :],
        s2=s2,
        p=request.p,
        d=d,
        source_norm=source_norm,
        target_norm=target_norm,
        source_rank=live(source[1])[..., :, None],
        target_rank=live(target[1])[..., None, :],
        crosses=crosses,
        held=held,
        size=source[0].shape[-2] * source[2].shape[-1],
    )
    kept = {"spectra": s2, "d": d}
    return [kept[name] if name in kept else metric("pairwise", name, c).expand(s2.shape[:-1]) for name in names]


def length(side: Sequence[Tensor]) -> Tensor:
    """‖τ‖ of each adapter."""
    _, S, _, given = side
    return norm_last(S) if given is None else given


def projected(request: Request, d: Tensor, target_norm: Tensor) -> Tensor:
    """S₂ for each λ, (L, ...)."""
    if request.method == "exact" and not any(request.lam):
        return d.relu().expand(len(request.lam), *d.shape)
    lam = torch.stack([d.new_full((), value) for value in request.lam]).reshape(-1, *[1] * (d.dim() - 1))
    return minimiser("pairwise", d, target_norm, lam, request.method, request.norm)


PAIRWISE = Pairs()
