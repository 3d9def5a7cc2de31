"""Which implementation runs: a pure question, asked once a call, whose answer can be printed."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import torch

# in the order in which an automatic choice tries them; one module of this package each
BACKENDS = ("cpu", "cuda", "triton", "reference")
# what a backend has, where it has not everything
FUNCTIONS = {
    "cuda": ("lowrank_svd",),
    "triton": ("project", "project_dense", "pairwise", "sparsify", "compare_spectra"),
}


def usable(backend: str, device: torch.device | None = None, function: str | None = None) -> tuple[bool, str]:
    """Whether ``backend`` can run (``function``, on ``device``; None: at all), and why or why not."""
    if function is not None and backend in FUNCTIONS and function not in FUNCTIONS[backend]:
        return False, f"has {', '.join(FUNCTIONS[backend])} alone"
    if backend == "cpu":
        ok, reason = native()
        if ok and device is not None and device.type != "cpu":
            return False, f"takes CPU tensors, got {device}"
        return ok, reason
    if backend == "cuda":
        return cuda_device(device)
    if backend == "triton":
        return triton(device)
    return True, "fp64, slow, any device"


def cuda_device(device: torch.device | None) -> tuple[bool, str]:
    """Whether the CUDA kernels can run on ``device`` (None: the first): the build, the driver, the GPU, the tensors."""
    ok, reason = native()
    if not ok:
        return ok, reason
    ok, reason = cuda_problem(device.index or 0 if device is not None and device.type == "cuda" else 0)
    if ok and torch.version.cuda is None:
        return False, f"torch {torch.__version__} is built without CUDA"
    if ok and device is not None and device.type != "cuda":
        return False, f"takes CUDA tensors, got {device}"
    return ok, reason


@cache
def cuda_problem(index: int) -> tuple[bool, str]:
    problem = importlib.import_module("taskvec_kernels._C").cuda_problem(index)
    return not problem, problem or "compiled core, CUDA kernels"


@cache
def native() -> tuple[bool, str]:
    """Whether the compiled core loads, and its SIMD level or the loader's own words."""
    try:
        core = importlib.import_module("taskvec_kernels._C")
    except ImportError as error:
        return False, f"the compiled core does not load ({error}); reinstall with a C++ compiler at hand"
    return True, f"compiled core, SIMD level {core.simd_level()}"


def triton(device: torch.device | None) -> tuple[bool, str]:
    """Whether the Triton kernels run on ``device``, or on any GPU here; imports neither Triton nor its kernels."""
    if importlib.util.find_spec("triton") is None:
        return False, "Triton is not installed; pip install 'triton>=3.6'"
    version = importlib.metadata.version("triton")
    if tuple(map(int, version.split(".")[:2])) < (3, 6):
        return False, f"needs Triton 3.6 or newer, found {version}; pip install 'triton>=3.6'"
    if not torch.cuda.is_available():
        return False, f"torch {torch.__version__} sees no CUDA GPU"
    if device is not None and device.type != "cuda":
        return False, f"takes CUDA tensors, got {device}; move them with .cuda()"
    capability = torch.cuda.get_device_capability(device)
    if capability < (8, 0):
        return False, f"needs a GPU of compute capability 8.0, {torch.cuda.get_device_name(device)} has {capability}"
    return True, f"Triton {version}, {torch.cuda.get_device_name(device)}"


def implementation(function: str, backend: str | None, device: torch.device) -> Callable[..., Any]:
    """The function of the chosen backend.

    Raises:
        ValueError: ``backend`` is unknown or cannot run here; the message lists what can and why the rest cannot.
    """
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"{function}: unknown backend {backend!r}; {choices(device, function)}")
    if backend is not None and not usable(backend, device, function)[0]:
        reason = usable(backend, device, function)[1]
        raise ValueError(f"{function}: backend {backend!r} cannot run: {reason}; {choices(device, function)}")
    chosen = backend or "reference"
    if backend is None:
        for name in BACKENDS:
            if usable(name, device, function)[0]:
                chosen = name
                break
    if backend is None and chosen == "reference":
        others = [name for name in BACKENDS if name != "reference"]
        why = "; ".join(f"{name}: {usable(name, device, function)[1]}" for name in others)
        warnings.warn(f"{function} runs the slow fp64 reference on {device} ({why})", RuntimeWarning, stacklevel=2)
    result: Callable[..., Any] = getattr(loaded(chosen), function)
    return result


@cache
def loaded(backend: str) -> ModuleType:
    return importlib.import_module(f"taskvec_kernels.backends.{backend}")


def choices(device: torch.device | None = None, function: str | None = None) -> str:
    """One line: the backends that can run on ``device``, and why the others cannot."""
    names = BACKENDS
    can = [name for name in names if usable(name, device, function)[0]]
    cannot = [f"{name} ({usable(name, device, function)[1]})" for name in names if name not in can]
    return f"can run: {', '.join(can)}; cannot: {', '.join(cannot)}"


def backend_report() -> list[dict[str, Any]]:
    """Every backend with ``name``, ``usable`` and ``reason``, for ``taskvec env`` and bug reports."""
    return [{"name": name, "usable": usable(name)[0], "reason": usable(name)[1]} for name in BACKENDS]


def simd_level() -> str | None:
    """The SIMD level in use ("avx512", "avx2", "baseline"), None without the compiled core."""
    return importlib.import_module("taskvec_kernels._C").simd_level() if native()[0] else None
