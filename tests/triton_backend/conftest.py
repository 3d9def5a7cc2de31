"""The Triton kernels under Triton's interpreter, on CPU tensors, which takes ``TRITON_INTERPRET=1`` before the first
import:

    TRITON_INTERPRET=1 python -m pytest tests/triton_backend
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

import pytest

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
MISSING = importlib.util.find_spec("triton") is None
RECIPE = "under Triton's interpreter alone: TRITON_INTERPRET=1 python -m pytest tests/triton_backend"

# NumPy computes both sides of a where, and reads a loop's bounds from arrays of one element
QUIET = ("ignore::RuntimeWarning", "ignore::DeprecationWarning")


class WithoutTriton(pytest.Module):
    """A file of tests whose imports fail."""

    def collect(self) -> list[pytest.Item]:
        raise pytest.skip.Exception("Triton is not installed", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return WithoutTriton.from_parent(parent, path=module_path) if MISSING else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.triton)
            if not INTERPRETED:
                item.add_marker(pytest.mark.skip(reason=RECIPE))
            for rule in QUIET:
                item.add_marker(pytest.mark.filterwarnings(rule))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if MISSING and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


if INTERPRETED and not MISSING:
    from taskvec_kernels.backends.triton import compare, dense, factors, pairs, reduce, sides, sparse
    from taskvec_kernels.backends.triton.launch import Tile
    from taskvec_kernels.dispatch import registry
    from tests.kernels.conftest import Poisoned

    @pytest.fixture(autouse=True)
    def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
        """The backend takes CPU tensors, and every output and workspace is full of NaN before it is filled."""
        there = replace(registry.BACKENDS["triton"], usable=lambda device: (True, "Triton's interpreter"))
        monkeypatch.setitem(registry.BACKENDS, "triton", there)
        for module in (compare, dense, factors, pairs, reduce, sides, sparse):
            monkeypatch.setattr(module, "torch", Poisoned())

    @pytest.fixture
    def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
        """Many tiles for little work: 32 × 64, so that an adapter may have 32 directions at most."""
        monkeypatch.setattr(pairs, "tile", lambda on, how: Tile(32, 64, 64, 4, 2))
