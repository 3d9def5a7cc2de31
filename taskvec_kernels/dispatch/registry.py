"""Which implementation runs: a pure question, asked once a call, whose answer can be printed."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch

from . import usable as can_run

FUNCTIONS = ("lowrank_svd", "project", "project_dense", "pairwise", "sparsify", "compare_spectra")


@dataclass(frozen=True)
class Backend:
    """One way to run the functions.

    Attributes:
        name: what ``backend=`` takes.
        module: with a function for each of ``functions``; imported when it is chosen.
        functions: those that it implements.
        usable: whether it can run on a device (None: on any), and why or why not.
    """

    name: str
    module: str
    functions: tuple[str, ...]
    usable: Callable[[torch.device | None], tuple[bool, str]]


# in the order in which an automatic choice tries them
BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("cpu", "taskvec_kernels.backends.cpu", FUNCTIONS, can_run.cpu),
        Backend("cuda", "taskvec_kernels.backends.cuda", ("lowrank_svd",), can_run.cuda),
        Backend("triton", "taskvec_kernels.backends.triton", FUNCTIONS[1:], can_run.triton),
        Backend("reference", "taskvec_kernels.backends.reference", FUNCTIONS, can_run.anywhere),
    )
}


def usable(backend: str, device: torch.device | None = None, function: str | None = None) -> tuple[bool, str]:
    """Whether ``backend`` can run (``function``, on ``device``; None: at all), and why or why not."""
    if function is not None and function not in BACKENDS[backend].functions:
        return False, f"does not implement {function}"
    return BACKENDS[backend].usable(device)


def implementation(function: str, backend: str | None, device: torch.device) -> Callable[..., Any]:
    """The function of the chosen backend.

    Raises:
        ValueError: ``backend`` is unknown or cannot run here; the message lists what can and why the rest cannot.
    """
    name = chosen(function, backend, device)
    if backend is None and name == "reference":
        others = "; ".join(f"{other}: {usable(other, device, function)[1]}" for other in BACKENDS if other != name)
        warnings.warn(f"{function} runs the slow fp64 reference on {device} ({others})", RuntimeWarning, stacklevel=2)
    result: Callable[..., Any] = getattr(loaded(name), function)
    return result


def chosen(function: str, backend: str | None, device: torch.device) -> str:
    """The name of the backend that runs ``function`` on ``device``; ValueError as ``implementation`` raises it."""
    if backend is None:
        for record in BACKENDS.values():  # a loop costs half of what a generator does, and every call is asked here
            if function in record.functions and record.usable(device)[0]:
                break
        return record.name
    if backend not in BACKENDS:
        raise ValueError(f"{function}: unknown backend {backend!r}; {choices(device, function)}")
    ok, reason = usable(backend, device, function)
    if not ok:
        raise ValueError(f"{function}: backend {backend!r} cannot run: {reason}; {choices(device, function)}")
    return backend


@cache
def loaded(backend: str) -> ModuleType:
    return importlib.import_module(BACKENDS[backend].module)


def choices(device: torch.device | None = None, function: str | None = None) -> str:
    """One line: the backends that can run on ``device``, and why the others cannot."""
    can = [name for name in BACKENDS if usable(name, device, function)[0]]
    cannot = [f"{name} ({usable(name, device, function)[1]})" for name in BACKENDS if name not in can]
    return f"can run: {', '.join(can)}; cannot: {', '.join(cannot)}"


def backend_report() -> list[dict[str, Any]]:
    """Every backend with ``name``, ``usable`` and ``reason``, for ``taskvec env`` and bug reports."""
    return [{"name": name, "usable": usable(name)[0], "reason": usable(name)[1]} for name in BACKENDS]


def simd_level() -> str | None:
    """The SIMD level in use ("amx", "avx512", "avx2", "baseline"), None without the compiled core."""
    return importlib.import_module("taskvec_kernels._C").simd_level() if can_run.native()[0] else None
