"""Nine ways to make C of A, so that A is inside C by construction: what says so, of 100 draws each.

A draw has 24 modules, as a model has; shares are pooled over them, REC and L₁ are plain means, as in the paper. The
figures are those of docs/METHOD.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, lowrank_svd, pairwise

DRAWS, MODULES = 100, 24
M, N, R = 96, 64, 8
METHOD = (Path(__file__).parents[2] / "docs/METHOD.md").read_text()

Factors = tuple[Tensor, Tensor]  # B (L, m, r), A (L, r, n)
Make = Callable[[torch.Generator], tuple[Factors, Factors]]  # of L modules: A and C


def orthonormal(generator: torch.Generator, size: int, count: int) -> Tensor:
    draws = torch.randn(DRAWS * MODULES, size, count, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(draws).Q  # [L, size, count]


def spectrum(generator: torch.Generator, count: int = R) -> Tensor:
    """Descending, as spread as those of real adapters, of modules that differ in size."""
    size, values = (torch.randn(DRAWS * MODULES, n, generator=generator, dtype=torch.float64).exp() for n in (1, count))
    return size * values.sort(-1, descending=True).values  # [L, count]


def two(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """U, S, V of two tasks that have nothing in common: the sides of one are orthogonal to those of the other."""
    U, V = orthonormal(generator, M, 2 * R), orthonormal(generator, N, 2 * R)
    return U[..., :R], spectrum(generator), V[..., :R], U[..., R:], spectrum(generator), V[..., R:]


def factors(U: Tensor, S: Tensor, V: Tensor) -> Factors:
    return U * S[..., None, :], V.mT


def add(*parts: Factors) -> Factors:
    return torch.cat([b for b, _ in parts], -1), torch.cat([a for _, a in parts], -2)


def cut(one: Factors, rank: int = R) -> Factors:
    svd = lowrank_svd(*one)
    return svd.U[..., :rank] * svd.S[..., None, :rank], svd.Vh[..., :rank, :]


def disjoint(generator: torch.Generator) -> tuple[Factors, Factors]:
    U, S, V, *other = two(generator)
    return factors(U, S, V), add(factors(U, S, V), factors(*other))


def shared_output(generator: torch.Generator) -> tuple[Factors, Factors]:
    U, S, V, _, T, W = two(generator)
    turned = U @ orthonormal(generator, R, R)
    return factors(U, S, V), add(factors(U, S, V), factors(turned, T, W))


def shared_input(generator: torch.Generator) -> tuple[Factors, Factors]:
    U, S, V, W, T, _ = two(generator)
    turned = V @ orthonormal(generator, R, R)
    return factors(U, S, V), add(factors(U, S, V), factors(W, T, turned))


def truncated(generator: torch.Generator) -> tuple[Factors, Factors]:
    inner, whole = disjoint(generator)
    return inner, cut(whole)


def top_half(generator: torch.Generator) -> tuple[Factors, Factors]:
    U, S, V, *_ = two(generator)
    return factors(U[..., : R // 2], S[..., : R // 2], V[..., : R // 2]), factors(U, S, V)


def random_half(generator: torch.Generator) -> tuple[Factors, Factors]:
    U, S, V, *_ = two(generator)
    some = torch.randperm(R, generator=generator)[: R // 2]
    return factors(U[..., some], S[..., some], V[..., some]), factors(U, S, V)


def scaled(generator: torch.Generator) -> tuple[Factors, Factors]:
    (b, a), whole = truncated(generator)
    return (3 * b, a), whole


def rotated(generator: torch.Generator) -> tuple[Factors, Factors]:
    """All singular values of C are equal: which directions an SVD returns is arbitrary."""
    U, _, V, W, _, X = two(generator)
    turn = orthonormal(generator, 2 * R, 2 * R)
    return factors(U, torch.ones(1, R), V), (torch.cat([U, W], -1) @ turn, turn.mT @ torch.cat([V, X], -1).mT)


def noisy(generator: torch.Generator) -> tuple[Factors, Factors]:
    """A sum cut to rank 8, with noise of 30 % on the factors of both."""
    inner, whole = truncated(generator)
    return with_noise(generator, inner), with_noise(generator, whole)


def with_noise(generator: torch.Generator, one: Factors) -> Factors:
    """Each factor of U √S and √S Vᴴ with noise of 30 % of its size."""
    svd = lowrank_svd(*one)
    root = svd.S.sqrt()
    balanced = svd.U * root[..., None, :], root[..., None] * svd.Vh
    sizes = (factor.square().mean((-1, -2), keepdim=True).sqrt() for factor in balanced)
    draws = (torch.randn(factor.shape, generator=generator, dtype=factor.dtype) for factor in balanced)
    b, a = (factor + 0.3 * size * draw for factor, size, draw in zip(balanced, sizes, draws, strict=True))
    return b, a


FAMILIES: dict[str, Make] = {
    "sum, disjoint sides": disjoint,
    "sum, shared output side": shared_output,
    "sum, shared input side": shared_input,
    "sum, cut to rank 8": truncated,
    "sum, cut to rank 8; A scaled by 3": scaled,
    "sum, equal singular values, rotated": rotated,
    "sum, cut to rank 8, 30 % noise": noisy,
    "first four directions": top_half,
    "four directions at random": random_half,
}


@lru_cache(maxsize=1)
def shares_right() -> dict[str, dict[str, float]]:
    """By family and metric: the share of draws in which C→A is nearer than A→C."""
    generator = torch.Generator().manual_seed(14)
    return {name: shares_right_of(make(generator)) for name, make in FAMILIES.items()}


def shares_right_of(pair: tuple[Factors, Factors]) -> dict[str, float]:
    inner, whole = (lowrank_svd(b.float(), a.float()) for b, a in pair)
    x, y = (LowRankSVD(*(part.unsqueeze(1) for part in side)) for side in (whole, inner))  # one adapter each
    ways = pairwise(x, y, metrics=["captured", "rec", "l1"])
    found = []
    for way, target in ((ways.forward, inner), (ways.backward, whole)):  # C→A, A→C
        values = {name: by_draw(t[:, 0, 0]) for name, t in way.items()}  # [modules, draws]
        square = by_draw(target.S.double().square().sum(-1))
        pooled = (values["captured"] * square).sum(0) / square.sum(0)
        found.append({"captured": pooled, "rec": values["rec"].mean(0), "l1": -values["l1"].mean(0)})
    return {name: float((found[0][name] > found[1][name]).mean()) for name in found[0]}


def by_draw(values: Tensor) -> np.ndarray:
    return values.reshape(DRAWS, MODULES).T.double().numpy()  # [modules, draws]


@pytest.mark.parametrize("family", FAMILIES)
def test_captured_is_right_in_every_draw(family: str) -> None:
    assert shares_right()[family]["captured"] == 1.0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_figures_of_the_docs(family: str) -> None:
    row = re.search(rf"^\| {re.escape(family)} \|(.*)\|$", METHOD, re.MULTILINE)
    assert row is not None, f"docs/METHOD.md has no row {family!r}"
    found = shares_right()[family]
    assert [float(cell) for cell in row[1].split("|")] == [round(found[name], 2) for name in ("captured", "rec", "l1")]
