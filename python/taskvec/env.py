"""What ``taskvec env`` says: enough about the machine and the installation to read a bug report."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("taskvec", "taskvec-kernels", "torch", "numpy", "safetensors", "xarray", "zarr", "peft", "typer", "rich")


def environment() -> dict[str, Any]:
    """Versions, processor, threads, and every backend with why it can or cannot run."""
    import torch

    from taskvec_kernels import backend_report, simd_level

    return {
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "simd_level": simd_level(),
        "backends": backend_report(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
