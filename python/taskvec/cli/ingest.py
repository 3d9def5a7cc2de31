"""``taskvec ingest``: adapters to a store of their factors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..errors import TaskvecError
from .common import AsJson, Paths, Progress, Recursive, SkipBad, print_json, say, warn
from .reading import reading_options

SCHEMA = "taskvec.ingest/1"
UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
MOST_SHOWN = 5


def memory_bytes(text: str) -> int:
    """Bytes of "512MiB", "2GiB" or a plain number."""
    unit = next(unit for unit in ("KiB", "MiB", "GiB", "") if text.endswith(unit))
    try:
        size = int(float(text.removesuffix(unit)) * UNITS[unit])
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise TaskvecError("is no amount of memory", got=text, expected="for example 512MiB or 2GiB")
    return size


@reading_options
def ingest(
    paths: Paths,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="ZOO.zarr", help="The store, new or not.", show_default=False)
    ],
    reading: dict[str, Any],
    dtype: Annotated[
        Literal["fp32", "fp16"] | None,
        typer.Option(
            help="Of factors in a new store; fp16 takes half the room, its error is kept.", show_default="fp32"
        ),
    ] = None,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Memory for all that is at work.")] = "1GiB",
    sketch: Annotated[
        int | None,
        typer.Option(min=0, help="Size of the sketches in a new store; 0: none.", show_default="48"),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove adapters whose files are gone.")] = False,
    recursive: Recursive = False,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
    progress: Progress = "auto",
) -> None:
    """Factorises adapters once, into a store that every command takes in their place; again: what is new or changed."""
    size = memory_bytes(memory)
    from ..ingestion import ingest

    done = ingest(
        paths,
        out,
        dtype={"fp32": "float32", "fp16": "float16", None: None}[dtype],
        sketch=sketch,
        memory=size,
        prune=prune,
        recursive=recursive,
        skip_bad=skip_bad,
        progress=progress,
        **reading,
    )
    warn(f"left out: {item.reason}" for item in done.skipped)
    warn(done.warnings)
    if done.gone and not prune:
        warn([f"gone from where they were, and still in the store: {some(done.gone)}; --prune removes them"])
    worst = max(done.store.errors.values(), default=0.0)
    if as_json:
        print_json(
            {
                "schema": SCHEMA,
                "store": str(out),
                "dtype": done.store.root.dtype,
                "adapters": len(done.store.entries),
                "added": done.added,
                "replaced": done.replaced,
                "unchanged": done.unchanged,
                "gone": done.gone,
                "removed": done.removed,
                "skipped": [{"path": str(item.path), "reason": item.reason} for item in done.skipped],
                "worst_error": worst,
            }
        )
        return
    counts = [(len(done.added), "added"), (len(done.replaced), "replaced"), (done.unchanged, "unchanged")]
    counts += [(len(done.removed), "removed"), (len(done.skipped), "skipped")]
    told = ", ".join(f"{count} {what}" for count, what in counts if count)
    lines = [f"{out}: {len(done.store.entries)} adapters ({told})"]
    if worst:
        lines.append(f"fp16 moves a task vector by at most {worst:.1e} of its norm")
    say(*lines)


def some(names: tuple[str, ...]) -> str:
    """The first of them, and how many there are."""
    return ", ".join(names[:MOST_SHOWN]) + (f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else "")
