"""What the machine itself can do, by torch: products and copies. Every other row is a share of these."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from .case import Case, Provider

LIMIT = "limit"  # the function of these cases
SIZES = {"cpu": {"float32": 4096, "float64": 3072}, "cuda": {"float16": 8192, "float64": 8192}}
COPIED = {"cpu": 1 << 26, "cuda": 1 << 29}  # fp32 numbers: far beyond any cache


def limit_cases(device: str, threads: int | None = None) -> Iterator[Case]:
    # the limits are torch's own: there is nothing to compare them with
    also: dict[str, Any] = {"function": LIMIT, "device": device, "threads": threads, "quick": True}
    also |= {"truth": lambda inputs: (), "agrees": lambda result, truth: None}
    for precision, size in SIZES[device].items():
        yield Case(
            variant=precision,
            precision=precision,
            shape={"m": size, "n": size},
            flop=2 * size**3,
            bytes=0,
            inputs=partial(operands, size, precision, device),
            providers={"torch/mm": Provider(lambda t: torch.mm(t[0], t[1], out=t[2]))},
            **also,
        )
    count = COPIED[device]
    yield Case(
        variant="copy",
        shape={"n": count},
        flop=0,
        bytes=2 * 4 * count,
        inputs=lambda: (torch.randn(count, device=device), torch.empty(count, device=device)),
        providers={"torch/copy": Provider(lambda t: t[1].copy_(t[0]))},
        **also,
    )


@cache
def operands(size: int, precision: str, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Kept from case to case of a process, as are its pages."""
    a, b = (torch.randn(size, size, device=device).to(getattr(torch, precision)) for _ in range(2))
    return a, b, torch.empty_like(a)
