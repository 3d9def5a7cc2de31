"""Fixtures of every test; pyproject.toml has the markers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the network for a path that is not there


@pytest.fixture(scope="session")
def real_adapters() -> Path:
    """The folder of real adapters that ``TASKVEC_TEST_ADAPTERS`` names."""
    folder = os.environ.get("TASKVEC_TEST_ADAPTERS")
    if not folder:
        pytest.skip("TASKVEC_TEST_ADAPTERS names no folder of real adapters")
    if not Path(folder).is_dir():
        pytest.fail(f"TASKVEC_TEST_ADAPTERS names {folder}, which is no folder")
    return Path(folder)


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """``ctrl_c()`` sends this process SIGINT. It interrupts even where the shell has it ignored (nohup, ``&``)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "real_adapters" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)
        if "bench" in item.path.parts:
            item.add_marker(pytest.mark.slow)  # they start processes and measure
