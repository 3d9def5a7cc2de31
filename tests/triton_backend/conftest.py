"""The Triton kernels under Triton's interpreter, on CPU tensors: ``TRITON_INTERPRET=1`` before the first import.

``tests/kernels/test_triton.py`` runs this folder in such a process; in any other nothing here is collected.
"""

from __future__ import annotations

import os

import pytest

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
collect_ignore_glob = [] if INTERPRETED else ["test_*.py"]

# NumPy computes both sides of a where, and reads a loop's bounds from arrays of one element
QUIET = ("ignore::RuntimeWarning", "ignore::DeprecationWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "triton_backend" in item.path.parts:
            for rule in QUIET:
                item.add_marker(pytest.mark.filterwarnings(rule))


if INTERPRETED:
    from taskvec_kernels.backends.triton import compare, dense, factors, pairs, reduce, sparse
    from taskvec_kernels.backends.triton.launch import Tile
    from taskvec_kernels.dispatch import registry
    from tests.kernels.conftest import Poisoned

    @pytest.fixture(autouse=True)
    def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
        """The backend takes CPU tensors, and every output and workspace is full of NaN before it is filled."""
        monkeypatch.setattr(registry, "triton", lambda device: (True, "Triton's interpreter"))
        for module in (compare, dense, factors, pairs, reduce, sparse):
            monkeypatch.setattr(module, "torch", Poisoned())

    @pytest.fixture
    def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
        """Many tiles for little work: 32 × 64, so that an adapter may have 32 directions at most."""
        monkeypatch.setattr(pairs, "tile", lambda on, how: Tile(32, 64, 64, 4, 2))
