"""One new adapter against all of a store: a row of blocks, no sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from taskvec_kernels import LowRankSVD

from ..adapters import Adapter
from ..errors import TaskvecError
from ..progress import Mode, progress_bar
from ..store.entry import MEMORY_BYTES, Entry
from ..store.factors import Factors, Form
from ..store.kept import Kept
from ..store.memory import AdapterFactors
from .collect import OfSources
from .inputs import as_factors
from .keep import Keep
from .layout import MEANINGS, SOURCE, coordinates_of, listed_variables, unit_bytes
from .listed import ENDS, joined, negative_of, tile_work, tiles, values_of
from .options import Options
from .plan import Plan, Unit, plan_sweep
from .run import attributes

REDUCED = Keep("reduced")


@dataclass(frozen=True)
class Joined:
    """The adapters of a store, and one more after them."""

    store: Factors
    new: Factors
    name: str

    @property
    def entries(self) -> tuple[Entry, ...]:
        return (*self.store.entries, replace(self.new.entries[0], name=self.name))

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        last = len(self.store.entries)
        if last not in adapters:
            return self.store.read(modules, adapters, rank)
        new = self.new.read(modules, (0,), rank)
        if len(adapters) == 1:
            return new
        others = tuple(i for i in adapters if i != last)
        old = self.store.read(modules, others, rank)
        order = torch.tensor([others.index(i) if i != last else len(others) for i in adapters])
        U, S, Vh, norms = (
            torch.cat([one, other.to(one)], 1)[:, order]
            for one, other in (
                (old.svd.U.mT, new.svd.U.mT),
                (old.svd.S, new.svd.S),
                (old.svd.Vh, new.svd.Vh),
                (old.norms, new.norms),
            )
        )
        return Form(LowRankSVD(U.mT, S, Vh), norms)

    def whole(self, module: str, adapter: int) -> Tensor | None:
        return self.new.whole(module, 0) if adapter == len(self.store.entries) else self.store.whole(module, adapter)


def like(
    store: str | Path | Factors,
    new: Adapter,
    options: Options | None = None,
    *,
    memory: int = MEMORY_BYTES,
    progress: Mode = "off",
) -> xr.Dataset:
    """What an adapter holds of every other and the others of it, exactly.

    Args:
        store: of N adapters.
        new: another one; where the store has its name it is called "NAME (new)".
        options: how pairs are compared; None: as ``sweep`` does.
        memory: bytes for the factors and results of a block.
        progress: "auto", "off" or "json", on stderr.

    Returns:
        As ``approximate`` has it: the list of the 2 N ordered pairs of the new adapter, which is the last of
        ``source``. q is over these pairs.

    Raises:
        TaskvecError: it has no module in common with any of them.

    Cost:
        2 r² (m + n) flop a module and adapter of the store, each of which is read once.
    """
    options = options or Options()
    factors = as_factors(store, options.device)
    names = {entry.name for entry in factors.entries}
    name = f"{new.name} (new)" if new.name in names else new.name
    both = Kept(Joined(factors, AdapterFactors([new]), name), 0, options.device)
    entries: Sequence[Entry] = both.entries
    plan = replace(plan_sweep(entries, unit_bytes(entries, options, REDUCED), all_modules=True), group=0)
    last = len(entries) - 1
    pairs = np.stack([np.arange(last), np.full(last, last)], axis=1)
    known, lists = of_all(plan), []
    with progress_bar(progress, "comparing with the store", 2 * len(pairs)) as advance:
        for unit in tiles(plan, pairs):
            lists.append(values_of(tile_work(unit, plan, both, options, memory=memory, known=known).run()))
            advance(len(lists[-1][ENDS[0]]))
    values = joined(lists)
    if not values or not values["used"].any():
        raise TaskvecError("has no module in common with the adapters of the store", where=new.path)
    dataset = coordinates_of(plan, REDUCED, None).merge(listed_variables(values, negative_of(values), False))
    for part in known.parts():
        dims = (*SOURCE, "component")[: part.values.ndim]
        dataset[part.array] = (dims, part.values, {"long_name": MEANINGS[part.array]})
    about = {"taskvec": "result", "complete": 1, "keep": "like", "pairs": 2 * len(pairs)}
    return dataset.assign_attrs(attributes(entries, options, REDUCED, options.solver, (), ()) | about)


def of_all(plan: Plan) -> OfSources:
    """What belongs to an adapter and module, of all adapters, from whatever blocks they are in."""
    every = range(len(plan.entries))
    return OfSources(plan, Unit(0, range(len(plan.modules)), every, every, 0, 0))
