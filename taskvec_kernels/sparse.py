"""``sparsify``: the sparse projection, step 3 of the method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Unpack, overload

import numpy as np
import torch
from torch import Tensor

from .dispatch.arguments import Array, batch_shape, expect, give_back, result_dtype, shape, to_tensors
from .dispatch.operators import call
from .seeding import seeds
from .solver import AdamSettings, check_lam, choose_solver
from .types import SparseInfo


@overload
def sparsify(
    d: Array, tau_norm: Array, lam: float | Sequence[float] | Array, *, method: str = ..., norm: str = ...,
    return_info: Literal[False] = ..., seed: int | Array = ..., check: bool | None = ..., backend: str | None = ...,
    **adam: Unpack[AdamSettings],
) -> Array: ...  # fmt: skip
@overload
def sparsify(
    d: Array, tau_norm: Array, lam: float | Sequence[float] | Array, *, method: str = ..., norm: str = ...,
    return_info: Literal[True], seed: int | Array = ..., check: bool | None = ..., backend: str | None = ...,
    **adam: Unpack[AdamSettings],
) -> tuple[Array, SparseInfo]: ...  # fmt: skip
def sparsify(
    d: Array,
    tau_norm: Array,
    lam: float | Sequence[float] | Array,
    *,
    method: str = "exact",
    norm: str = "frobenius",
    return_info: bool = False,
    seed: int | Array = 0,
    check: bool | None = None,
    backend: str | None = None,
    **adam: Unpack[AdamSettings],
) -> Array | tuple[Array, SparseInfo]:
    """S₂ = argmin over S ≥ 0 of ‖U S Vᴴ − τ₂‖_F + λ ΣS, from d and ‖τ₂‖_F alone (docs/METHOD.md §3).

    Args:
        d: (..., r) diag(Uᴴ τ₂ V), not clipped, as ``project(..., clip=False)`` gives it.
        tau_norm: (...) ‖τ₂‖_F.
        lam: the weight λ ≥ 0: a number; one for each pair, (...) or a shape of two dimensions or more that broadcasts
            to it; or a list (or a vector of another length) of L, which adds a leading axis.
        method: "exact": the minimiser itself, by its active set. "adam": the paper's Algorithm 1, S ≥ 0 by projection.
        norm: "frobenius", or "squared" for ‖·‖_F², whose minimiser is the soft threshold max(0, d − λ/2).
        return_info: also gives what is known of the solution.
        seed: of ``start="normal"``: an int, or int64 (...), one seed for each pair.
        check: look at the values of λ, d and ‖τ₂‖; None: on the CPU, where it does not make a device wait.
        backend: forces one; None picks.
        **adam: see ``AdamSettings``.

    Returns:
        S (..., r), or (L, ..., r); fp32, or fp64 for fp64 input. With ``return_info`` (S, SparseInfo). λ = 0 gives
        max(0, d) to the bit with "exact". A NaN stays in its pair. Not differentiable.

    Raises:
        TypeError, ValueError: an argument of the wrong kind, dtype, device or shape; a setting that does not exist or
            cannot have its value; λ negative, NaN or infinite; ‖τ₂‖ below ‖d‖ beyond rounding; r = 0; a backend
            that cannot run.

    Cost:
        exact: a few passes over r numbers in fp64; adam: some 30 flop an element and step, all steps in one kernel.
    """
    (d, tau_norm), numpy = to_tensors("sparsify", d=d, tau_norm=tau_norm)
    expect(d.dim() >= 1 and d.shape[-1] >= 1, lambda: f"sparsify: d must be (..., r) with r ≥ 1, got {shape(d)}")
    solver = choose_solver("sparsify", method, norm, adam)
    batch = batch_shape("sparsify", d=d.shape[:-1], tau_norm=tau_norm.shape)
    lams, several, batch = lambdas(lam, batch, d.device)
    dtype = result_dtype(d, tau_norm)
    look = d.device.type == "cpu" if check is None else check
    slack = max(SLACK, *(2 * torch.finfo(t.dtype).eps for t in (d, tau_norm)))  # half precision of either
    d, tau_norm = d.to(dtype).expand(*batch, d.shape[-1]), tau_norm.to(dtype).expand(batch)
    seed = pair_seeds(seed, batch, d.device) if solver.random else None
    S, *info = call("sparsify", d, tau_norm, lams, seed, *solver, return_info, slack if look else None, backend)
    S, info = (S, info) if several else (S[0], [t[0] for t in info if return_info])
    if not return_info:
        return give_back(S, numpy)
    return give_back(S, numpy), SparseInfo(*(give_back(t, numpy) for t in info))


SLACK = 4e-6  # of ‖d‖² above ‖τ₂‖²: what rounding of fp32 explains


def lambdas(
    lam: float | Sequence[float] | Array, batch: tuple[int, ...], device: torch.device
) -> tuple[Tensor, bool, tuple[int, ...]]:
    """λ as fp64 (L, ...), whether L is an axis of the result, and the batch, which λ may broaden."""
    if isinstance(lam, np.ndarray):
        lam = torch.from_numpy(np.ascontiguousarray(lam))
    if isinstance(lam, Tensor):
        values = lam.detach().to(device=device, dtype=torch.float64)
        several = values.dim() == 1 and tuple(values.shape) != batch
    else:
        several = isinstance(lam, Sequence)
        given = [check_lam("sparsify", value) for value in (lam if isinstance(lam, Sequence) else [lam])]
        values = torch.empty(len(given), dtype=torch.float64, device=device)
        for place, value in zip(values, given, strict=True):
            place.fill_(value)  # on the device: a copy from the host would wait for it
        values = values if several else values[0]
    if several:
        expect(len(values) >= 1, lambda: "sparsify: lam is an empty list")
        return values.reshape(-1, *[1] * len(batch)).expand(-1, *batch), True, batch
    batch = batch_shape("sparsify", lam=tuple(values.shape), **{"d and tau_norm": batch})
    return values.expand(1, *batch), False, batch


def pair_seeds(seed: int | Array, batch: tuple[int, ...], device: torch.device) -> Tensor:
    if isinstance(seed, int):
        return seeds(seed, batch, device)
    value = seed_tensor("sparsify", seed).to(device)
    try:
        return value.expand(batch)
    except RuntimeError as error:
        got = shape(value)
        raise ValueError(f"sparsify: seed has shape {got}, expected an int or one a pair, {list(batch)}") from error


def seed_tensor(function: str, seed: Array) -> Tensor:
    """``seed`` as an int64 tensor; TypeError for anything else."""
    value = torch.from_numpy(seed) if isinstance(seed, np.ndarray) else seed
    if not isinstance(value, Tensor) or value.dtype != torch.int64:
        got = value.dtype if isinstance(value, Tensor) else type(seed).__name__
        raise TypeError(f"{function}: seed must be an int or an int64 tensor, got {got}")
    return value


def check_values(d: Tensor, tau_norm: Tensor, lam: Tensor, slack: float) -> None:
    """ValueError for a λ that is no weight, and for ‖τ₂‖ < ‖d‖ beyond rounding; it reads values."""
    wrong = ~((lam >= 0) & lam.isfinite())
    if wrong.any():
        raise ValueError(f"sparsify: lam must be finite and ≥ 0, got {float(lam[wrong][0])}")
    length = torch.linalg.vector_norm(d, dim=-1, dtype=torch.float64)
    below = (tau_norm < 0) | (length.square() * (1 - slack) > tau_norm.double().square())
    if below.any():
        where = f" for the pair at {[int(i) for i in below.nonzero()[0]]}" if below.dim() else ""
        raise ValueError(
            f"sparsify: tau_norm is below ‖d‖{where}: got {float(tau_norm[below][0]):.9g}, ‖d‖ is "
            f"{float(length[below][0]):.9g}; pass ‖τ₂‖_F of the whole target"
        )
