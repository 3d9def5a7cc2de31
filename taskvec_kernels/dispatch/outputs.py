"""The outputs of each operator: their sizes, and the memory for them that a caller gives as ``out=``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..types import Adapters
from .arguments import Array, Home, expect, from_numpy, result_dtype

Size = tuple[tuple[int, ...], torch.dtype]
MOST_WORK = 100_000  # to tell strided arrays apart: numpy counts what it tries


class Given(NamedTuple):
    """Memory for one output.

    Attributes:
        label: what errors call it.
        tensor: as the operator has it.
        hidden: leading dimensions of that which the caller does not see.
        inner: trailing dimensions that must be contiguous; those before need one stride. None: all of them.
    """

    label: str
    tensor: Tensor
    hidden: int = 0
    inner: int | None = None


def lowrank_svd(b: Tensor, a: Tensor, *rest: Any) -> list[Size]:
    *batch, m, r = b.shape
    n, dtype = a.shape[-1], result_dtype(b, a)
    k = min(r, m, n)
    return [((*batch, k, m), dtype), ((*batch, k), dtype), ((*batch, k, n), dtype)]


def project(U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, *rest: Any) -> list[Size]:
    return [((*U.shape[:-2], U.shape[-1]), result_dtype(U, Vh, b, a))]


def project_dense(U: Tensor, Vh: Tensor, tau: Tensor, *rest: Any) -> list[Size]:
    return [((*U.shape[:-2], U.shape[-1]), result_dtype(U, Vh, tau))]


def compare_spectra(s1: Tensor, s2: Tensor, metrics: Sequence[str], *rest: Any) -> list[Size]:
    return [(tuple(s1.shape[:-1]), result_dtype(s1, s2)) for _ in metrics]


def sparsify(d: Tensor, tau_norm: Tensor, lam: Tensor, seed: Tensor | None, *rest: Any) -> list[Size]:
    info = rest[-3]
    found = tuple(lam.shape) if info else (0,)
    return [((*lam.shape, d.shape[-1]), d.dtype), (found, d.dtype), (found, torch.int64), (found, torch.bool)]


def pairwise(*arguments: Any) -> list[Size]:
    x, y = Adapters(*arguments[:5]), None if arguments[5] is None else Adapters(*arguments[5:10])
    metrics, spectra, _, _, lam, *_ = arguments[10:]
    *batch, N, kx = x.S.shape
    M, ky = (N, kx) if y is None else y.S.shape[-2:]
    dtype = result_dtype(x.U)

    def one_way(rows: int, columns: int, k: int) -> list[Size]:
        shapes: list[tuple[int, ...]] = [(len(lam), *batch, rows, columns) for _ in metrics]
        if spectra:
            shapes += [(len(lam), *batch, rows, columns, k), (*batch, rows, columns, k)]
        return [(shape, dtype) for shape in shapes]

    return one_way(N, M, kx) + ([] if y is None else one_way(M, N, ky))


SIZES: dict[str, Callable[..., list[Size]]] = {
    "lowrank_svd": lowrank_svd,
    "project": project,
    "project_dense": project_dense,
    "compare_spectra": compare_spectra,
    "sparsify": sparsify,
    "pairwise": pairwise,
}


def memory(function: str, label: str, value: Array, home: Home) -> Tensor:
    """What a caller gives for one output, as a tensor of the same memory.

    Raises:
        TypeError: not of the kind that the arguments are, or a kind that cannot be written to.
        ValueError: memory that strides do not describe, or that may not be written to.
    """
    if home is not None and home is not np.asarray:
        raise TypeError(f"{function}: out= takes torch tensors and NumPy arrays; pass the arguments as one of them")
    if not isinstance(value, Tensor if home is None else np.ndarray):
        kind = "torch.Tensor" if home is None else "numpy.ndarray"
        raise TypeError(f"{function}: {label} must be a {kind}, as the arguments are, got {type(value).__name__}")
    if isinstance(value, np.ndarray):
        expect(value.flags.writeable, lambda: f"{function}: {label} is read-only; pass an array that can be written to")
        expect(
            all(stride >= 0 for stride in value.strides),
            lambda: f"{function}: {label} has negative strides {list(value.strides)}; pass numpy.empty(...)",
        )
        value = from_numpy(function, label, value)
    t: Tensor = value
    plain = t.layout is torch.strided and not t.is_nested and (torch.compiler.is_compiling() or not t.is_neg())
    expect(plain, lambda: f"{function}: {label} must be dense and its own memory; pass torch.empty(...)")
    return t


def named(function: str, label: str, given: Any, names: Sequence[str], home: Home) -> list[Given]:
    """Memory for outputs by their names, of which all must be there and no others."""
    if not hasattr(given, "keys"):
        raise TypeError(f"{function}: {label} must be a dict of {', '.join(names)}, got {type(given).__name__}")
    expect(
        set(given) == set(names),
        lambda: f"{function}: {label} must hold {', '.join(names)}, got {', '.join(map(str, given)) or 'nothing'}",
    )
    return [Given(f"{label}[{name!r}]", memory(function, f"{label}[{name!r}]", given[name], home)) for name in names]


def check(function: str, given: Sequence[Given], sizes: Sequence[Size], device: torch.device) -> None:
    """TypeError or ValueError unless what is given can hold the outputs."""
    for (label, t, hidden, inner), (shape, dtype) in zip(given, sizes, strict=True):
        if t.dtype != dtype:
            raise TypeError(f"{function}: {label} has dtype {t.dtype}, expected {dtype}")
        expect(
            tuple(t.shape) == tuple(shape),
            lambda t=t, label=label, hidden=hidden, shape=shape: (  # type: ignore[misc]
                f"{function}: {label} has shape {list(t.shape[hidden:])}, expected {list(shape[hidden:])}"
            ),
        )
        if t.device != device:
            raise ValueError(f"{function}: {label} is on {t.device}, the arguments on {device}")
        how = "contiguous" if inner is None else "contiguous in each matrix, with one stride from matrix to matrix"
        expect(
            t.is_contiguous() if inner is None else in_a_row(t, inner),
            lambda t=t, label=label, hidden=hidden, how=how: (  # type: ignore[misc]
                f"{function}: {label} must be {how}, as torch.empty makes it, "
                f"got shape {list(t.shape[hidden:])} with strides {list(t.stride()[hidden:])}"
            ),
        )


def in_a_row(t: Tensor, inner: int) -> bool:
    """Whether the last ``inner`` dimensions are contiguous, and those before are one of one stride, without overlap."""
    if t.numel() == 0:
        return True
    step = batch_stride(t, inner)
    below, expected = t.shape[t.dim() - inner :].numel(), 1
    sizes, strides = t.shape, t.stride()
    for i in reversed(range(t.dim())):
        if i == t.dim() - inner - 1:
            expected = step
        if sizes[i] != 1 and strides[i] != expected:
            return False
        expected *= sizes[i]
    return step >= below


def batch_stride(t: Tensor, inner: int) -> int:
    """The stride of the dimensions before the last ``inner`` as one."""
    for i in reversed(range(t.dim() - inner)):
        if t.shape[i] != 1:
            return t.stride(i)
    return t.shape[t.dim() - inner :].numel()


def refuse_overlap(function: str, labels: Sequence[str], out: Sequence[Tensor], inputs: Sequence[Any]) -> None:
    """ValueError where memory to be written is an input's too, or is given twice."""
    others = [("an input", value) for value in inputs if isinstance(value, Tensor)]
    for label, t in zip(labels, out, strict=True):
        for what, other in others:
            if overlap(t, other):
                raise ValueError(f"{function}: {label} shares memory with {what}; pass memory of its own")
        others.append((label, t))


def overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors may have an element in common; those that only alternate in memory do not."""
    if not a.numel() or not b.numel():
        return False
    (first, last), (start, end) = span(a), span(b)
    if last <= start or end <= first:
        return False
    try:
        return np.shares_memory(Bytes.of(a), Bytes.of(b), max_work=MOST_WORK)
    except np.exceptions.TooHardError:
        return True


def span(t: Tensor) -> tuple[int, int]:
    """The addresses of a tensor's first byte and of that behind its last; strides of torch are not negative."""
    last = sum((size - 1) * stride for size, stride in zip(t.shape, t.stride(), strict=True))
    return t.data_ptr(), t.data_ptr() + (last + 1) * t.element_size()


class Bytes:
    """A tensor as NumPy describes memory, of any device: nobody reads it."""

    def __init__(self, t: Tensor) -> None:
        self.__array_interface__ = {
            "version": 3,
            "shape": tuple(t.shape),
            "strides": tuple(stride * t.element_size() for stride in t.stride()),
            "typestr": f"|V{t.element_size()}",
            "data": (t.data_ptr(), True),
        }

    @classmethod
    def of(cls, t: Tensor) -> np.ndarray[Any, Any]:
        return np.asarray(cls(t))
