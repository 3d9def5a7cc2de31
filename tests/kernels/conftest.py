"""Fixtures of the kernel tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from taskvec_kernels.backends import cpu as native


class Poisoned:
    """``torch``, but for ``empty``: what it gives is NaN, so that a result nobody wrote is seen."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def empty(*size: Any, **options: Any) -> torch.Tensor:
        return torch.full(size[0] if len(size) == 1 and not isinstance(size[0], int) else size, torch.nan, **options)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every output that the CPU backend allocates is full of NaN before the core fills it."""
    monkeypatch.setattr(native, "torch", Poisoned())


@pytest.fixture
def threads() -> Iterator[Any]:
    """``torch.set_num_threads`` that is undone."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
