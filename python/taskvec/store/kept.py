"""Factors that are asked for again, kept while the memory holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from .entry import MEMORY_BYTES, Entry, form_bytes
from .factors import Factors, Form

Asked = tuple[tuple[int, ...], int]  # adapters and rank


@dataclass
class Kept:
    """Factors of which the forms of the modules asked for last stay, within ``memory`` bytes, the latest two at least.

    For one thread.
    """

    factors: Factors
    memory: int = MEMORY_BYTES
    _modules: tuple[str, ...] = ()
    _kept: dict[Asked, Form] = field(default_factory=dict)  # the latest last

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.factors.entries

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        if modules != self._modules:
            self._modules = modules
            self._kept.clear()
        asked = adapters, rank
        form = self._kept.pop(asked, None)
        if form is None:
            self._make_room(asked)
            form = self.factors.read(modules, adapters, rank)
        self._kept[asked] = form
        return form

    def whole(self, module: str, adapter: int) -> Tensor | None:
        return self.factors.whole(module, adapter)

    def _make_room(self, asked: Asked) -> None:
        """Forget the oldest until what is asked for fits too, but not the latest: it is the other side of a block."""
        while len(self._kept) > 1 and self._bytes(asked, *self._kept) > self.memory:
            del self._kept[next(iter(self._kept))]

    def _bytes(self, *asked: Asked) -> int:
        shape = self.entries[asked[0][0][0]].modules[self._modules[0]].shape
        return len(self._modules) * sum(len(adapters) * form_bytes(rank, shape) for adapters, rank in asked)

    def __getstate__(self) -> dict[str, object]:
        # another process reads for itself
        return self.__dict__ | {"_modules": (), "_kept": {}}
