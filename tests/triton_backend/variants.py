"""The launches of the Triton backend, recorded instead of run: which kernel, with which specialisation.

The launchers are called with meta tensors on a machine that is not there; what they would launch is described as
Triton's own launcher would specialise it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from triton.runtime.jit import JITFunction
from triton.tools.tensor_descriptor import TensorDescriptor

from taskvec_kernels import LowRankSVD
from taskvec_kernels.backends import triton as backend
from taskvec_kernels.backends.triton.launch import Machine
from taskvec_kernels.metrics import PAIRWISE, SPECTRAL
from taskvec_kernels.solver import Solver
from taskvec_kernels.types import Adapters

RANKS = (8, 16, 32, 64, 128)
PRECISIONS = ("medium", "high", "highest")
CLOSED = Solver()
SOLVERS = {
    "exact": Solver(0.1),
    "squared": Solver(0.1, norm="squared"),
    "adam": Solver(0.1, "adam"),
    "adam by softplus": Solver(0.1, "adam", positive="softplus", start="normal"),
    "adam from draws, with a tolerance": Solver(0.1, "adam", start="normal", tol=1e-6, units="paper"),
}
DTYPE = {
    torch.float32: "fp32",
    torch.float64: "fp64",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int8: "i8",
    torch.int32: "i32",
}


@dataclass(frozen=True)
class Launch:
    kernel: JITFunction
    signature: dict[str, Any]
    constants: dict[tuple[int, ...], Any]
    attributes: dict[tuple[int, ...], Any]
    options: dict[str, int]


@dataclass(frozen=True)
class Variant:
    name: str
    arch: int
    precision: str | None  # of the Gram kernel
    dtype: torch.dtype
    call: Callable[[], Any]


def adapters(N: int, m: int, n: int, k: int, dtype: torch.dtype, batch: tuple[int, ...] = ()) -> LowRankSVD:
    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(*batch, *shape, dtype=dtype, device="meta")

    return LowRankSVD(empty(N, k, m).mT, empty(N, k), empty(N, k, n))


def pair(
    x: LowRankSVD,
    y: LowRankSVD | None,
    precision: str,
    metrics: tuple[str, ...] = ("rec",),
    spectra: bool = False,
    solver: Solver = CLOSED,
) -> Callable[[], Any]:
    sides = Adapters(*x), None if y is None else Adapters(*y)
    return lambda: backend.pairwise(*sides, list(metrics), spectra, precision, 3.0, solver)


def gram_variants(arch: int) -> Iterator[Variant]:
    """Every scheme at every rank, all against all and x against y."""
    for precision in PRECISIONS:
        for k in RANKS:
            x = adapters(512, 1024, 1024, k, torch.float32)
            name = f"pairwise {precision} r={k}"
            yield Variant(name, arch, precision, torch.float32, pair(x, None, precision))
            if arch == 90 or k == 16:
                for what, metrics in (("overlaps", ("overlap_u",)), ("all", ("overlap_u", "captured"))):
                    call = pair(x, None, precision, metrics)
                    yield Variant(f"{name} {what}", arch, precision, torch.float32, call)
        for kx, ky in ((8, 8), (16, 16), (8, 128), (128, 8), (32, 16))[: 5 if arch == 90 else 2]:
            x, y = (adapters(64, 1024, 1024, k, torch.float32) for k in (kx, ky))
            name = f"pairwise {precision} r={kx}×{ky}"
            yield Variant(name, arch, precision, torch.float32, pair(x, y, precision))
    half = adapters(512, 1024, 1024, 16, torch.float16)
    yield Variant("pairwise highest of fp16 r=16", arch, "highest", torch.float16, pair(half, None, "highest"))
    for k in (8, 64) if arch != 100 else ():
        x = adapters(64, 256, 256, k, torch.float64)
        yield Variant(f"pairwise fp64 r={k}", arch, "highest", torch.float64, pair(x, None, "highest"))


def small_variants(arch: int) -> Iterator[Variant]:
    """The element-wise and the memory-bound kernels."""
    for dtype in (torch.float32, torch.float64):
        for k in (8, 16, 129) if arch == 90 else (16,):
            x = adapters(64, 256, 256, k, dtype)
            name = f"metrics {DTYPE[dtype]} r={k}"
            yield Variant(name, arch, "highest", dtype, pair(x, None, "highest", PAIRWISE, True))
        yield from sparse_variants(arch, dtype)
        spectra = torch.empty(4096, 16, dtype=dtype, device="meta")
        name = f"compare_spectra {DTYPE[dtype]}"
        yield Variant(name, arch, None, dtype, lambda s=spectra: backend.compare_spectra(s, s, list(SPECTRAL), 3.0))
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        for k in (16, 64, 256):
            x = adapters(8, 4096, 4096, k, dtype)
            b, a = x.U, x.Vh
            scale = torch.empty(8, dtype=torch.float64, device="meta")
            name = f"project {DTYPE[dtype]} r={k}"
            yield Variant(
                name, arch, None, dtype, lambda x=x, b=b, a=a, s=scale: backend.project(x.U, x.Vh, b, a, s, True)
            )
            tau = torch.empty(8, 4096, 4096, dtype=dtype, device="meta")
            name = f"project_dense {DTYPE[dtype]} r={k}"
            yield Variant(name, arch, None, dtype, lambda x=x, t=tau: backend.project_dense(x.U, x.Vh, t, True))


def sparse_variants(arch: int, dtype: torch.dtype) -> Iterator[Variant]:
    """λ > 0, alone and within ``pairwise``."""
    for name, solver in SOLVERS.items():
        for k in (8, 64, 256) if arch == 90 else (16,):
            d, norm = (torch.empty(4096, *size, dtype=dtype, device="meta") for size in ((k,), ()))
            lam = torch.empty(1, 4096, dtype=torch.float64, device="meta")
            seed = torch.empty(4096, dtype=torch.int64, device="meta")
            yield Variant(
                f"sparsify {name} {DTYPE[dtype]} r={k}", arch, None, dtype,
                lambda d=d, n=norm, lam=lam, seed=seed, s=solver: backend.sparsify(d, n, lam, seed, s, True, None),
            )  # fmt: skip
            if dtype == torch.float32 or arch == 90:
                x = adapters(64, 256, 256, k, dtype)
                call = pair(x, None, "highest", ("rec", "residual"), True, solver)
                yield Variant(f"metrics {name} {DTYPE[dtype]} r={k}", arch, "highest", dtype, call)


def variants(arch: int) -> list[Variant]:
    found = [*gram_variants(arch), *small_variants(arch)]
    refused = arch == 100  # fp64 products: an error of the launchers
    return [
        v
        for v in found
        if not (refused and v.dtype == torch.float64 and not v.name.startswith(("compare", "sparsify")))
    ]


@contextmanager
def recorded(arch: int, memory: int = 80 * 2**30) -> Iterator[list[Launch]]:
    """What would be launched on a GPU of compute capability ``arch``, 90 for 9.0, with ``memory`` bytes."""
    launches: list[Launch] = []

    def run(kernel: JITFunction, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        launches.append(described(kernel, args, options))

    there = Machine((arch // 10, arch % 10), 132, memory)
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(JITFunction, "run", run))
        for module in ("dense", "factors", "pairs"):
            patches.enter_context(mock.patch(f"{backend.__name__}.{module}.machine", lambda device: there))
        yield launches


def described(kernel: JITFunction, args: tuple[Any, ...], options: dict[str, Any]) -> Launch:
    """Pointers are aligned; integers that are 1 are constants and multiples of 16 are known to be such."""
    names = kernel.arg_names
    given = dict(zip(names, args, strict=False)) | {name: v for name, v in options.items() if name in names}
    assert set(given) == set(names), f"{kernel.__name__}: {set(names) ^ set(given)}"
    signature: dict[str, Any] = {}
    constants: dict[tuple[int, ...], Any] = {}
    attributes: dict[tuple[int, ...], Any] = {}
    for index, (name, parameter) in enumerate(zip(names, kernel.params, strict=True)):
        value = given[name]
        if parameter.is_constexpr:
            signature[name], constants[(index,)] = "constexpr", value
        elif isinstance(value, tuple):
            signature[name] = tuple(kind(v) for v in value)
            attributes |= {(index, place): [["tt.divisibility", 16]] for place in range(len(value))}
        elif isinstance(value, int) and value == 1 and not parameter.do_not_specialize:
            signature[name], constants[(index,)] = "constexpr", 1
        else:
            signature[name] = kind(value)
            aligned = isinstance(value, torch.Tensor) or (isinstance(value, int) and value % 16 == 0)
            if aligned and not parameter.do_not_specialize:
                attributes[(index,)] = [["tt.divisibility", 16]]
    compiler = {name: v for name, v in options.items() if name not in names}
    return Launch(kernel, signature, constants, attributes, compiler)


def kind(value: Any) -> str:
    if isinstance(value, TensorDescriptor):
        return f"tensordesc<{DTYPE[value.base.dtype]}{list(value.block_shape)}>".replace(" ", "")
    if isinstance(value, torch.Tensor):
        return "*" + DTYPE[value.dtype]
    if isinstance(value, int):
        return "i32" if -(2**31) <= value < 2**31 else "i64"
    return "fp32"
