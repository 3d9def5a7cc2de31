"""Fixtures of every test: the real adapters, where there are any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_adapters() -> Path:
    """The folder of real adapters that ``TASKVEC_TEST_ADAPTERS`` names."""
    folder = os.environ.get("TASKVEC_TEST_ADAPTERS")
    if not folder:
        pytest.skip("TASKVEC_TEST_ADAPTERS names no folder of real adapters")
    if not Path(folder).is_dir():
        pytest.fail(f"TASKVEC_TEST_ADAPTERS names {folder}, which is no folder")
    return Path(folder)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "peft: compares with what the peft package itself computes")
    config.addinivalue_line("markers", "gpu: needs a GPU and a torch with CUDA")
    config.addinivalue_line("markers", "triton: Triton's kernels under its interpreter, TRITON_INTERPRET=1")
