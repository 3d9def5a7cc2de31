"""``taskvec inspect``: what is in adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import printable
from .common import AsJson, Paths, Progress, Recursive, SkipBad, console, number, print_json, table, warn
from .reading import reading_options

if TYPE_CHECKING:
    from rich.table import Table


@reading_options
def inspect(
    paths: Paths,
    reading: dict[str, Any],
    as_json: AsJson = False,
    recursive: Recursive = False,
    skip_bad: SkipBad = False,
    progress: Progress = "auto",
) -> None:
    """What is in an adapter: modules, ranks, scale, spectrum, effective rank, warnings."""
    from ..inspect import inspect_adapters
    from ..queries.flags import adapter_flags
    from ..zoo import read_adapters

    zoo = read_adapters(paths, recursive=recursive, skip_bad=skip_bad, progress=progress, **reading)
    warn(zoo.warnings)
    warn(f"left out: {item.reason}" for item in zoo.skipped)
    document = inspect_adapters(zoo.adapters, progress=progress)
    for adapter in document["adapters"]:
        modules = adapter["modules"]
        norm, participation = ([module[name] for module in modules] for name in ("norm", "participation"))
        adapter["flags"] = adapter_flags(norm, participation, next(filter(None, (m["start"] for m in modules)), None))
    if as_json:
        print_json(document)
        return
    adapters = document["adapters"]
    out = console()
    out.print(printable(_title(adapters)), soft_wrap=True)
    out.print(_modules(adapters[0]) if len(adapters) == 1 else _summary(adapters))
    for line in _left_out(adapters[0]) if len(adapters) == 1 else []:
        out.print(printable(line), soft_wrap=True)


def _title(adapters: list[dict[str, Any]]) -> str:
    if len(adapters) > 1:
        return f"{len(adapters)} adapters"
    (adapter,) = adapters
    base = f" on {adapter['base_model']}" if adapter["base_model"] else ""
    counts = f"{len(adapter['modules'])} modules, {len(adapter['left_out'])} tensors left out"
    return ", ".join([f"{adapter['name']}{base}, read as {adapter['format']}: {counts}", *adapter["flags"]])


def _left_out(adapter: dict[str, Any]) -> list[str]:
    """One line for each reason for which tensors are no part of the update."""
    reasons: dict[str, list[str]] = {}
    for item in adapter["left_out"]:
        reasons.setdefault(item["reason"], []).append(item["tensor"])
    return [f"left out: {len(some)} ({some[0]}{', ...' * (len(some) > 1)}): {why}" for why, some in reasons.items()]


def _modules(adapter: dict[str, Any]) -> Table:
    """One row a module."""
    numbers = ("‖τ‖", "σ₁", "effective rank", "participation", "entropy", "min gap")
    rows = (
        (
            module["module"],
            _shape(module["shape"]),
            str(module["rank"]),
            number(module["scale"]),
            module["scale_source"],
            number(module["norm"]),
            number(module["spectrum"][0]),
            number(module["effective_rank"], ".2f"),
            number(module["participation"], ".2f"),
            number(module["entropy"], ".2f"),
            number(module["min_gap"], ".1e"),
        )
        for module in adapter["modules"]
    )
    return table(
        ("module", "out×in", "rank", "scale", "scale from", *numbers), rows, numbers=("rank", "scale", *numbers)
    )


def _summary(adapters: list[dict[str, Any]]) -> Table:
    """One row an adapter."""
    numbers = ("modules", "left out", "‖τ‖", "mean effective rank", "zero")
    columns = ("adapter", "format", "base model", "rank", "scale", *numbers, "flags")
    return table(columns, map(_summary_row, adapters), numbers=numbers)


def _summary_row(adapter: dict[str, Any]) -> tuple[str, ...]:
    modules = adapter["modules"]
    norms = [module["norm"] for module in modules]
    ranks = [module["effective_rank"] for module, norm in zip(modules, norms, strict=True) if norm > 0]
    return (
        adapter["name"],
        adapter["format"],
        adapter["base_model"] or "-",
        _values(module["rank"] for module in modules),
        _values(round(module["scale"], 4) for module in modules),
        str(len(modules)),
        str(len(adapter["left_out"])),
        number(sum(norm * norm for norm in norms) ** 0.5),
        number(sum(ranks) / len(ranks) if ranks else None, ".2f"),
        str(norms.count(0.0)),
        ", ".join(adapter["flags"]),
    )


def _values(values: Any) -> str:
    """The distinct values, smallest first."""
    return " ".join(f"{value:g}" for value in sorted(set(values)))


def _shape(shape: list[int]) -> str:
    return "×".join(map(str, shape))
