"""The factors of adapters at hand: made when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..adapters import Adapter, Dense
from ..formats.dense import difference
from .canonical import canonical_forms
from .entry import Entry, entry_of
from .factors import Form


@dataclass(frozen=True)
class AdapterFactors:
    """Factors of N adapters, factorised on ``device`` for each ``read``, where they stay.

    Another process gets the adapters, whose tensors stay in their files.
    """

    adapters: Sequence[Adapter]
    device: str = "cpu"
    entries: tuple[Entry, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(map(entry_of, self.adapters)))

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        return canonical_forms([self.adapters[i] for i in adapters], modules, rank, self.device)

    def whole(self, module: str, adapter: int) -> Tensor | None:
        update = self.adapters[adapter].modules[module].update()
        return difference(update.base, update.tuned) if isinstance(update, Dense) else None
