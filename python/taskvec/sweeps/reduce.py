"""What the modules of a pair come to, added up while they are computed: in one order, so to the same bits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..chance.significance import RecZ
from ..ledger.arrays import Part
from ..paths import layer_and_kind, layer_of
from ..store.entry import Entry
from .collect import Index, ways
from .compute import BlockResult, Floats
from .layout import BY_LAM, MEAN_OF, base_of, kinds_of, layers_of
from .plan import Block, Plan, Unit

SHARES = ("captured", "captured_out", "captured_in")
OF_Z = ("rec", "rec_chance", "rec_chance_sd")
Doubles = NDArray[np.float64]


class Sum:
    """Σ over modules of values of pairs, NaN skipped; ``lost``: how many of those there are."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.total = np.zeros(shape)
        self.lost: NDArray[np.uint16] | None = None

    def add(self, at: tuple[Index, Index], values: Floats | Doubles) -> None:
        """One module: (..., n, m) for the pairs at ``at``."""
        where = (..., *at)
        if np.isnan(values.sum()):  # one pass; NaN is rare
            known = ~np.isnan(values)
            if self.lost is None:
                self.lost = np.zeros(self.total.shape, np.uint16)
            self.lost[where] += ~known
            values = np.where(known, values, 0)
        self.total[where] += values

    def mean(self, used: NDArray[np.int64]) -> Doubles:
        """The mean of the values that are not NaN, out of ``used``."""
        n = used if self.lost is None else used - self.lost
        return np.divide(self.total, n, out=np.full_like(self.total, np.nan), where=n > 0)


class Direction:
    """The pairs of a unit in one direction: N sources and M targets."""

    def __init__(self, plan: Plan, unit: Unit, names: Sequence[str], lams: int, back: bool) -> None:
        self.plan, self.names = plan, names
        self.sources, self.targets = (unit.targets, unit.sources) if back else (unit.sources, unit.targets)
        size = len(self.sources), len(self.targets)
        sizes = {name: (lams, *size) if name in BY_LAM else size for name in names}
        self.sums = {name: Sum(sizes[name]) for name in names if name != "rec_chance_sd"}
        self.held = {name: Sum(size) for name in SHARES if name in names}
        self.logs = Sum(size) if "excess" in names else None
        self.z = RecZ(sizes["rec"]) if set(OF_Z) <= set(names) else None
        self.norm = np.full((len(plan.modules), len(self.targets)), np.nan)
        self.row = {path: row for row, path in enumerate(plan.modules)}
        self.parts_of: dict[str, dict[str, Sum]] = {}
        for by in GROUPS:
            if "captured" in names:
                self.parts_of[f"captured_of_{by}"] = defaultdict(lambda: Sum(size))
            if "rec" in names:
                self.parts_of[f"rec_of_{by}"] = defaultdict(lambda: Sum(sizes["rec"]))

    def add(
        self, at: tuple[Index, Index], modules: Sequence[str], values: Mapping[str, Floats], norms: Doubles
    ) -> None:
        """A block of L modules; ``norms`` (L, m) of its targets."""
        for at_module, path in enumerate(modules):
            of = {
                name: value[:, at_module] if name in BY_LAM else value[0, at_module] for name, value in values.items()
            }
            for name, one in self.sums.items():
                one.add(at, of[name])
            self.norm[self.row[path], at[1]] = norms[at_module]
            square = np.square(norms[at_module])
            for name, one in self.held.items():
                held = of[name] * square
                one.add(at, held)  # a source without a direction holds nothing: NaN, which is skipped
                if name == "captured":
                    for by, (group_of, _) in GROUPS.items():
                        self.parts_of[f"captured_of_{by}"][group_of(path)].add(at, held)
            if "rec" in of:
                for by, (group_of, _) in GROUPS.items():
                    self.parts_of[f"rec_of_{by}"][group_of(path)].add(at, of["rec"])
            if self.logs is not None:
                with np.errstate(divide="ignore"):
                    self.logs.add(at, np.log(of["excess"], dtype=np.float64))
            if self.z is not None:
                self._add_z(at, *(of[name] for name in OF_Z))

    def _add_z(self, at: tuple[Index, Index], rec: Floats, chance: Floats, sd: Floats) -> None:
        assert self.z is not None
        where = (..., *at)
        self.z.above[where] += np.nan_to_num(np.subtract(rec, chance, dtype=np.float64))
        self.z.variance[where] += np.where(np.isnan(rec), 0.0, np.square(sd, dtype=np.float64))

    def values(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Every variable of ``layout.reduced``, λ first; NaN for pairs that no block had."""
        used, whole = self._shared(self.plan.modules)
        lost = self.sums["rec"].lost if "rec" in self.sums else None
        yield "used", (used if lost is None else used - lost[0]).astype(np.int32)
        for name, one in self.sums.items():
            yield f"mean_{name}" if name in MEAN_OF else name, one.mean(used)
        for name, one in self.held.items():
            yield name, share(one, whole)
        if self.logs is not None:
            yield "excess", np.exp(self.logs.mean(used))
        if self.z is not None:
            yield "rec_z_raw", self.z.value
        for by, (group_of, in_order) in GROUPS.items():
            found: dict[str, list[Doubles]] = {name: [] for name in self.parts_of if name.endswith(f"_of_{by}")}
            for group in in_order(self.plan.modules):
                used, whole = self._shared([path for path in self.plan.modules if group_of(path) == group])
                for name, values in found.items():
                    one = self.parts_of[name][group]  # none of its modules: zeros
                    values.append(share(one, whole) if name.startswith("captured") else one.mean(used))
            for name, values in found.items():
                yield name, np.stack(values, axis=-3)

    def _shared(self, modules: Sequence[str]) -> tuple[NDArray[np.int64], Doubles]:
        """Of each pair: how many of the modules both have in one shape, and Σ‖τ‖² of the target in them."""
        used = np.zeros((len(self.sources), len(self.targets)), np.int64)
        whole = np.zeros(used.shape)
        for path in modules:
            source, target = (shapes_of(self.plan.entries, path, side) for side in (self.sources, self.targets))
            both = (source[:, None] == target) & (target > 0)
            used += both
            whole += np.where(both, np.square(self.norm[self.row[path]]), 0.0)
        return used, whole


def shapes_of(entries: Sequence[Entry], path: str, adapters: range) -> NDArray[np.int64]:
    """A number for the shape in which each adapter has a module; 0: it has none."""
    found = (entries[i].modules.get(path) for i in adapters)
    return np.array([module.shape[0] << 32 | module.shape[1] if module else 0 for module in found], np.int64)


def share(held: Sum, whole: Doubles) -> Doubles:
    """Σ share · ‖τ‖² / Σ‖τ‖²; NaN where that is 0."""
    return np.divide(held.total, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def kind_of(path: str) -> str:
    return layer_and_kind(path)[1]


# what modules are put together by: the group of one, and all groups in order
GROUPS: dict[str, tuple[Callable[[str], str], Callable[[Sequence[str]], list[str]]]] = {
    "layer": (layer_of, layers_of),
    "kind": (kind_of, kinds_of),
}


class Reduced:
    """Means over modules, pooled shares and z of the pairs of a unit, whole and by layer and kind."""

    def __init__(self, plan: Plan, unit: Unit, names: Sequence[str], lams: int, several: bool) -> None:
        self.unit, self.several = unit, several
        self.there = Direction(plan, unit, names, lams, back=False)
        self.back = self.there if unit.diagonal else Direction(plan, unit, names, lams, back=True)

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
            found[name] = value if name == "used" else value.astype(np.float32)
        return found
