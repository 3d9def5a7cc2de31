"""What is known of an adapter without its factors: the line of a manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from ..adapters import Adapter, LeftOut, Module
from ..paths import layer_and_kind

EPOCH = 2  # of the factorisation: another one gives other factors of the same files
FP32_BYTES = 4  # canonical forms and results are kept in fp32
MEMORY_BYTES = 368 * 2**20  # for the canonical forms and results of the blocks at work, and forms that are kept
GPU_MEMORY_BYTES = 2**30  # the same where a GPU computes: larger blocks, of which it needs fewer


class ModuleEntry(NamedTuple):
    """One module: its shape, its directions and where its scale came from."""

    path: str
    shape: tuple[int, int]  # (m, n) = out × in
    rank: int  # singular directions that it can have: at most min(m, n)
    alpha: float | None
    scale: float
    scale_source: str
    warnings: tuple[str, ...] = ()
    start: str | None = None

    @property
    def layer(self) -> int | None:
        return layer_and_kind(self.path)[0]

    @property
    def kind(self) -> str:
        return layer_and_kind(self.path)[1]


@dataclass(frozen=True)
class Entry:
    """One adapter.

    Attributes:
        digest: sha256 of its files.
        identity: of what its factors are: of the files, and of all that a reader was told which changes them.
        source: the path that it was read from.
    """

    name: str
    digest: str
    identity: str
    source: str
    format: str
    base_model: str | None
    modules: Mapping[str, ModuleEntry]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    parameters: int = 0


def entry_of(adapter: Adapter) -> Entry:
    """What is known of an adapter without reading its tensors."""
    modules = {path: module_entry(module) for path, module in adapter.modules.items()}
    return Entry(
        name=adapter.name,
        digest=adapter.digest,
        identity=identity(adapter.digest, modules, adapter.warnings),
        source=str(adapter.path),
        format=adapter.format,
        base_model=adapter.base_model,
        modules=modules,
        left_out=adapter.left_out,
        warnings=adapter.warnings,
        parameters=adapter.parameters,
    )


def module_entry(module: Module) -> ModuleEntry:
    rank = min(module.rank, *module.shape)
    return ModuleEntry(
        module.path, module.shape, rank, module.alpha, module.scale, module.scale_source, module.warnings, module.start
    )


def identity(digest: str, modules: Mapping[str, ModuleEntry], warnings: tuple[str, ...]) -> str:
    """sha256 of the files' digest and of how they were read: paths, shapes, ranks, scales, and what was warned of."""
    told = [EPOCH, digest, [list(module) for module in modules.values()], warnings]
    return sha256(json.dumps(told).encode()).hexdigest()


def form_bytes(rank: int, shape: tuple[int, int]) -> int:
    """Bytes of one U and V."""
    return rank * sum(shape) * FP32_BYTES
