"""The backend "reference": the functions of ``reference`` behind the operators' flat signatures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import reference
from .arguments import result_dtype
from .types import LowRankSVD


def lowrank_svd(b: Tensor, a: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    U, S, Vh = reference.lowrank_svd(b, a, scale)
    dtype = result_dtype(b, a)
    return U.mT.to(dtype, memory_format=torch.contiguous_format).contiguous(), S.to(dtype), Vh.to(dtype).contiguous()


def project(U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: Tensor, clip: bool) -> Tensor:
    return reference.project(U, Vh, b, a, scale, clip=clip).to(result_dtype(U, Vh, b, a)).contiguous()


def project_dense(U: Tensor, Vh: Tensor, tau: Tensor, clip: bool) -> Tensor:
    return reference.project_dense(U, Vh, tau, clip=clip).to(result_dtype(U, Vh, tau)).contiguous()


def compare_spectra(s1: Tensor, s2: Tensor, metrics: Sequence[str], p: float | None) -> list[Tensor]:
    values = reference.compare_spectra(s1, s2, metrics=metrics, p=p)
    return [value.to(result_dtype(s1, s2)).contiguous() for value in values.values()]


def pairwise(
    x: LowRankSVD, y: LowRankSVD | None, metrics: Sequence[str], spectra: bool, precision: str, p: float | None
) -> list[Tensor]:
    del precision  # always fp64
    forward, backward = reference.pairwise(x, y, metrics=metrics, spectra=spectra, p=p)
    values = [*forward.values(), *(backward or {}).values()]
    return [value.to(result_dtype(*x)).contiguous() for value in values]
