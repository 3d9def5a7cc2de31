"""``pairwise``: pack a panel, compute its d tile by tile, reduce it to metrics, panel after panel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import triton.language as tl
from torch import Tensor

from ...dispatch.arguments import result_dtype
from ...solver import Solver
from ...types import Adapters
from . import capture as captures
from . import chance as chances
from .capture import Grams, capture
from .chance import chance
from .gram import gram
from .launch import (
    Machine,
    Scheme,
    Strided,
    Tile,
    ceil_div,
    check_dtype,
    free_memory,
    machine,
    operand,
    padded_rank,
    power_of_two,
    round_up,
    scheme,
    tile,
)
from .pack import pack
from .panels import LEAST, Cost, Panel, Plan, panels, plan, room
from .reduce import outputs, reduce
from .schedule import triangle_tiles
from .sides import Side

TL_DTYPE = {torch.float32: tl.float32, torch.float64: tl.float64}
DEPTH = 64  # columns of U and of V in X are padded to a multiple of this


@dataclass(frozen=True)
class Zoo:
    """The adapters of one side, [modules, adapters, ...]."""

    U: Strided  # [modules, adapters, k, m]
    V: Strided  # [modules, adapters, k, n]
    side: Side
    k: int
    R: int
    blocks: int  # of R directions, an adapter

    @classmethod
    def of(cls, x: Adapters, dtype: torch.dtype) -> Zoo:
        k = x.S.shape[-1]
        R, blocks = padded_rank(k)
        side = Side.of(x.S, x.norm, x.seed, R * blocks, dtype)
        return cls(Strided.of(x.U.mT, 3), Strided.of(x.Vh, 3), side, k, R, blocks)

    @property
    def padded(self) -> int:
        return self.R * self.blocks

    @property
    def count(self) -> int:
        return self.side.norm.shape[1]


@dataclass(frozen=True)
class Call:
    """What holds for every panel of a call."""

    x: Zoo
    y: Zoo  # x itself when all against all
    symmetric: bool
    on: Machine
    how: Scheme
    cut: Tile
    m: int
    n: int
    dtype: torch.dtype  # of sums and results
    overlaps: bool
    grams: bool  # whether the Gram blocks are kept

    @property
    def depths(self) -> tuple[int, int]:
        return round_up(self.m, DEPTH), round_up(self.n, DEPTH)

    @property
    def width(self) -> int:
        return sum(self.depths) * self.how.copies

    @property
    def scales(self) -> tuple[float, float]:
        """Of U and V in X; fp64 needs none."""
        if self.how.dtype == torch.float64:
            return 1.0, 1.0
        return power_of_two(self.m, self.how.terms), power_of_two(self.n, self.how.terms)

    def tiles(self, sources: int, targets: int | None) -> tuple[int, int, int]:
        """Row tiles, column tiles, and tiles of a module."""
        rows = ceil_div(sources * self.x.padded, self.cut.BM)
        if targets is None:
            return rows, 0, triangle_tiles(rows, self.cut.BN // self.cut.BM)
        columns = ceil_div(targets * self.y.padded, self.cut.BN)
        return rows, columns, rows * columns

    def cost(self) -> Cost:
        itemsize = self.dtype.itemsize
        row = self.width * self.how.dtype.itemsize
        d = self.x.padded * self.y.blocks + (0 if self.symmetric else self.y.padded * self.x.blocks)
        squares = 2 * self.x.blocks * self.y.blocks if self.overlaps else 0
        squares += 2 * self.x.padded * self.y.padded if self.grams else 0
        return Cost(
            x=self.x.padded * row,
            y=self.y.padded * row,
            pair=(2 * d if self.symmetric else d) * itemsize + squares * itemsize,
            program=2 * self.cut.BM * self.cut.BN * itemsize,
            programs=self.on.processors * self.cut.resident,
        )


def pairwise(
    x: Adapters,
    y: Adapters | None,
    metrics: list[str],
    spectra: bool,
    precision: str,
    p: float | None,
    solver: Solver,
    out: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    batch, dtype, device = x.S.shape[:-2], result_dtype(x.U), x.S.device
    zoo = Zoo.of(x, dtype)
    other = zoo if y is None else Zoo.of(y, dtype)
    on, how = machine(device), scheme(x.U.dtype, precision)
    check_dtype("pairwise", dtype, on)
    overlaps = not {"overlap_u", "overlap_v"}.isdisjoint(metrics)
    grams = not set(captures.NAMES).isdisjoint(metrics)
    m, n = x.U.shape[-2], x.Vh.shape[-1]
    call = Call(zoo, other, y is None, on, how, tile(on, how), m, n, dtype, overlaps, grams)
    lams, given = len(solver.lams), None if out is None else iter(out)
    forward = outputs(metrics, spectra, lams, (*batch, zoo.count, other.count), zoo.k, dtype, device, given)
    backward = forward
    if y is not None:
        backward = outputs(metrics, spectra, lams, (*batch, other.count, zoo.count), other.k, dtype, device, given)
    if batch.numel() and forward:
        run(call, batch.numel(), forward, backward, len(batch), p, solver)
    return [*forward.values(), *(backward.values() if y is not None else ())]


def of_lam(out: dict[str, Tensor], at: int, lead: int) -> dict[str, Tensor]:
    """Views for one λ with one leading dimension in place of ``lead``."""
    views = {name: t if name == "d" else t[at] for name, t in out.items()}
    return {name: t.flatten(0, lead - 1) if lead else t[None] for name, t in views.items()}


def run(
    call: Call,
    modules: int,
    forward: dict[str, Tensor],
    backward: dict[str, Tensor],
    lead: int,
    p: float | None,
    solver: Solver,
) -> None:
    device = call.x.side.S.device
    solvers = [None if lam == 0 and solver.method == "exact" else solver for lam in solver.lams]
    lams = [
        call.x.side.total if way is None else torch.full((1,), lam, dtype=torch.float64, device=device)
        for lam, way in zip(solver.lams, solvers, strict=True)
    ]
    outs = [split(of_lam(forward, at, lead)) for at in range(len(lams))]
    others = outs if call.symmetric else [split(of_lam(backward, at, lead)) for at in range(len(lams))]
    N, M = call.x.count, None if call.symmetric else call.y.count
    tiles = call.tiles(N, M)[2]
    cost = call.cost()
    cut, space = workspace(call, lambda budget: plan(modules, N, M, cost, tiles, budget))
    packed = None
    size = call.m * call.n
    for panel in panels(cut, modules, N, M):
        if packed != (panel.modules, panel.sources):
            rows_of(call, call.x, panel.modules, panel.sources, space.x)
            packed = panel.modules, panel.sources
        if panel.targets is not None:
            rows_of(call, call.y, panel.modules, panel.targets, space.y)
        source = call.x.side.part(panel.modules, panel.sources)
        target = source if panel.targets is None else call.y.side.part(panel.modules, panel.targets)
        d, back, cross, grams = multiply(call, panel, source, target, space)
        blocks = call.x.blocks, call.y.blocks
        first = panel.modules.start
        i, j = panel.sources.start, (panel.targets or panel.sources).start
        strides = target.norm.shape[1] * call.y.blocks, 1
        for lam, way, (shares, signs, rest), (other_shares, other_signs, other_rest) in zip(
            lams, solvers, outs, others, strict=True
        ):
            if shares:
                most = 256 if call.on.tma else 128
                capture(grams, source, target, shares, other_shares, (first, i, j), (call.x.k, call.y.k), most)
            if signs:
                chance_of(way, d, source, target, call.y.blocks, signs, (first, i, j), call.x.k)
            if rest:
                reduce(
                    d, cross, strides, source, target, blocks, rest, (first, i, j), call.x.k, size, p, lam, way
                )  # fmt: skip
            if panel.targets is None:
                continue
            if other_signs:
                chance_of(way, back, target, source, call.x.blocks, other_signs, (first, j, i), call.y.k)
            if other_rest:
                reduce(
                    back, cross, strides[::-1], target, source, blocks[::-1], other_rest, (first, j, i), call.y.k,
                    size, p, lam, way,
                )  # fmt: skip


def split(outs: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """The outputs that ``capture``, ``chance`` and ``reduce`` fill."""
    shares = {name: t for name, t in outs.items() if name in captures.NAMES}
    signs = {name: t for name, t in outs.items() if name in chances.NAMES}
    return shares, signs, {name: t for name, t in outs.items() if name not in shares and name not in signs}


def chance_of(
    way: Solver | None,
    d: Tensor,
    source: Side,
    target: Side,
    target_blocks: int,
    outs: dict[str, Tensor],
    origin: tuple[int, int, int],
    k: int,
) -> None:
    """NaN where S₂ is not max(0, d)."""
    if way is None:
        return chance(d, source, target, target_blocks, outs, origin, k)
    for t in outs.values():
        t.fill_(torch.nan)


@dataclass(frozen=True)
class Workspace:
    """Flat memory that every panel uses again."""

    x: Tensor
    y: Tensor
    d: Tensor
    back: Tensor
    cross: tuple[Tensor, Tensor]
    grams: tuple[Tensor, Tensor]
    scratch: Tensor

    @classmethod
    def of(cls, call: Call, p: Plan) -> Workspace:
        device = call.x.side.S.device
        spare = max(call.cut.BM, call.cut.BN)  # rows that a tile may read beyond the last

        def rows(adapters: int, zoo: Zoo) -> Tensor:
            count = (p.modules * adapters * zoo.padded + spare) * call.width if adapters else 0
            return torch.empty(count, dtype=call.how.dtype, device=device)

        nothing = torch.empty(0, dtype=call.dtype, device=device)

        def values(count: int) -> Tensor:
            return torch.empty(count, dtype=call.dtype, device=device) if count else nothing

        x, y = call.x, call.y
        among = call.symmetric and p.sources == x.count
        targets = 0 if among else p.targets
        pairs = p.modules * p.sources * max(targets, p.sources if call.symmetric else 0)
        squares = pairs * x.blocks * y.blocks if call.overlaps else 0
        entries = pairs * x.padded * y.padded if call.grams else 0
        return cls(
            x=rows(p.sources, x),
            y=rows(targets, y),
            d=values(pairs * x.padded * y.blocks),
            back=values(p.modules * p.sources * targets * y.padded * x.blocks),
            cross=(values(squares), values(squares)),
            grams=(values(entries), values(entries)),
            scratch=values(p.programs * 2 * call.cut.BM * call.cut.BN),
        )


def workspace(call: Call, planned: Callable[[int], Plan]) -> tuple[Plan, Workspace]:
    """The memory of the largest panels that there is room for; a budget that does not fit is halved.

    Raises:
        torch.OutOfMemoryError: one adapter against one does not fit.
    """
    budget = LEAST
    if not planned(budget).whole:
        budget = room(free_memory(call.x.side.S.device, call.on))
    while True:
        cut = planned(budget)
        try:
            return cut, Workspace.of(call, cut)
        except torch.OutOfMemoryError as error:
            if cut.smallest:
                raise torch.OutOfMemoryError(
                    f"{error} (pairwise: not even one adapter against one fits beside inputs and outputs; "
                    "free GPU memory, or pass fewer adapters or modules a call)"
                ) from error
            budget //= 2


def rows_of(call: Call, zoo: Zoo, modules: slice, adapters: slice, out: Tensor) -> None:
    U, V = zoo.U.part(modules, adapters), zoo.V.part(modules, adapters)
    pack(out[: len(out) // call.width * call.width].view(-1, call.width), U, V, call.depths, call.scales, zoo.padded,
         call.how.terms)  # fmt: skip


def multiply(
    call: Call, panel: Panel, source: Side, target: Side, space: Workspace
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], Grams]:
    """d of both directions, the squared overlaps of blocks and the blocks, each [modules, ...] in the workspace."""
    among = panel.targets is None
    cut, x, y = call.cut, call.x, call.y
    modules, sources = source.norm.shape
    targets = target.norm.shape[1]
    row_tiles, column_tiles, module_tiles = call.tiles(sources, None if among else targets)
    tiles = module_tiles * modules
    programs = min(tiles, len(space.scratch) // (2 * cut.BM * cut.BN))

    def strips(memory: Tensor, count: int, height: int) -> object:
        rows = memory[: modules * count * call.width].view(-1, call.width)
        return operand(rows, height, cut.BK, call.on.tma)

    a = strips(space.x, sources * x.padded, cut.BM)
    b = strips(space.x if among else space.y, targets * y.padded, cut.BN)
    back = space.d if among else space.back
    chunk = min(cut.BN, max(32 if call.overlaps and call.how.run else 64, y.R))  # with two sums a wider one spills
    undo = tuple(scale**-2 for scale in call.scales)
    gram[(programs,)](
        a, b, source.S, target.S, space.scratch, space.d, back, *space.cross, *space.grams,
        sources * x.padded, targets * y.padded, *call.depths, *undo, call.width,
        row_tiles, column_tiles, module_tiles, tiles, programs,
        SYMMETRIC=among, TERMS=call.how.terms, RUN=call.how.run, OVERLAPS=call.overlaps, GRAMS=call.grams,
        BM=cut.BM, BN=cut.BN, BK=cut.BK, BC=chunk, RX=x.R, RY=y.R, DTYPE=TL_DTYPE[call.dtype],
        TMA=call.on.tma, num_warps=cut.warps, num_stages=cut.stages, maxnreg=cut.registers,
    )  # fmt: skip
    cross = tuple(t[: modules * sources * x.blocks * targets * y.blocks].view(modules, -1) for t in space.cross)
    shape = modules, sources * x.padded, targets * y.padded
    u, v = (t[: math.prod(shape)].view(shape) if call.grams else t for t in space.grams)
    return space.d, back, (cross[0], cross[1]) if call.overlaps else (space.d, space.d), Grams(u, v, among)
