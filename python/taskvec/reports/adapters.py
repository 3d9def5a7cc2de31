"""What is in adapters: one module by module, several in a row each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..paths import natural
from .tables import Column, Part, Table, shown

MODULE = (
    Column("module", "name"),
    Column("out×in"),
    Column("rank"),
    Column("scale", rank=1),
    Column("scale from", "text", 5),
    Column("‖τ‖"),
    Column("σ₁", rank=2),
    Column("effective rank", rank=3),
    Column("participation", rank=4),
    Column("entropy", rank=6),
    Column("min gap", rank=6),
)
ADAPTER = (
    Column("adapter", "name"),
    Column("format", "text", 3),
    Column("base model", "name", 4),
    Column("rank", "text"),
    Column("scale", "text", 1),
    Column("modules"),
    Column("left out", rank=5),
    Column("‖τ‖", rank=2),
    Column("mean effective rank", rank=6),
    Column("zero", rank=7),
    Column("flags", "text", 1),
)


def adapter_parts(adapters: list[Mapping[str, Any]]) -> list[Part]:
    """Of the documents of ``taskvec.inspect``."""
    if len(adapters) != 1:
        return [f"{len(adapters)} adapters", summary(adapters)]
    (adapter,) = adapters
    return [title(adapter), modules(adapter), *left_out(adapter)]


def title(adapter: Mapping[str, Any]) -> str:
    base = f" on {adapter['base_model']}" if adapter["base_model"] else ""
    counts = f"{len(adapter['modules'])} modules, {len(adapter['left_out'])} tensors left out"
    return ", ".join([f"{adapter['name']}{base}, read as {adapter['format']}: {counts}", *adapter["flags"]])


def left_out(adapter: Mapping[str, Any]) -> list[str]:
    """One line for each reason for which tensors are no part of the update."""
    reasons: dict[str, list[str]] = {}
    for item in adapter["left_out"]:
        reasons.setdefault(item["reason"], []).append(item["tensor"])
    return [f"left out: {len(some)} ({some[0]}{', ...' * (len(some) > 1)}): {why}" for why, some in reasons.items()]


def modules(adapter: Mapping[str, Any]) -> Table:
    """One row a module, layer 2 before layer 10."""
    table = Table(MODULE)
    for module in sorted(adapter["modules"], key=lambda module: natural(module["module"])):
        table.add(
            module["module"],
            "×".join(map(str, module["shape"])),
            str(module["rank"]),
            shown(module["scale"]),
            module["scale_source"],
            shown(module["norm"]),
            shown(module["spectrum"][0]),
            shown(module["effective_rank"], ".2f"),
            shown(module["participation"], ".2f"),
            shown(module["entropy"], ".2f"),
            shown(module["min_gap"], ".1e"),
        )
    return table


def summary(adapters: Iterable[Mapping[str, Any]]) -> Table:
    """One row an adapter."""
    table = Table(ADAPTER)
    for adapter in adapters:
        modules = adapter["modules"]
        norms = [module["norm"] for module in modules]
        ranks = [module["effective_rank"] for module, norm in zip(modules, norms, strict=True) if norm > 0]
        table.add(
            adapter["name"],
            adapter["format"],
            adapter["base_model"] or "-",
            values(module["rank"] for module in modules),
            values(round(module["scale"], 4) for module in modules),
            str(len(modules)),
            str(len(adapter["left_out"])),
            shown(sum(norm * norm for norm in norms) ** 0.5),
            shown(sum(ranks) / len(ranks) if ranks else None, ".2f"),
            str(norms.count(0.0)),
            ", ".join(adapter["flags"]),
        )
    return table


def values(some: Iterable[float]) -> str:
    """The distinct values, smallest first."""
    return " ".join(f"{value:g}" for value in sorted(set(some)))
