"""Tests that need a GPU: skipped, with the reason, where there is none; failed where a backend was there and idle."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from taskvec_kernels.backends import cuda
from taskvec_kernels.dispatch import operators, registry

from ..kernels.conftest import Poisoned

GPU = torch.device("cuda", 0)
ran: Counter[str] = Counter()  # calls of each backend on CUDA tensors


def problem() -> str:
    """Why there is nothing to test here; empty when there is."""
    if not torch.cuda.is_available():
        built = "a GPU" if torch.version.cuda else f"a torch with CUDA (this is {torch.__version__})"
        return f"needs {built}"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "gpu" in item.path.parts:
            item.add_marker(pytest.mark.gpu)
            if problem():
                item.add_marker(pytest.mark.skip(reason=problem()))


class PoisonedOutputs(Poisoned):
    """``torch``, but for ``empty``: floating point outputs are NaN until a kernel writes them."""

    @staticmethod
    def empty(*size: Any, **options: Any) -> torch.Tensor:
        make = Poisoned.empty if options["dtype"].is_floating_point else torch.empty
        return make(*size, **options)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "torch", PoisonedOutputs())


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which backends the operators ran."""
    choose = registry.implementation

    def implementation(function: str, backend: str | None, device: torch.device) -> Any:
        chosen = choose(function, backend, device)
        if device.type == "cuda":
            ran[chosen.__module__.removeprefix("taskvec_kernels.").split(".")[0]] += 1
        return chosen

    monkeypatch.setattr(operators, "implementation", implementation)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A backend that is present and ran nothing fails a run that was not narrowed down."""
    options = session.config.option
    if problem() or options.keyword or options.collectonly or any("::" in name for name in session.config.args):
        return
    names = [name for name in registry.BACKENDS if name not in ("cpu", "reference")]
    idle = [name for name in names if registry.usable(name, GPU)[0] and not ran[name]]
    if idle:
        print(f"\ntests/gpu: {', '.join(idle)} can run here and ran no test: {dict(ran)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def gpu() -> torch.device:
    return GPU


@pytest.fixture(params=["cuda"])
def native_backend(request: pytest.FixtureRequest) -> str:
    """The backend of lowrank_svd, forced; a test that needs it fails where the build lacks it."""
    ok, reason = registry.usable(request.param, GPU)
    assert ok, f"backend {request.param!r} cannot run beside a GPU: {reason}"
    return str(request.param)
