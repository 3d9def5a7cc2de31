"""``out=`` of the Triton backend: its kernels write to the memory given."""

from __future__ import annotations

import pytest

from tests.kernels.compare import assert_same_bits
from tests.kernels.test_out import CALLS, empty_like


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("lowrank_svd")])
def test_the_same_bits(name: str) -> None:
    want = CALLS[name](backend="triton")
    out = empty_like(want)
    assert CALLS[name](backend="triton", out=out) is out
    assert_same_bits(out, want)
