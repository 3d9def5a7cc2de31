"""Where a comparison is computed, asked before any work."""

from __future__ import annotations

import torch

from taskvec_kernels.dispatch.registry import implementation

from .errors import TaskvecError


def check_device(device: str, backend: str | None) -> None:
    """TaskvecError for a device that is not there, or a backend that cannot run on it, with those that can."""
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise TaskvecError("the device is not known", got=device, expected="cpu, cuda or cuda:1") from error
    if place.type not in ("cpu", "cuda"):
        raise TaskvecError("the device is not one to compute on", got=device, expected="cpu, cuda or cuda:1")
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise TaskvecError(
            "the device is not there", got=device, expected=f"one of {found} CUDA devices that torch sees"
        )
    if backend is None:
        return
    try:
        implementation("pairwise", backend, place)
    except ValueError as error:
        raise TaskvecError(str(error).removeprefix("pairwise: ")) from error
