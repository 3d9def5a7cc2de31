"""``sparsify``: the sparse projection, step 3 of the method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack, overload

import torch
from torch import Tensor

from .dispatch.arguments import Array, Home, batch_shape, expect, give_back, one_tensor, result_dtype, shape, to_tensors
from .dispatch.operators import call, fill, flat
from .dispatch.outputs import Given, memory
from .dispatch.values import slack
from .seeding import seeds
from .solver import Solver, SolverSettings
from .types import ArrayT, DLPackArray, SparseInfo

Lambda = float | Sequence[float] | DLPackArray


@overload
def sparsify(
    d: ArrayT, tau_norm: ArrayT, lam: Lambda | None = ..., *, solver: Solver | None = ...,
    return_info: Literal[False] = ..., seed: int | DLPackArray | None = ..., check: bool | None = ...,
    backend: str | None = ..., out: ArrayT | None = ..., **settings: Unpack[SolverSettings],
) -> ArrayT: ...  # fmt: skip
@overload
def sparsify(
    d: ArrayT, tau_norm: ArrayT, lam: Lambda | None = ..., *, solver: Solver | None = ...,
    return_info: Literal[True], seed: int | DLPackArray | None = ..., check: bool | None = ...,
    backend: str | None = ..., out: tuple[ArrayT, SparseInfo[ArrayT]] | None = ..., **settings: Unpack[SolverSettings],
) -> tuple[ArrayT, SparseInfo[ArrayT]]: ...  # fmt: skip
def sparsify(
    d: ArrayT,
    tau_norm: ArrayT,
    lam: Lambda | None = None,
    *,
    solver: Solver | None = None,
    return_info: bool = False,
    seed: int | DLPackArray | None = None,
    check: bool | None = None,
    backend: str | None = None,
    out: ArrayT | tuple[ArrayT, SparseInfo[ArrayT]] | None = None,
    **settings: Unpack[SolverSettings],
) -> ArrayT | tuple[ArrayT, SparseInfo[ArrayT]]:
    """S₂ = argmin over S ≥ 0 of ‖U S Vᴴ − τ₂‖_F + λ ΣS, from d and ‖τ₂‖_F alone (docs/METHOD.md §3).

    Args:
        d: (..., r) diag(Uᴴ τ₂ V), not clipped, as ``project(..., clip=False)`` gives it.
        tau_norm: (...) ‖τ₂‖_F.
        lam: the weight λ ≥ 0: a number; one for each pair, (...) or a shape of two dimensions or more that broadcasts
            to it; or a list (or a vector of another length) of L, which adds a leading axis.
        solver: λ and all else in one record, in place of ``lam`` and the settings.
        return_info: also gives what is known of the solution.
        seed: of ``start="normal"``: an int, or int64 (...), one seed for each pair.
        check: look at the values of λ, d and ‖τ₂‖; None: on the CPU, where it does not make a device wait.
        backend: forces one; None picks.
        out: where the result goes, S or with ``return_info`` (S, SparseInfo), all contiguous, and what is returned; it
            shares no memory with an input.
        **settings: the other fields of ``Solver``: ``method``, ``norm``, and those of Adam.

    Returns:
        S (..., r), or (L, ..., r); fp32, or fp64 for fp64 input. With ``return_info`` (S, SparseInfo). λ = 0 gives
        max(0, d) bit for bit with "exact". A NaN stays in its pair.

    Gradients:
        Of S and the objective with "exact", to d, tau_norm and a tensor λ, in both modes; where S_k is about to
        leave 0 its derivative is that of S_k = 0, and where f* = 0 that of f* is 0. With "adam" an error.

    Raises:
        TypeError, ValueError: an argument of the wrong kind, dtype, device or shape; a setting that does not exist or
            cannot have its value; λ negative, NaN or infinite; ‖τ₂‖ below ‖d‖ beyond rounding; r = 0; a backend
            that cannot run.
        RuntimeError: ``out`` where a derivative is asked for.

    Cost:
        exact: a few passes over r numbers in fp64; adam: some 30 flop an element and step, 60 with "exp" and 90 with
        "softplus" (fp64: 80 and 130), all steps in one kernel.
    """
    (target, length), home = to_tensors("sparsify", d=d, tau_norm=tau_norm)
    r = target.shape[-1] if target.dim() else 0
    expect(r >= 1, lambda: f"sparsify: d must be (..., r) with r ≥ 1, got {shape(target)}")
    expect(
        (lam is None) != (solver is None) and not (solver and (settings or isinstance(seed, int))),
        lambda: "sparsify: give lam and its settings, or a solver that holds them",
    )
    each = lam if hasattr(lam, "__dlpack__") else None  # one λ a pair
    if solver is None:
        number: Any = 0.0 if lam is None or each is not None else lam
        solver = Solver(number, seed=seed if isinstance(seed, int) else 0, **settings)
    batch = batch_shape("sparsify", d=target.shape[:-1], tau_norm=length.shape)
    lams, several, batch = lambdas(solver if each is None else each, batch, target.device)
    dtype = result_dtype(target, length)
    look = target.device.type == "cpu" if check is None else check
    room = slack(target.dtype, length.dtype) if look else None
    target, length = target.to(dtype).expand(*batch, r), length.to(dtype).expand(batch)
    draws = None
    if solver.random:
        draws = pair_seeds(solver.seed if seed is None or isinstance(seed, int) else seed, batch, target.device)
    arguments = target, length, lams, draws, *flat(solver), return_info, room, backend
    if out is not None:
        fill("sparsify", into(out, return_info, several, home, target), *arguments)
        return out
    S, *info = call("sparsify", *arguments)
    S, info = (S, info) if several else (S[0], [t[0] for t in info if return_info])
    solution: ArrayT = give_back(S, home)
    return (solution, SparseInfo(*(give_back(t, home) for t in info))) if return_info else solution


def into(out: Any, return_info: bool, several: bool, home: Home, like: Tensor) -> list[Given]:
    """The memory in ``out``, in the order of the operator's outputs; of what nobody asked for there is nothing."""
    parts = {"out": out}
    if return_info:
        expect(
            isinstance(out, tuple) and len(out) == 2 and len(out[1]) == len(SparseInfo._fields),
            lambda: "sparsify: with return_info out must be (S, SparseInfo(objective, steps, converged))",
        )
        parts = {"out[0]": out[0], **dict(zip((f"out[1].{name}" for name in SparseInfo._fields), out[1], strict=True))}
    tensors = {label: memory("sparsify", label, value, home) for label, value in parts.items()}
    given = [Given(label, t if several else t[None], hidden=0 if several else 1) for label, t in tensors.items()]
    if not return_info:
        dtypes = like.dtype, torch.int64, torch.bool
        given += [Given("", like.new_empty(0, dtype=dtype)) for dtype in dtypes]
    return given


def lambdas(lam: Solver | Array, batch: tuple[int, ...], device: torch.device) -> tuple[Tensor, bool, tuple[int, ...]]:
    """λ as fp64 (L, ...), whether L is an axis of the result, and the batch, which λ may broaden."""
    if isinstance(lam, Solver):
        several = lam.several
        # made on the device: a copy from the host would wait for it
        parts = [torch.full((1,), value, dtype=torch.float64, device=device) for value in lam.lams]
        values = torch.cat(parts) if several else parts[0][0]
    else:
        values = one_tensor("sparsify", "lam", lam)
        if values.is_complex():
            raise TypeError(f"sparsify: lam must be real, got {values.dtype}")
        values = values.to(device=device, dtype=torch.float64)
        several = values.dim() == 1 and tuple(values.shape) != batch
        expect(not several or len(values) >= 1, lambda: "sparsify: λ is an empty vector; give at least one")
    if several:
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
    if not hasattr(seed, "__dlpack__"):
        raise TypeError(f"{function}: seed must be an int or an int64 tensor, got {type(seed).__name__}")
    value = one_tensor(function, "seed", seed)
    if value.dtype != torch.int64:
        raise TypeError(f"{function}: seed must be an int or an int64 tensor, got {value.dtype}")
    return value
