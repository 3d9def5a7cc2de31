"""Whether a backend can run here, on a device (None: on any), and why or why not in one line."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from functools import cache

import torch

Answer = tuple[bool, str]


def anywhere(device: torch.device | None) -> Answer:
    return True, "fp64, slow, any device"


def cpu(device: torch.device | None) -> Answer:
    """The compiled core, for CPU tensors."""
    ok, reason = native()
    if ok and device is not None and device.type != "cpu":
        return False, f"takes CPU tensors, got {device}"
    return ok, reason


@cache
def native() -> Answer:
    """Whether the compiled core loads, and its SIMD level or the loader's own words."""
    try:
        core = importlib.import_module("taskvec_kernels._C")
    except ImportError as error:
        return False, f"the compiled core does not load ({error}); reinstall with a C++ compiler at hand"
    level, missing = core.simd_level(), core.why_not_amx()
    return True, f"compiled core, SIMD level {level}{f' (not amx: {missing})' if missing else ''}"


def cuda(device: torch.device | None) -> Answer:
    """The CUDA kernels: the build, the driver, the GPU, the tensors."""
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
def cuda_problem(index: int) -> Answer:
    problem = importlib.import_module("taskvec_kernels._C").cuda_problem(index)
    return not problem, problem or "compiled core, CUDA kernels"


def triton(device: torch.device | None) -> Answer:
    """The Triton kernels; imports neither Triton nor them."""
    ok, reason = triton_package()
    if not ok:
        return ok, reason
    if not torch.cuda.is_available():
        return False, f"torch {torch.__version__} sees no CUDA GPU"
    if device is not None and device.type != "cuda":
        return False, f"takes CUDA tensors, got {device}; move them with .cuda()"
    return triton_gpu(device)


@cache  # it reads files, which takes as long as a small call
def triton_package() -> Answer:
    if importlib.util.find_spec("triton") is None:
        return False, "Triton is not installed; pip install 'triton>=3.6'"
    version = importlib.metadata.version("triton")
    if tuple(map(int, version.split(".")[:2])) < (3, 6):
        return False, f"needs Triton 3.6 or newer, found {version}; pip install 'triton>=3.6'"
    return True, f"Triton {version}"


@cache
def triton_gpu(device: torch.device | None) -> Answer:
    capability, name = torch.cuda.get_device_capability(device), torch.cuda.get_device_name(device)
    if capability < (8, 0):
        return False, f"needs a GPU of compute capability 8.0, {name} has {capability}"
    return True, f"{triton_package()[1]}, {name}"
