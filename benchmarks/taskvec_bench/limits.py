"""What the machine itself can do, by torch: products and copies. Every other row is a share of these."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from .case import Case, Provider
from .rows import LIMIT

SIZES = {"float32": 4096, "float64": 3072}
COPIED = 1 << 26  # fp32 numbers: far beyond any cache


@cache
def operands(size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Kept from case to case of a process, as are its pages."""
    return (
        torch.randn(size, size, dtype=dtype),
        torch.randn(size, size, dtype=dtype),
        torch.empty(size, size, dtype=dtype),
    )


def matmul_case(precision: Literal["float32", "float64"], threads: int | None) -> Case:
    size = SIZES[precision]
    return Case(
        function=LIMIT,
        variant=precision,
        shape={"m": size, "n": size},
        flop=2 * size**3,
        bytes=0,
        inputs=lambda: operands(size, getattr(torch, precision)),
        truth=nothing,
        agrees=nothing_said,
        providers={"torch/mm": Provider(lambda t: torch.mm(t[0], t[1], out=t[2]))},
        precision=precision,
        threads=threads,
        quick=True,
    )


def copy_case(threads: int | None) -> Case:
    return Case(
        function=LIMIT,
        variant="copy",
        shape={"n": COPIED},
        flop=0,
        bytes=2 * 4 * COPIED,
        inputs=lambda: (torch.randn(COPIED), torch.empty(COPIED)),
        truth=nothing,
        agrees=nothing_said,
        providers={"torch/copy": Provider(lambda t: t[1].copy_(t[0]))},
        threads=threads,
        quick=True,
    )


def nothing(inputs: Any) -> None:
    """The limits are torch's own: there is nothing to compare them with."""


def nothing_said(result: Any, truth: Any) -> None:
    pass
