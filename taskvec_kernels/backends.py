"""Which implementation runs: a pure question, asked once a call, whose answer can be printed."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import torch

# in the order in which an automatic choice tries them; one module of this package each
BACKENDS = ("cpu", "reference")
PLANNED = {
    "cuda": "the CUDA kernels are not part of this version",
    "triton": "the Triton kernels are not part of this version",
}


def usable(backend: str, device: torch.device | None = None) -> tuple[bool, str]:
    """Whether ``backend`` can run on ``device`` (None: at all), and why or why not."""
    if backend in PLANNED:
        return False, PLANNED[backend]
    if backend == "reference":
        return True, "fp64, slow, any device"
    ok, reason = native()
    if ok and device is not None and device.type != "cpu":
        return False, f"takes CPU tensors, got {device}"
    return ok, reason


@cache
def native() -> tuple[bool, str]:
    """Whether the compiled core loads, and its SIMD level or the loader's own words."""
    try:
        core = importlib.import_module("taskvec_kernels._C")
    except ImportError as error:
        return False, f"the compiled core does not load ({error}); reinstall with a C++ compiler at hand"
    return True, f"compiled core, SIMD level {core.simd_level()}"


def implementation(function: str, backend: str | None, device: torch.device) -> Callable[..., Any]:
    """The function of the chosen backend.

    Raises:
        ValueError: ``backend`` is unknown or cannot run here; the message lists what can and why the rest cannot.
    """
    if backend is not None and backend not in (*BACKENDS, *PLANNED):
        raise ValueError(f"{function}: unknown backend {backend!r}; {choices(device)}")
    if backend is not None and not usable(backend, device)[0]:
        raise ValueError(f"{function}: backend {backend!r} cannot run: {usable(backend, device)[1]}; {choices(device)}")
    chosen = backend or next(name for name in BACKENDS if usable(name, device)[0])
    if backend is None and chosen == "reference":
        why = "; ".join(f"{name}: {usable(name, device)[1]}" for name in BACKENDS if name != "reference")
        warnings.warn(f"{function} runs the slow fp64 reference on {device} ({why})", RuntimeWarning, stacklevel=2)
    result: Callable[..., Any] = getattr(module(chosen), function)
    return result


def module(backend: str) -> ModuleType:
    name = {"cpu": "native", "reference": "oracle"}[backend]
    return importlib.import_module(f"taskvec_kernels.{name}")


def choices(device: torch.device | None = None) -> str:
    """One line: the backends that can run on ``device``, and why the others cannot."""
    names = (*BACKENDS, *PLANNED)
    can = [name for name in names if usable(name, device)[0]]
    cannot = [f"{name} ({usable(name, device)[1]})" for name in names if name not in can]
    return f"can run: {', '.join(can)}; cannot: {', '.join(cannot)}"


def backend_report() -> list[dict[str, Any]]:
    """Every backend with ``name``, ``usable`` and ``reason``, for ``taskvec env`` and bug reports."""
    return [{"name": name, "usable": usable(name)[0], "reason": usable(name)[1]} for name in (*BACKENDS, *PLANNED)]


def simd_level() -> str | None:
    """The SIMD level in use ("avx512", "avx2", "baseline"), None without the compiled core."""
    return importlib.import_module("taskvec_kernels._C").simd_level() if native()[0] else None
