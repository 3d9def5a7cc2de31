"""Inputs of the kernel tests, made in fp64 from a seed and rounded to the dtype asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD
from taskvec_kernels.metrics import PAIRWISE

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
ALL_PAIRWISE = PAIRWISE
WITHOUT_CHANCE = tuple(name for name in PAIRWISE if not name.startswith("rec_chance"))


def name_of(value: object) -> str:
    """Test ids: 3x5x2, float16, 1e+06."""
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return f"{value:.0e}" if isinstance(value, float) else str(value)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthonormal(*shape: int, seed: int = 0) -> Tensor:
    """(..., rows, columns) with orthonormal columns."""
    return torch.linalg.qr(random(*shape, seed=seed)).Q


def factors(
    m: int,
    n: int,
    r: int,
    *,
    batch: tuple[int, ...] = (),
    condition: float = 0.0,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """b (..., m, r) and a (..., r, n): Gaussian, or with exactly this condition number, in unrelated bases."""
    if not condition:
        return random(*batch, m, r, seed=seed).to(dtype), random(*batch, r, n, seed=seed + 1).to(dtype)
    s = condition ** -torch.linspace(0, 1, r, dtype=torch.float64)
    b = orthonormal(*batch, m, r, seed=seed) * s @ orthonormal(*batch, r, r, seed=seed + 2)
    a = orthonormal(*batch, n, r, seed=seed + 1) * s @ orthonormal(*batch, r, r, seed=seed + 3)
    return b.to(dtype), a.mT.to(dtype)


def zoo(
    adapters: int,
    m: int,
    n: int,
    k: int,
    *,
    batch: tuple[int, ...] = (),
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> LowRankSVD:
    """Adapters in canonical form: well separated spectra of different sizes, and half of the adapters related."""
    common_u, common_v = random(m, k, seed=1000), random(n, k, seed=1001)
    related = (torch.arange(adapters) % 2).double()[:, None, None]
    U = torch.linalg.qr(random(*batch, adapters, m, k, seed=seed) + 2 * related * common_u).Q
    V = torch.linalg.qr(random(*batch, adapters, n, k, seed=seed + 1) + 2 * related * common_v).Q
    decay = 0.8 ** torch.arange(k, dtype=torch.float64)
    S = decay * (1 + random(*batch, adapters, 1, seed=seed + 2).abs())
    # LAPACK's signs make every related d positive or negative alike: take the sign of the common directions
    U = U * torch.where((U * common_u).sum(-2, keepdim=True) < 0, -1.0, 1.0)
    V = V * torch.where((V * common_v).sum(-2, keepdim=True) < 0, -1.0, 1.0)
    return LowRankSVD(by_direction(U.to(dtype)), S.to(dtype), V.mT.to(dtype).contiguous())


def by_direction(U: Tensor) -> Tensor:
    """Stored as ``lowrank_svd`` stores it: U.mT is contiguous."""
    return U.mT.contiguous().mT


def pick(svd: LowRankSVD, index: slice | list[int]) -> LowRankSVD:
    """Some adapters of a zoo without batch dimensions."""
    return LowRankSVD(*(t[index] for t in svd))


def joined(x: LowRankSVD, y: LowRankSVD) -> LowRankSVD:
    return LowRankSVD(*(torch.cat([a, b]) for a, b in zip(x, y, strict=True)))


def padded(svd: LowRankSVD, k: int) -> LowRankSVD:
    """The same adapters with zero directions up to k."""
    more = k - svd.S.shape[-1]
    pad = torch.nn.functional.pad
    return LowRankSVD(pad(svd.U, (0, more)), pad(svd.S, (0, more)), pad(svd.Vh, (0, 0, 0, more)))
