"""An update that is made of a file's tensors when it is asked for; its size is known, and bounded, before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256

import torch
from torch import Tensor

from ..adapters import Dense, LowRank, Module, Update
from ..errors import TaskvecError
from .algebra.lora import grouped_convolution, linear
from .checkpoint import Weight
from .reading.tensors import FLOATS, TensorFile

SAVE_AGAIN = "save the adapter again from the model it was trained in"
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
# numbers that an update may have if it has more than its tensors: for each of theirs, and in all
GROWTH, MOST = 4096, 1 << 28
ALWAYS = 1 << 20  # numbers that any update may have
Sizes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Recipe:
    """How one module's update comes from tensors of a file.

    Args:
        file: the weights file.
        names: its tensors, in the order that ``combine`` takes them.
        combine: gives factors B (m, r) and A (r, n) or a dense τ (m, n), also of tensors on torch's meta device; a
            function of a module or a partial of one, so that other processes can unpickle it.
        scale: what the product is multiplied with.
        expected: the shapes that fit, for the error that says that others do not.
        weight: of the base model, which ``combine`` then takes before the tensors.
    """

    file: TensorFile
    names: tuple[str, ...]
    combine: Callable[..., tuple[Tensor, Tensor] | Tensor]
    scale: float = 1.0
    expected: str | None = None
    weight: Weight | None = None

    def __call__(self) -> Update:
        """The update, read from the file.

        Raises:
            TaskvecError: the file has changed, or its numbers make no update.
        """
        base = () if self.weight is None else (self.weight(),)
        tensors = [self.file.tensor(name) for name in self.names]
        try:
            made = self.combine(*base, *tensors)
        except (RuntimeError, ArithmeticError) as error:  # of linear algebra: a singular matrix
            what = f"has numbers in {self.names[0]} of which no update can be made ({str(error).splitlines()[0]})"
            raise TaskvecError(
                what, where=self.file.path, fix="train it again, or use an earlier checkpoint"
            ) from error
        if isinstance(made, Tensor):
            return Dense(None, made * self.scale)
        return LowRank(*made, self.scale)

    def outline(self, kept: Callable[[int, int], int] = min) -> tuple[tuple[int, int], int]:
        """Shape (m, n) and rank of the update, from the tensors' shapes alone.

        ``kept`` says how many directions of a dense m × n update are used.

        Raises:
            TaskvecError: shapes that do not fit together, or an update far larger than what the file holds.
        """
        shapes = self._shapes()
        if () in shapes:
            raise self._misfit(shapes)
        try:
            sizes = _sizes(self.combine, tuple(shapes))
        except (RuntimeError, ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            raise self._misfit(shapes) from error
        if any(len(size) != 2 or 0 in size for size in sizes) or (len(sizes) == 2 and sizes[0][1] != sizes[1][0]):
            raise self._misfit(shapes)
        self._bound(sum(map(math.prod, sizes)), sum(map(math.prod, shapes)))
        m, n = sizes[0][0], sizes[-1][1]
        return (m, n), sizes[0][1] if len(sizes) == 2 else kept(m, n)

    def is_dense(self) -> bool:
        """Whether the update is a matrix and not factors; tells it without reading a tensor."""
        return len(_sizes(self.combine, tuple(self._shapes()))) == 1

    def _shapes(self) -> list[tuple[int, ...]]:
        """Of what ``combine`` takes."""
        own = [self.file.shapes[name] for name in self.names]
        return own if self.weight is None else [self.weight.shape, *own]

    def kernel(self) -> tuple[int, ...]:
        """Sizes k… of a convolution's kernel, from tensors that hold it; () for a matrix."""
        shapes = [self.file.shapes[name] for name in self.names]
        plain = self.combine in (linear, grouped_convolution)  # others have tensors of three dimensions of their own
        tails = [shape[2:] for shape in shapes if len(shape) > 3 or (plain and len(shape) == 3)]
        return max(tails, key=math.prod, default=())

    def _bound(self, made: int, held: int) -> None:
        if made > max(ALWAYS, held, min(GROWTH * held, MOST)):
            what = f"describes an update out of all proportion with {self.names[0]}"
            got, expected = f"{made:,} numbers from {held:,}", f"at most {GROWTH:,} from each and {MOST:,} in all"
            raise TaskvecError(what, where=self.file.path, got=got, expected=expected, fix="leave this adapter out")

    def _misfit(self, shapes: list[tuple[int, ...]]) -> TaskvecError:
        names = self.names if self.weight is None else (f"{self.weight.name} (of the base)", *self.names)
        got = " and ".join(f"{name} {by(shape)}" for name, shape in sorted(zip(names, shapes, strict=True)))
        if (0,) in shapes:
            what = "has empty tensors: it was saved from one part of a sharded model (ZeRO-3, FSDP), not gathered"
            fix = "gather the weights, then save (ZeRO-3: stage3_gather_16bit_weights_on_model_save)"
            raise TaskvecError(what, where=self.file.path, got=got, fix=fix)
        what = "has tensors of one module that do not fit"
        return TaskvecError(what, where=self.file.path, got=got, expected=self.expected, fix=SAVE_AGAIN)


def _sizes(combine: Callable[..., tuple[Tensor, Tensor] | Tensor], shapes: tuple[tuple[int, ...], ...]) -> Sizes:
    """The sizes of what ``combine`` makes of tensors of these shapes: of two factors, or of one matrix."""
    return (_made if isinstance(combine, partial) else _made_before)(combine, shapes)


def _made(combine: Callable[..., tuple[Tensor, Tensor] | Tensor], shapes: tuple[tuple[int, ...], ...]) -> Sizes:
    made = combine(*(torch.empty(shape, device="meta") for shape in shapes))
    return tuple(tuple(one.shape) for one in ([made] if isinstance(made, Tensor) else made))


_made_before = lru_cache(maxsize=1024)(_made)  # the modules of a zoo have few shapes


def check_values(file: TensorFile, name: str) -> None:
    """Raise unless the tensor is of floats, every one finite."""
    dtype, finite = file.values(name)
    if dtype not in FLOATS:
        got, expected = str(dtype), "float64, float32, float16 or bfloat16"
        raise TaskvecError(f"has {name}", where=file.path, got=got, expected=expected, fix=SAVE_AGAIN)
    if not finite:
        fix = "train it again, or use an earlier checkpoint"
        raise TaskvecError(f"has NaN or Inf in {name}", where=file.path, fix=fix)


def number(file: TensorFile, name: str) -> float:
    """The one number in a tensor of floats or integers, an alpha; TaskvecError for any other."""
    if math.prod(file.shapes[name]) != 1:
        got = by(file.shapes[name])
        raise TaskvecError(f"has {name}", where=file.path, got=got, expected="one number", fix=SAVE_AGAIN)
    tensor = file.tensor(name)
    if tensor.dtype not in INTEGERS:
        check_values(file, name)
    return float(tensor)


def check_indices(file: TensorFile, name: str, size: int) -> None:
    """Raise unless the tensor is of integers from 0 to ``size`` − 1. Reads it once."""
    tensor = file.tensor(name)
    known = tensor.dtype in INTEGERS and tensor.numel() > 0
    low, high = map(int, tensor.aminmax()) if known else (-1, -1)
    if low < 0 or high >= size:
        got = f"{low} to {high}" if known else f"{tensor.dtype} {by(tuple(tensor.shape))}"
        expected = f"integers from 0 to {size - 1}"
        raise TaskvecError(f"has indices {name}", where=file.path, got=got, expected=expected, fix=SAVE_AGAIN)


def digest_with_base(own: str, modules: Iterable[Module]) -> str:
    """An adapter's digest: of its own files, and of the base's where an update is made of its weights."""
    weights = (getattr(module.update, "weight", None) for module in modules)
    weight = next((weight for weight in weights if weight is not None), None)
    return own if weight is None else sha256(f"{own} {weight.checkpoint.digest}".encode()).hexdigest()


def by(shape: tuple[int, ...]) -> str:
    """2×3 for (2, 3)."""
    return "×".join(map(str, shape)) or "scalar"
