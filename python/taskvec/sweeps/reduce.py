"""What the modules of a pair come to, added up while they are computed: in one order, so to the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..ledger.arrays import Part
from ..paths import layer_and_kind, layer_of
from ..store.entry import Entry
from .collect import Index, ways
from .compute import BlockResult
from .layout import BY_LAM, MEAN_OF, base_of, kinds_of, layers_of
from .options import Options
from .plan import Block, Plan, Unit

SHARES = ("captured", "captured_out", "captured_in")
OF_Z = ("rec", "rec_chance", "rec_chance_sd")
Doubles = NDArray[np.float64]
At = tuple[slice | Tensor, slice | Tensor]


class Sum:
    """Σ over modules of values of pairs, NaN skipped; ``lost``: how many of those there are."""

    def __init__(self, size: tuple[int, ...], device: torch.device) -> None:
        self.size, self.device = size, device
        self.lost: Tensor | None = None

    @cached_property
    def total(self) -> Tensor:
        """Zeros, when the first block comes: a unit that waits takes no memory."""
        return torch.zeros(self.size, dtype=torch.float64, device=self.device)

    def add(self, at: At, values: Tensor, whole: bool) -> None:
        """L modules: (L, ..., n, m) for the pairs at ``at``; ``whole``: no value is NaN, so that none is looked for."""
        where = (..., *at)
        if not whole:
            known = ~values.isnan()
            if self.lost is None:
                self.lost = torch.zeros(self.total.shape, dtype=torch.int16, device=self.total.device)
            self.lost[where] += (~known).sum(0, dtype=torch.int16)
            values = values.where(known, 0)
        if values.is_cuda and len(values) > 1:  # few launches
            values = values.sum(0, keepdim=True, dtype=torch.float64)
        for one in values:  # a module is small enough for a core's cache
            self.total[where] += one

    def mean(self, used: Tensor) -> Tensor:
        """The mean of the values that are not NaN, out of ``used``."""
        return ratio(self.total, used if self.lost is None else used - self.lost)


class Direction:
    """The pairs of a unit in one direction: N sources and M targets. Sums are where the values come from."""

    def __init__(self, plan: Plan, unit: Unit, options: Options, back: bool) -> None:
        self.plan, self.device = plan, torch.device(options.device)
        self.sources, self.targets = (unit.targets, unit.sources) if back else (unit.sources, unit.targets)
        self.size = len(self.sources), len(self.targets)
        names, by_lam = options.metrics, (len(options.solver.lams), *self.size)
        self.sums = {name: self._sum(name, by_lam) for name in names if name != "rec_chance_sd"}
        self.held = {name: self._sum(name, by_lam) for name in SHARES if name in names}
        self.logs = self._sum("excess", by_lam) if "excess" in names else None
        self.z = (self._sum("rec", by_lam), self._sum("rec", by_lam)) if set(OF_Z) <= set(names) else None
        self.norm = np.full((len(plan.modules), len(self.targets)), np.nan)
        self.row = {path: row for row, path in enumerate(plan.modules)}
        self._shapes: dict[tuple[str, range], NDArray[np.int64]] = {}
        self.parts_of: dict[str, dict[str, Sum]] = {}
        for by, (_, in_order) in GROUPS.items():
            for name in ("captured", "rec"):
                if name in names:
                    groups = {group: self._sum(name, by_lam) for group in in_order(plan.modules)}
                    self.parts_of[f"{name}_of_{by}"] = groups

    def _sum(self, name: str, by_lam: tuple[int, ...]) -> Sum:
        return Sum(by_lam if name in BY_LAM else self.size, self.device)

    def add(
        self, places: tuple[Index, Index], modules: Sequence[str], values: Mapping[str, Tensor], norms: Doubles
    ) -> None:
        """A block of L modules; ``norms`` (L, m) of its targets."""
        at = self._at(places[0]), self._at(places[1])
        whole = without_nan(values)
        of = {name: value.transpose(0, 1) if name in BY_LAM else value[0] for name, value in values.items()}  # [L, ...]
        for path, norm in zip(modules, norms, strict=True):
            self.norm[self.row[path], places[1]] = norm
        for name, one in self.sums.items():
            one.add(at, of[name], whole[name])
        squares = torch.from_numpy(np.square(norms)).to(self.device)[:, None]  # [L, 1, m]
        finite = bool(np.isfinite(norms).all())
        for name, one in self.held.items():
            held = of[name] * squares
            # a source without a direction holds nothing: NaN, which is skipped
            one.add(at, held, finite and whole[name])
            if name == "captured":
                self._add_groups("captured", at, modules, held, finite and whole[name])
        if "rec" in of:
            self._add_groups("rec", at, modules, of["rec"], whole["rec"])
        if self.logs is not None:
            self.logs.add(at, of["excess"].double().log(), whole["excess"])
        if self.z is not None:
            rec, chance, sd = (of[name] for name in OF_Z)
            if rec.ndim > chance.ndim:
                chance, sd = chance[:, None], sd[:, None]  # of every λ
            above, variance = self.z
            above.add(at, rec.double() - chance, whole["rec"] and whole["rec_chance"])
            square = sd.double().square().expand(rec.shape)
            variance.add(at, square if whole["rec"] else square.where(~rec.isnan(), 0), True)

    def _add_groups(self, name: str, at: At, modules: Sequence[str], values: Tensor, whole: bool) -> None:
        for by, (group_of, _) in GROUPS.items():
            groups = list(map(group_of, modules))
            for group in dict.fromkeys(groups):
                rows = [row for row, one in enumerate(groups) if one == group]
                some = values[rows] if len(rows) > 1 else values[rows[0] : rows[0] + 1]
                self.parts_of[f"{name}_of_{by}"][group].add(at, some, whole)

    def _at(self, places: Index) -> slice | Tensor:
        return places if isinstance(places, slice) else torch.from_numpy(places).to(self.device)

    def values(self) -> Iterator[tuple[str, Tensor]]:
        """Every variable of ``layout.reduced``, λ first; NaN for pairs that no block had."""
        used, whole = self._shared(self.plan.modules)
        lost = self.sums["rec"].lost if "rec" in self.sums else None
        yield "used", (used if lost is None else used - lost[0]).int()
        for name, one in self.sums.items():
            yield f"mean_{name}" if name in MEAN_OF else name, one.mean(used)
        for name, one in self.held.items():
            yield name, ratio(one.total, whole)
        if self.logs is not None:
            yield "excess", self.logs.mean(used).exp()
        if self.z is not None:
            above, variance = self.z
            yield "rec_z_raw", ratio(above.total, variance.total.sqrt())
        for by, (group_of, in_order) in GROUPS.items():
            found: dict[str, list[Tensor]] = {name: [] for name in self.parts_of if name.endswith(f"_of_{by}")}
            for group in in_order(self.plan.modules):
                used, whole = self._shared([path for path in self.plan.modules if group_of(path) == group])
                for name, values in found.items():
                    one = self.parts_of[name][group]  # none of its modules: zeros
                    values.append(ratio(one.total, whole) if name.startswith("captured") else one.mean(used))
            for name, values in found.items():
                yield name, torch.stack(values, -3)

    def _shared(self, modules: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Of each pair: how many of the modules both have in one shape, and Σ‖τ‖² of the target in them."""
        used = np.zeros(self.size, np.int64)
        whole = np.zeros(self.size)
        for path in modules:
            source, target = (self.shapes(path, side) for side in (self.sources, self.targets))
            square = np.square(self.norm[self.row[path]])
            if source.min() == source.max() == target.min() == target.max() > 0:
                used += 1
                whole += square
            else:
                both = (source[:, None] == target) & (target > 0)
                used += both
                whole += np.where(both, square, 0.0)
        return torch.from_numpy(used).to(self.device), torch.from_numpy(whole).to(self.device)

    def shapes(self, path: str, adapters: range) -> NDArray[np.int64]:
        """A number for the shape in which each adapter has a module; 0: it has none."""
        if (path, adapters) not in self._shapes:
            self._shapes[path, adapters] = shapes_of(self.plan.entries, path, adapters)
        return self._shapes[path, adapters]


def without_nan(values: Mapping[str, Tensor]) -> dict[str, bool]:
    """Which metrics of a block have no NaN; NaN is rare."""
    sums = torch.stack([value.sum(dtype=torch.float64) for value in values.values()])  # a GPU waits once
    return {name: not unknown for name, unknown in zip(values, sums.isnan().tolist(), strict=True)}


def shapes_of(entries: Sequence[Entry], path: str, adapters: range) -> NDArray[np.int64]:
    found = (entries[i].modules.get(path) for i in adapters)
    return np.array([module.shape[0] << 32 | module.shape[1] if module else 0 for module in found], np.int64)


def ratio(total: Tensor, of: Tensor) -> Tensor:
    """NaN where ``of`` is 0."""
    return torch.where(of > 0, total / of, torch.nan)


def kind_of(path: str) -> str:
    return layer_and_kind(path)[1]


# what modules are put together by: the group of one, and all groups in order
GROUPS: dict[str, tuple[Callable[[str], str], Callable[[Sequence[str]], list[str]]]] = {
    "layer": (layer_of, layers_of),
    "kind": (kind_of, kinds_of),
}


class Reduced:
    """Means over modules, pooled shares and z of the pairs of a unit, whole and by layer and kind."""

    def __init__(self, plan: Plan, unit: Unit, options: Options, several: bool) -> None:
        self.unit, self.several = unit, several
        self.there = Direction(plan, unit, options, back=False)
        self.back = self.there if unit.diagonal else Direction(plan, unit, options, back=True)

    def add(self, block: Block, result: BlockResult) -> None:
        norms = (result.target_norms, result.source_norms)
        found = ways(self.unit, block, result, self.there, self.back)
        for (values, into, at), norm in zip(found, norms, strict=False):
            into.add(at, block.modules, values, norm)

    def parts(self) -> Iterator[Part]:
        for one in (self.there,) if self.unit.diagonal else (self.there, self.back):
            for name, value in self.values(one).items():
                yield Part(name, (*(0,) * (value.ndim - 2), one.sources.start, one.targets.start), value)

    def values(self, one: Direction) -> dict[str, NDArray[Any]]:
        """Every variable of a direction, (..., N, M), fp32 but for ``used``; one λ is no dimension."""
        found: dict[str, NDArray[Any]] = {}
        for name, value in one.values():
            if value.ndim > 2 and not self.several and base_of(name) in BY_LAM:
                value = value[0]
            found[name] = (value if name == "used" else value.float()).cpu().numpy()
        return found
