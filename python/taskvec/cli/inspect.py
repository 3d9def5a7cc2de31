"""``taskvec inspect``: what is in adapters."""

from __future__ import annotations

from typing import Any

from .common import AsJson, Paths, Progress, Recursive, SkipBad, Width, print_json, print_parts, warn
from .reading import reading_options

SCHEMA = "taskvec.inspect/2"


@reading_options
def inspect(
    paths: Paths,
    reading: dict[str, Any],
    as_json: AsJson = False,
    recursive: Recursive = False,
    skip_bad: SkipBad = False,
    progress: Progress = "auto",
    width: Width = None,
) -> None:
    """What is in an adapter: modules, ranks, scale, spectrum, effective rank, warnings."""
    from ..inspect import inspect_adapters
    from ..queries.flags import adapter_flags
    from ..reports.adapters import adapter_parts
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
        print_json({"schema": SCHEMA, **document})
        return
    print_parts(adapter_parts(document["adapters"]), width)
