"""What the launchers share: the machine they run on, tile shapes, and tensors with any strides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor


@dataclass(frozen=True)
class Machine:
    """What a kernel needs to know of a device."""

    capability: tuple[int, int]
    processors: int
    memory: int  # bytes

    @property
    def tma(self) -> bool:
        """Descriptors, wgmma or tcgen05, and more than 200 KiB of shared memory a block."""
        return self.capability[0] in (9, 10)


INTERPRETER = Machine(capability=(9, 0), processors=3, memory=0)


@cache
def machine(device: torch.device) -> Machine:
    """Of a CUDA device; any other runs under Triton's interpreter. Whether that is wanted is the backend's choice."""
    if device.type != "cuda":
        return INTERPRETER
    properties = torch.cuda.get_device_properties(device)
    return Machine((properties.major, properties.minor), properties.multi_processor_count, properties.total_memory)


def free_memory(device: torch.device, on: Machine) -> int:
    """Bytes that torch does not hold for tensors: its own count, since the driver may not be asked in a CUDA graph."""
    return on.memory - (torch.cuda.memory_allocated(device) if device.type == "cuda" else 0)


def check_dtype(function: str, dtype: torch.dtype, on: Machine) -> None:
    """Triton's products of fp64 tiles do not compile for the tensor cores of compute capability 10."""
    if dtype == torch.float64 and on.capability[0] == 10:
        raise ValueError(
            f"{function}: backend 'triton' has no fp64 on a GPU of compute capability {on.capability[0]}."
            f"{on.capability[1]}; pass float32, or backend='reference' for fp64"
        )


@dataclass(frozen=True)
class Scheme:
    """How Gram entries are computed: docs/NUMERICS.md."""

    dtype: torch.dtype  # of X
    terms: int  # 1: hi·hi; 3: lo·hi + hi·lo + hi·hi
    run: int  # columns summed in a row by the tensor cores; 0: all

    @property
    def copies(self) -> int:
        return 2 if self.terms == 3 else 1


def scheme(dtype: torch.dtype, precision: str) -> Scheme:
    """fp16 and bf16 inputs are exact in scaled fp16, so that one product is enough for them."""
    if dtype == torch.float64:
        return Scheme(torch.float64, 1, 0)
    split = dtype == torch.float32 and precision != "medium"
    return Scheme(torch.float16, 3 if split else 1, 256 if precision == "highest" else 0)


@dataclass(frozen=True)
class Tile:
    BM: int
    BN: int
    BK: int
    warps: int
    stages: int
    resident: int = 1  # programs on a multiprocessor at a time

    @property
    def registers(self) -> int | None:
        """Of a thread, at most; None: what the compiler takes."""
        return None if self.resident == 1 else 65536 // (32 * self.warps * self.resident)


def tile(on: Machine, how: Scheme) -> Tile:
    """The largest tile that compiles without spills; where sums are promoted there are two accumulators."""
    if how.dtype == torch.float64:
        return Tile(64, 64, 16, 8, 3, resident=2)
    if not on.tma:
        return Tile(128, 128, 32, 8, 4)
    wide = on.capability[0] == 9 and not how.run
    return Tile(128, 256 if wide else 128, 64, 8, 4)


def padded_rank(k: int) -> tuple[int, int]:
    """(R, blocks): k directions in blocks of R = 8, 16, 32, 64 or 128."""
    R = min(128, max(8, next_power_of_2(k)))
    return R, ceil_div(k, R)


def power_of_two(length: int, terms: int) -> float:
    """The scale of unit vectors in fp16: entries near 1, or near 16 where low halves must stay normal."""
    return 2.0 ** (round(math.log2(length) / 2) + (4 if terms == 3 else 0))


def operand(t: Tensor, rows: int, columns: int, tma: bool) -> Tensor | TensorDescriptor:
    return TensorDescriptor.from_tensor(t, [rows, columns]) if tma else t


@dataclass(frozen=True)
class Strided:
    """A tensor with any strides, its leading dimensions seen as one: no copy, whatever was broadcast."""

    data: Tensor
    step: int | Tensor  # elements from one leading entry to the next; where they differ, the offset of each, int64
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # of the other dimensions
    aligned: bool  # the data to 16 bytes, and every leading offset to 16 elements

    @classmethod
    def of(cls, t: Tensor, dims: int) -> Strided:
        """The last ``dims`` dimensions keep their strides."""
        lead = t.dim() - dims
        steps = joined(t.shape[:lead], t.stride()[:lead])
        aligned = t.data_ptr() % 16 == 0 and all(step % 16 == 0 for _, step in steps)
        return cls(t, leading(steps, t.device), (t.shape[:lead].numel(), *t.shape[lead:]), t.stride()[lead:], aligned)

    def part(self, modules: slice, adapters: slice) -> Strided:
        """Some modules and adapters (dimensions 0 and 1)."""
        first = adapters.start * self.strides[0]
        aligned = self.aligned and first % 16 == 0
        step = self.step
        if isinstance(step, Tensor):
            step = step[modules]
        else:
            first += modules.start * step
        data = self.data.as_strided((), (), self.data.storage_offset() + first)
        shape = modules.stop - modules.start, adapters.stop - adapters.start, *self.shape[2:]
        return Strided(data, step, shape, self.strides, aligned)

    @property
    def table(self) -> Tensor:
        """The offset of each leading entry."""
        if isinstance(self.step, Tensor):
            return self.step
        return leading_offsets([(self.shape[0], self.step)], self.data.device)


def leading(steps: Sequence[tuple[int, int]], device: torch.device) -> int | Tensor:
    """``Strided.step`` of joined dimensions. A table is a launch or more, each as long as a small kernel."""
    if len(steps) < 2:
        return steps[0][1] if steps else 0
    return leading_offsets(steps, device)


def leading_offsets(steps: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    offsets = torch.zeros(1, dtype=torch.int64, device=device)
    for size, stride in steps:
        offsets = (offsets[:, None] + torch.arange(size, device=device) * stride).flatten()
    return offsets


def leads(parts: Sequence[Strided]) -> tuple[list[int | Tensor], str]:
    """What a kernel gets of the leading dimensions of its operands, and how ``offset`` reads it."""
    if any(isinstance(t.step, Tensor) for t in parts):
        return [t.table for t in parts], "aligned table" if all(t.aligned for t in parts) else "table"
    return [t.step for t in parts], "step"


def joined(shape: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """(size, stride) of the dimensions, neighbours as one where one step goes through both: each costs launches."""
    dims: list[tuple[int, int]] = []
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if dims and dims[-1][1] == size * stride:
            dims[-1] = dims[-1][0] * size, stride
        else:
            dims.append((size, stride))
    return dims


@triton.jit
def offset(lead, index, mask, LEAD: tl.constexpr):
    """Of a leading entry, by ``leads``; a compiler that is not told of a table's alignment loads single elements."""
    if LEAD == "step":
        at = index.to(tl.int64) * lead
    else:
        at = tl.load(lead + index, mask=mask, other=0)
        if LEAD == "aligned table":
            at = tl.multiple_of(at, 16)
    return at


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def round_up(a: int, b: int) -> int:
    return ceil_div(a, b) * b


def next_power_of_2(a: int) -> int:
    return 1 << (a - 1).bit_length()
