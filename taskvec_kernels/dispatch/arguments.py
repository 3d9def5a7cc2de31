"""Checks and conversions of arguments, done once, before any kernel: NumPy in and out, dtypes, devices, shapes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.dlpack import from_dlpack

Array: TypeAlias = Any  # a torch.Tensor, a numpy.ndarray, or another that speaks DLPack
Home: TypeAlias = Callable[[Any], Any] | None  # from a tensor to the kind of the arguments; None: they are tensors

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def to_tensors(function: str, **arrays: Array) -> tuple[list[Tensor], Home]:
    """The arguments as tensors without a copy, and how a result becomes what they were.

    Raises:
        TypeError: something else than tensors or arrays, kinds mixed, or what is not dense and of a real float dtype.
        ValueError: tensors on more than one device.
    """
    tensors: list[Tensor] = []
    home: Home = None
    compiling = torch.compiler.is_compiling()
    for name, value in arrays.items():
        own: Home = None
        if not isinstance(value, Tensor):
            value, own = from_array(function, name, value)
        if tensors and own != home:
            raise TypeError(
                f"{function}: {', '.join(arrays)} mix NumPy arrays and torch tensors, or other kinds; pass one kind"
            )
        home = own
        if value.dtype not in DTYPES:
            raise TypeError(
                f"{function}: {name} has dtype {value.dtype}, expected float64, float32, float16 or bfloat16; "
                f"convert it, e.g. {name}.{'dequantize' if value.is_quantized else 'float'}()"
            )
        plain = value.layout is torch.strided and not value.is_nested and (compiling or not value.is_neg())
        tensors.append(value if plain else dense(function, name, value))
    device = tensors[0].device
    for t in tensors:
        if t.device != device:
            where = ", ".join(f"{name} on {t.device}" for name, t in zip(arrays, tensors, strict=True))
            raise ValueError(f"{function}: all tensors must be on one device, got {where}; move them with .to(device)")
    return tensors, home


def dense(function: str, name: str, t: Tensor) -> Tensor:
    """``t`` as memory that strides describe, with the sign that a lazy ``neg`` gave it; TypeError for other layouts."""
    if t.is_nested:
        raise TypeError(f"{function}: {name} is a nested tensor; pass {name}.to_padded_tensor(0.0), or its parts")
    if t.layout != torch.strided:
        raise TypeError(f"{function}: {name} has layout {t.layout}, expected torch.strided; pass {name}.to_dense()")
    # a compiled graph calls the operator, and torch's dispatcher resolves signs itself
    return t if torch.compiler.is_compiling() or not t.is_neg() else t.resolve_neg()


def from_array(function: str, name: str, array: Array) -> tuple[Tensor, Home]:
    """A NumPy array, or another that speaks DLPack, as a tensor of the same memory; and the way back."""
    if isinstance(array, np.ndarray):
        return from_numpy(function, name, array), np.asarray
    if not hasattr(array, "__dlpack__") or not hasattr(array, "__array_namespace__"):
        raise TypeError(
            f"{function}: {name} must be a torch.Tensor, a numpy.ndarray or an array that speaks DLPack, "
            f"got {type(array).__name__}"
        )
    try:
        return from_dlpack(array), array.__array_namespace__().from_dlpack
    except (BufferError, RuntimeError) as error:
        raise TypeError(f"{function}: {name} cannot be shared by DLPack: {error}") from error


def from_numpy(function: str, name: str, array: np.ndarray) -> Tensor:
    """``torch.from_numpy`` that takes read-only arrays in silence: no function here writes to its inputs."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{function}: {name} is a masked array, and its mask would be lost; pass {name}.filled(0.0)")
    if not array.dtype.isnative:
        raise TypeError(
            f"{function}: {name} is not in the byte order of this machine; "
            f"pass {name}.astype({name}.dtype.newbyteorder('='))"
        )
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")
        try:
            return torch.from_numpy(array)
        except TypeError as error:
            raise TypeError(f"{function}: {name} has dtype {array.dtype}, which torch does not know") from error


def one_tensor(function: str, name: str, value: Array) -> Tensor:
    """Any tensor or array as a dense tensor of its own dtype."""
    if not isinstance(value, Tensor):
        value = from_array(function, name, value)[0]
    return dense(function, name, value)


def scale_tensor(function: str, scale: float | Array, batch: tuple[int, ...], like: Tensor) -> Tensor:
    """``scale`` as an fp64 tensor of the batch's shape; it may be a number or have any shape that broadcasts to it."""
    if isinstance(scale, (int, float)):
        return torch.full(batch, float(scale), dtype=torch.float64, device=like.device)
    if isinstance(scale, np.generic):
        scale = np.asarray(scale)
    if not isinstance(scale, Tensor) and not hasattr(scale, "__dlpack__"):
        raise TypeError(f"{function}: scale must be a number or a tensor of numbers, got {scale!r}")
    values = one_tensor(function, "scale", scale)
    if values.is_complex():
        raise TypeError(f"{function}: scale must be real, got {values.dtype}")
    if values.device != like.device and values.dim() > 0:
        raise ValueError(f"{function}: scale is on {values.device}, the factors on {like.device}")
    values = values.to(device=like.device, dtype=torch.float64)
    try:
        return values.expand(batch)
    except RuntimeError as error:
        raise ValueError(
            f"{function}: scale has shape {list(values.shape)}, expected a number or {list(batch)}"
        ) from error


def forward_mode() -> bool:
    """Whether dual numbers may be around: inside of ``forward_ad.dual_level`` or a forward-mode transform."""
    level: int = getattr(forward_ad, "_current_level", 0)
    return level >= 0


def has_derivative(t: Tensor) -> bool:
    """Whether something is to be differentiated with respect to ``t``, in either mode."""
    if t.requires_grad or not forward_mode():
        return t.requires_grad
    return forward_ad.unpack_dual(t).tangent is not None  # type: ignore[no-untyped-call]


def expect(condition: bool, message: Callable[[], str]) -> None:
    """ValueError with ``message()`` unless ``condition``; ``torch.compile`` cannot format symbolic shapes."""
    if not condition:
        raise ValueError(message())


def shape(t: Tensor) -> str:
    return str(list(t.shape))


def check_factors(function: str, b: Sequence[int], a: Sequence[int]) -> None:
    """ValueError unless the shapes are (..., m, r) and (..., r, n) with every dimension at least 1."""
    if len(b) < 2 or len(a) < 2:
        raise ValueError(f"{function}: b (..., m, r) and a (..., r, n) need 2 dimensions, got {list(b)} and {list(a)}")
    if b[-1] != a[-2]:
        raise ValueError(f"{function}: b (..., m, r) and a (..., r, n) disagree on r, got {list(b)} and {list(a)}")
    if b[-2] < 1 or b[-1] < 1 or a[-1] < 1:
        raise ValueError(f"{function}: m, r and n must be at least 1, got {list(b)} and {list(a)}")


def batch_shape(function: str, **parts: tuple[int, ...]) -> tuple[int, ...]:
    """The common leading shape, broadcast; ValueError that names the arguments when there is none."""
    first = next(iter(parts.values()))
    for size in parts.values():
        if size != first:
            break
    else:
        return tuple(first)
    try:
        return np.broadcast_shapes(*(tuple(size) for size in parts.values()))  # torch's own imports sympy first
    except ValueError as error:
        got = ", ".join(f"{name} {list(size)}" for name, size in parts.items())
        raise ValueError(f"{function}: leading batch dimensions do not broadcast, got {got}") from error


def broadcast(function: str, dims: int, **tensors: Tensor) -> tuple[tuple[int, ...], list[Tensor]]:
    """The common leading shape before the last ``dims`` dimensions, and the tensors expanded to it."""
    values = list(tensors.values())
    batch: tuple[int, ...] = values[0].shape[:-dims]
    for t in values:
        if t.shape[:-dims] != batch:
            batch = batch_shape(function, **{name: t.shape[:-dims] for name, t in tensors.items()})
            return batch, [expanded(t, batch, dims) for t in values]
    return batch, values


def result_dtype(*tensors: Tensor) -> torch.dtype:
    """fp64 when an input is fp64, else fp32."""
    for t in tensors:
        if t.dtype == torch.float64:
            return torch.float64
    return torch.float32


def expanded(t: Tensor, batch: tuple[int, ...], dims: int) -> Tensor:
    """``t`` with the leading shape ``batch`` before its last ``dims`` dimensions."""
    return t if t.shape[:-dims] == batch else t.expand(*batch, *t.shape[-dims:])


def common_dtype(*tensors: Tensor) -> list[Tensor]:
    """The tensors in their promoted dtype; no copy where it is theirs already."""
    dtype = tensors[0].dtype
    for t in tensors[1:]:
        if t.dtype != dtype:
            dtype = torch.promote_types(dtype, t.dtype)
    return [t if t.dtype == dtype else t.to(dtype) for t in tensors]


def give_back(result: Tensor, home: Home) -> Array:
    """A result as the kind of array that the arguments were."""
    if home is None:
        return result
    return result.numpy() if home is np.asarray else home(result.contiguous())
