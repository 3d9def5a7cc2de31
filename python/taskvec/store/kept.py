"""Factors where they are compared: on a device, those that are asked for again kept while the memory holds them."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD

from .entry import MEMORY_BYTES, Entry, form_bytes
from .factors import Factors, Form

Asked = tuple[tuple[str, ...], tuple[int, ...], int]  # modules, adapters and rank
LATEST = 4  # forms that stay: the sides of two blocks
OF_GPU = 4  # a part of a GPU's free memory that forms may have: kernels need some too, and so may other processes


@dataclass
class Kept:
    """Factors of which the forms asked for last stay on ``device``, the latest four at least.

    They stay within ``memory`` bytes, or a quarter of what is free on a GPU, where that is more.
    """

    factors: Factors
    memory: int = MEMORY_BYTES
    device: str = "cpu"
    _kept: dict[Asked, Future[Form]] = field(default_factory=dict)  # the latest last
    _lock: Lock = field(default_factory=Lock)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.factors.entries

    @property
    def _gpu(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @cached_property
    def _room(self) -> int:
        free = torch.cuda.mem_get_info(self.device)[0] if self._gpu else 0
        return max(self.memory, int(free) // OF_GPU)

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        asked = modules, adapters, rank
        with self._lock:
            form = self._kept.pop(asked, None)
            mine = form is None
            if form is None:
                self._make_room(asked)
                form = Future()
            self._kept[asked] = form
        if mine:  # others who ask for it wait
            try:
                form.set_result(moved(self.factors.read(modules, adapters, rank), self.device))
            except BaseException as error:
                with self._lock:
                    self._kept.pop(asked, None)
                form.set_exception(error)
        return form.result()

    def whole(self, module: str, adapter: int) -> Tensor | None:
        return self.factors.whole(module, adapter)

    def _make_room(self, asked: Asked) -> None:
        """Forget the oldest until what is asked for fits too, but not the latest: other sides of blocks at work."""
        while len(self._kept) > LATEST - 1 and sum(map(self._bytes, (asked, *self._kept))) > self._room:
            del self._kept[next(iter(self._kept))]

    def _bytes(self, asked: Asked) -> int:
        modules, adapters, rank = asked
        return len(modules) * len(adapters) * form_bytes(rank, self.entries[adapters[0]].modules[modules[0]].shape)

    def __getstate__(self) -> dict[str, object]:
        # another process reads for itself
        return {"factors": self.factors, "memory": self.memory, "device": self.device}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _kept={}, _lock=Lock())


def moved(form: Form, device: str) -> Form:
    """A form on a device; U stays a transposed view of memory by direction."""
    U, S, Vh = form.svd
    return Form(LowRankSVD(U.mT.to(device).mT, S.to(device), Vh.to(device)), form.norms.to(device))
