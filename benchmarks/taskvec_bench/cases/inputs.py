"""Weight matrices that people adapt, and the random adapters made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk


@dataclass(frozen=True)
class Model:
    """One kind of module of a model: its shape (out × in) and how many layers have it."""

    name: str
    m: int
    n: int
    modules: int

    def shape(self, r: int, **counts: int) -> dict[str, Any]:
        """A case's shape: ``counts`` are "modules" and "N"."""
        return {"model": self.name, **counts, "m": self.m, "n": self.n, "r": r}


MODELS = (
    Model("minilm-query", 384, 384, 6),
    Model("gpt2-c_attn", 2304, 768, 12),
    Model("llama3-mistral-query", 4096, 4096, 32),
    Model("llama3-mistral-value", 1024, 4096, 32),
    Model("llama3-mistral-mlp", 14336, 4096, 32),
    Model("flux-attention", 3072, 3072, 57),
    Model("flux-linear1", 21504, 3072, 38),
)
BY_NAME = {model.name: model for model in MODELS}


def square(m: int) -> Model:
    return Model(f"square-{m}", m, m, 64)


def factors(
    count: tuple[int, ...], m: int, n: int, r: int, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """b (*count, m, r) and a (*count, r, n) of a family: half of each is common, so that no spectrum is rounding alone.

    The singular values of scale·b·a with ``scale(m, n)`` are near 1.
    """
    generator = torch.Generator(device).manual_seed(0)
    b = torch.randn(*count, m, r, generator=generator, device=device)
    b += torch.randn(m, r, generator=generator, device=device)
    a = torch.randn(*count, r, n, generator=generator, device=device)
    a += torch.randn(r, n, generator=generator, device=device)
    return b.to(dtype), a.to(dtype)


def scale(m: int, n: int) -> float:
    return float(0.5 / (m * n) ** 0.5)


def random_zoo(modules: int, adapters: int, m: int, n: int, r: int, device: str = "cpu") -> tk.LowRankSVD:
    """U (modules, adapters, m, r) and its like, of random adapters."""
    return tk.lowrank_svd(*factors((modules, adapters), m, n, r, device), scale(m, n))
