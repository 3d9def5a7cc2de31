"""Tests that need a GPU: skipped, with the reason, where there is none; failed where a backend was there and idle.

Each file names the backends that its tests must have run, in ``BACKENDS``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
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
        if item.path.is_relative_to(Path(__file__).parent):
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
            ran[chosen.__module__.removeprefix("taskvec_kernels.backends.").split(".")[0]] += 1
        return chosen

    monkeypatch.setattr(operators, "implementation", implementation)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A backend that is present and ran nothing fails a run that was not narrowed down."""
    options = session.config.option
    if problem() or options.keyword or options.collectonly or any("::" in name for name in session.config.args):
        return
    names = {name for item in session.items for name in getattr(item.getparent(pytest.Module).obj, "BACKENDS", ())}
    idle = [name for name in sorted(names) if registry.usable(name, GPU)[0] and not ran[name]]
    if idle:
        print(f"\ntests/gpu: {', '.join(idle)} can run here and ran no test: {dict(ran)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def gpu() -> torch.device:
    return GPU


def on_a_busy_stream(call: Callable[[], Any]) -> Any:
    """What ``call`` gives on a stream of its own, on which the GPU sleeps for about 0.1 s: it must not wait for it.

    ``call`` runs once before, so that the stream has memory: its first allocation may stop for cudaMalloc.
    """
    stream, before = torch.cuda.Stream(), torch.cuda.Event()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        call()
        stream.synchronize()
        torch.cuda._sleep(200_000_000)
        before.record()
        out = call()
        assert not before.query(), "the call waited for the GPU"
    torch.cuda.synchronize()
    return out


@pytest.fixture(params=["cuda"])
def native_backend(request: pytest.FixtureRequest) -> str:
    """The backend of lowrank_svd, forced; a test that needs it fails where the build lacks it."""
    ok, reason = registry.usable(request.param, GPU)
    assert ok, f"backend {request.param!r} cannot run beside a GPU: {reason}"
    return str(request.param)
