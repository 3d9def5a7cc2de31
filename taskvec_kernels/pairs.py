"""``pairwise``: every ordered pair of a zoo at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .dispatch.arguments import (
    Array,
    Home,
    batch_shape,
    common_dtype,
    expanded,
    expect,
    give_back,
    has_derivative,
    shape,
    to_tensors,
)
from .dispatch.operators import call, fill, flat
from .dispatch.outputs import Given, named
from .metrics import DEFAULT_PAIRWISE, PAIRWISE, check_metrics, documents
from .seeding import seeds
from .solver import Solver
from .sparse import seed_tensor
from .types import Adapters, ArrayT, DLPackArray, LowRankSVD, Pairwise

PRECISIONS = ("highest", "high", "medium")
PARTS = {"U": 3, "S": 2, "Vh": 3}  # and their dimensions without the batch


@documents(PAIRWISE)
def pairwise(
    x: LowRankSVD[ArrayT],
    y: LowRankSVD[ArrayT] | None = None,
    *,
    metrics: Sequence[str] = DEFAULT_PAIRWISE,
    spectra: bool = False,
    precision: str = "highest",
    p: float | None = None,
    norm: ArrayT | tuple[ArrayT, ArrayT] | None = None,
    lam: float | Sequence[float] | DLPackArray = 0.0,
    solver: Solver | None = None,
    seed: DLPackArray | tuple[DLPackArray, DLPackArray] | None = None,
    backend: str | None = None,
    out: Pairwise[ArrayT] | None = None,
) -> Pairwise[ArrayT]:
    """Project every task vector of x on the directions of every other, and compare the spectra (docs/METHOD.md §5).

    With P = (U_iᵀU_j) ∘ (V_iᵀV_j) both directions of a pair come from one block: d_{i→j} = P S_j, d_{j→i} = Pᵀ S_i.
    Only tiles on and above the diagonal are computed, and nothing of size (N k) × (N k) is stored.

    Args:
        x: N adapters, U (..., N, m, k_x), S (..., N, k_x), Vh (..., N, k_x, n), as ``lowrank_svd`` gives them; smaller
            ranks are padded with zero directions.
        y: M adapters of k_y directions to compare x with; None compares x with itself.
        metrics: names among
            {metrics}
        spectra: adds "spectra" (S₂) and "d" (before clipping), (..., N, M, k_x) forward, (..., M, N, k_y) backward.
        precision: "highest" (fp32 products, or an equal); "medium" lets a CPU with AVX2 or AVX512-VNNI round
            directions to 16-bit fixed point, and a GPU to fp16; "high" lies between on a GPU, is "medium" on a CPU with
            AMX and "highest" on any other (docs/NUMERICS.md).
        p: the p of ``lp``.
        norm: ‖τ‖ (..., N) of each adapter where it is longer than its S, of which small singular values were left out:
            energy, residual, excess, cosine and λ > 0 use it; with y a tuple of two, (..., N) and (..., M).
        lam: the weight λ ≥ 0 of the sparse projection: shorthand for ``solver=Solver(lam)``.
        solver: λ and the way to S₂, in place of ``lam``. A sequence of L λ's adds a leading axis to all but "d".
        seed: int64 (..., N), one an adapter, in place of ``solver.seed``: a pair draws from those of its two; with y a
            tuple of two, (..., N) and (..., M).
        backend: forces one; None picks.
        out: where the results go, a contiguous tensor for each name, and what is returned; none shares memory with an
            input.

    Returns:
        ``Pairwise(forward, backward)``: ``forward[name][..., i, j]`` is x_i→y_j, ``backward[name][..., j, i]`` is
        y_j→x_i, and backward is None without y. fp32, or fp64 for fp64 input; bounds in docs/NUMERICS.md. With
        ‖τ₂‖ = 0 or no source direction rec is 0 and cosine, energy, excess, residual, overlaps and captured shares
        are NaN, rec_chance and rec_chance_sd 0.

    Gradients:
        Of every result but the two of chance, to U, S, Vh and norm, in both modes, with the conventions of
        ``compare_spectra`` and, for λ > 0, ``sparsify``; λ itself has none here, nor have rec_chance, rec_chance_sd
        and anything by Adam: an error. ‖τ‖ is ‖S‖, or norm, whatever U and Vh are. They are recomputed in torch, in
        the dtype of the results, a few rows of x at a time.

    Raises:
        TypeError, ValueError: an argument of the wrong kind, dtype, device or shape; an unknown metric or precision;
            on the CPU a norm below ‖S‖ beyond rounding; a backend that cannot run.
        RuntimeError: ``out`` where a derivative is asked for.

    Cost:
        2 k_x k_y (m + n) flop an unordered pair, whatever the number of λ's, and for each λ what ``sparsify`` costs.
        captured adds 2 k_x k_y (k_x + k_y) flop; the chance 2^r r minima up to r = 10, 512 r beyond, each direction.
        Peak memory: inputs + outputs + working memory, 64 MiB on the CPU, on a GPU a quarter of what is free, from
        256 MiB to 1 GiB; plus a copy of an input that is not stored by direction.
    """
    names = check_metrics("pairwise", metrics, PAIRWISE, p)
    expect(
        precision in PRECISIONS,
        lambda: f"pairwise: precision must be one of {', '.join(PRECISIONS)}, got {precision!r}",
    )
    arrays = {
        f"{name}.{part}": t for name, zoo in (("x", x), ("y", y)) if zoo for part, t in zip(PARTS, zoo, strict=True)
    }
    norms = {} if norm is None else of_sides("norm", norm, 1 if y is None else 2)
    tensors, home = to_tensors("pairwise", **arrays, **norms)
    tensors, told = tensors[: len(arrays)], dict(zip(norms, tensors[len(arrays) :], strict=True))
    check_adapters("x", *tensors[:3])
    if y is not None:
        check_adapters("y", *tensors[3:])
    dims = {name: PARTS[name[2:]] for name in arrays}
    batch = batch_shape("pairwise", **{name: t.shape[: -dims[name]] for name, t in zip(arrays, tensors, strict=True)})
    tensors = common_dtype(*(expanded(t, batch, dims[name]) for name, t in zip(arrays, tensors, strict=True)))
    if y is not None:
        expect(
            tensors[0].shape[-2] == tensors[3].shape[-2] and tensors[2].shape[-1] == tensors[5].shape[-1],
            lambda: (
                f"pairwise: x is of {tensors[0].shape[-2]} × {tensors[2].shape[-1]} matrices, "
                f"y of {tensors[3].shape[-2]} × {tensors[5].shape[-1]}"
            ),
        )
    solver = chosen(lam, solver)
    sides = [Adapters(*tensors[i : i + 3]) for i in range(0, len(tensors), 3)]
    if norm is not None:
        sides = with_norms(sides, told)
    if solver.random:
        sides = with_seeds(sides, seed, solver)
    other = NOBODY if y is None else sides[1]
    keys = (*names, "spectra", "d") if spectra else names
    arguments = *sides[0], *other, list(names), spectra, precision, p, solver.lams, *flat(solver), backend
    if out is not None:
        fill("pairwise", into(out, keys, y is not None, solver.several, home), *arguments)
        return out
    values = call("pairwise", *arguments)
    results = [
        give_back(t if solver.several or name == "d" else t[0], home) for name, t in zip(keys * 2, values, strict=False)
    ]
    forward = dict(zip(keys, results, strict=False))
    return Pairwise(forward, None if y is None else dict(zip(keys, results[len(keys) :], strict=True)))


NOBODY = (None, None, None, None, None)


def into(out: Pairwise[Any], names: Sequence[str], both: bool, several: bool, home: Home) -> list[Given]:
    """The memory in ``out``, in the order of the operator's outputs."""
    expect(
        isinstance(out, tuple) and len(out) == 2 and (out[1] is not None) == both,
        lambda: f"pairwise: out must be Pairwise(forward, {'backward' if both else 'None'})",
    )
    given = named("pairwise", "out.forward", out[0], names, home)
    if both:
        given += named("pairwise", "out.backward", out[1], names, home)
    return [
        one if several or name == "d" else one._replace(tensor=one.tensor[None], hidden=1)
        for one, name in zip(given, [*names, *names], strict=False)
    ]


def chosen(lam: float | Sequence[float] | Array, solver: Solver | None) -> Solver:
    """The solver; ``lam`` is shorthand for one."""
    if isinstance(lam, Tensor) and has_derivative(lam):
        raise TypeError("pairwise: lam is not differentiable; pass lam.detach(), or give d and lam to sparsify")
    if solver is None:
        return Solver(lam)
    expect(isinstance(lam, float | int) and lam == 0, lambda: "pairwise: give lam or a solver that holds it, not both")
    return solver


def with_norms(sides: Sequence[Adapters], norms: Mapping[str, Tensor]) -> list[Adapters]:
    """Each side with ‖τ‖ (..., N), in fp64."""
    out = []
    for side, (name, norm) in zip(sides, norms.items(), strict=True):
        wanted = side.S.shape[:-1]
        try:
            out.append(side._replace(norm=norm.double().expand(wanted)))
        except RuntimeError as error:
            raise ValueError(f"pairwise: {name} has shape {shape(norm)}, expected {list(wanted)}") from error
    return out


def with_seeds(sides: Sequence[Adapters], seed: Array | tuple[Array, Array] | None, solver: Solver) -> list[Adapters]:
    """Each side with the seeds of its adapters: those given, or made from the solver's."""
    shapes, device = [tuple(side.S.shape[:-1]) for side in sides], sides[0].S.device
    if seed is None:
        values = [seeds(solver.seed, wanted, device) for wanted in shapes]
    else:
        values = [seed_tensor("pairwise", one).to(device) for one in of_sides("seed", seed, len(sides)).values()]
    got = [tuple(value.shape) for value in values]
    expect(got == shapes, lambda: f"pairwise: seed must be of shape {shapes}, got {got}")
    return [side._replace(seed=value) for side, value in zip(sides, values, strict=True)]


def of_sides(name: str, given: Array | tuple[Array, Array], sides: int) -> dict[str, Array]:
    """What belongs to x alone, or to x and to y, by its name in errors."""
    parts = given if isinstance(given, tuple) else (given,)
    wanted = "one tensor for x and one for y" if sides == 2 else "one tensor, for x"
    expect(len(parts) == sides, lambda: f"pairwise: {name} must be {wanted}, got {len(parts)}")
    return dict(zip((name,) if sides == 1 else (f"{name} of x", f"{name} of y"), parts, strict=True))


def check_adapters(name: str, U: torch.Tensor, S: torch.Tensor, Vh: torch.Tensor) -> None:
    expect(
        U.dim() >= 3 and S.dim() >= 2 and Vh.dim() >= 3,
        lambda: (
            f"pairwise: {name} must hold U (..., N, m, k), S (..., N, k), Vh (..., N, k, n), "
            f"got {shape(U)}, {shape(S)}, {shape(Vh)}"
        ),
    )
    adapters, _, k = U.shape[-3:]
    expect(
        tuple(S.shape[-2:]) == (adapters, k) and tuple(Vh.shape[-3:-1]) == (adapters, k),
        lambda: (
            f"pairwise: {name}.U {shape(U)} is for N = {adapters}, k = {k}; "
            f"got {name}.S {shape(S)}, {name}.Vh {shape(Vh)}"
        ),
    )
    expect(
        adapters >= 1 and k >= 1,
        lambda: f"pairwise: {name} needs at least one adapter and one direction, got U {shape(U)}",
    )
