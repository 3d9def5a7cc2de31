"""The backend "cuda": the operators' flat signatures on the compiled core, on torch's memory and torch's stream.

Outputs and working memory come from torch's caching allocator, so that streams, CUDA graphs and memory limits work as
for torch's own functions; nothing here waits for the GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from .. import _C
from ..dispatch.arguments import result_dtype
from .cpu import operand, svd_outputs


def lowrank_svd(
    b: Tensor, a: Tensor, scale: Tensor, out: Sequence[Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    batch, (m, r), n = b.shape[:-2], b.shape[-2:], a.shape[-1]
    k, dtype, device = min(r, m, n), result_dtype(b, a), b.device
    index = torch.cuda.current_device() if device.index is None else device.index
    with memory_hint(batch.numel()):
        b3, a3 = b.reshape(-1, m, r), a.reshape(-1, r, n)
        scales = scale.reshape(-1).contiguous()
        sizes = (k, m), (k,), (k, n)
        Ut, S, Vh = out or (torch.empty(*batch, *size, dtype=dtype, device=device) for size in sizes)
        left, right = operand(b3, -1, -2), operand(a3)
        size = _C.cuda_workspace(len(b3), r, left, right, index)
        workspace = torch.empty(size, dtype=torch.uint8, device=device)
    _C.lowrank_svd_cuda(
        len(b3), r, left, right, scales.data_ptr(), svd_outputs(Ut, S, Vh),
        index, workspace.data_ptr(), torch.cuda.current_stream(device).cuda_stream,
    )  # fmt: skip
    return Ut, S, Vh


@contextmanager
def memory_hint(matrices: int) -> Iterator[None]:
    """torch's own out-of-memory error, and what helps."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        hint = (
            f"lowrank_svd needs its inputs, its outputs and up to 256 MiB; pass fewer than {matrices} matrices at once"
        )
        raise torch.OutOfMemoryError(f"{error} ({hint})") from error
