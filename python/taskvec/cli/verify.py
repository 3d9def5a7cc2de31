"""``taskvec verify``: every checksum of a store or a result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import Mode
from .common import AsJson, Progress, print_json, say

SCHEMA = "taskvec.verify/1"
MOST_SHOWN = 5


def verify(
    place: Annotated[
        Path,
        typer.Argument(metavar="ZARR", help="A store of adapters, or a result.", show_default=False),
    ],
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Compute a result's damaged blocks again; forget a store's adapters."),
    ] = False,
    as_json: AsJson = False,
    progress: Progress = "auto",
) -> None:
    """Reads all of a store or a result and names what is not as it was written; exit status 1 if anything is."""
    from ..store.opening import is_store

    if is_store(place):
        verify_store_at(place, repair, as_json, progress)
    else:
        verify_result_at(place, repair, as_json, progress)


def verify_result_at(place: Path, repair: bool, as_json: bool, progress: Mode) -> None:
    from ..progress import progress_bar
    from ..sweeps.repair import repair_result
    from ..sweeps.status import chunk_count, damages

    chunks = chunk_count(place)
    with progress_bar(progress, "reading chunks", chunks) as advance:
        found = list(damages(place, advance))
    if found and repair:
        repair_result(place, {one.unit for one in found}, progress)
    if as_json:
        damaged = [{"chunk": one.chunk, "block": one.unit} for one in found]
        repaired = bool(found) and repair
        print_json({"schema": SCHEMA, "result": str(place), "chunks": chunks, "damaged": damaged, "repaired": repaired})
    else:
        for one in found:
            say(f"{one.chunk} is not as it was written (block {one.unit})")
        state = f"{len(found)} damaged{', computed again' * repair}" if found else "all as written"
        say(f"{place}: {chunks} chunks, {state}")
    if found and not repair:
        raise typer.Exit(1)


def verify_store_at(place: Path, repair: bool, as_json: bool, progress: Mode) -> None:
    from ..progress import progress_bar
    from ..store.verification import batch_count, repair_store, verify_store

    with progress_bar(progress, "reading batches", batch_count(place)) as advance:
        found = verify_store(place, advance)
    forgotten = repair_store(place, found.damaged) if repair and found.damaged else ()
    if as_json:
        damaged = [{"file": one.file, "what": one.what, "adapters": one.adapters} for one in found.damaged]
        print_json(
            {
                "schema": SCHEMA,
                "store": str(place),
                "files": found.files,
                "chunks": found.chunks,
                "damaged": damaged,
                "repaired": bool(found.damaged) and repair,
                "forgotten": forgotten,
            }
        )
    else:
        for one in found.damaged:
            whose = f" (of {', '.join(one.adapters[:MOST_SHOWN])}{', ...' * (len(one.adapters) > MOST_SHOWN)})"
            say(f"{one.file} {one.what}{whose if one.adapters else ''}")
        state = f"{len(found.damaged)} damaged" if found.damaged else "all as written"
        say(f"{place}: {found.chunks} chunks in {found.files} files, {state}")
        if repair and found.damaged:
            say(f"{len(forgotten)} adapters forgotten: taskvec ingest reads what the store does not have")
    if found.damaged and not repair:
        raise typer.Exit(1)
