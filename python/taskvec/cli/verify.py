"""``taskvec verify``: every checksum of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from .common import AsJson, Progress, print_json

SCHEMA = {"name": "taskvec verify", "version": 1}
MOST_SHOWN = 5


def verify(
    place: Annotated[Path, typer.Argument(metavar="ZOO.zarr", help="A store of taskvec ingest.", show_default=False)],
    as_json: AsJson = False,
    progress: Progress = "auto",
) -> None:
    """Reads all of a store and names what is not as it was written; exit status 1 if anything is."""
    from ..progress import progress_bar
    from ..store.verification import batch_count, verify_store

    with progress_bar(progress, "reading batches", batch_count(place)) as advance:
        found = verify_store(place, advance)
    if as_json:
        damaged = [{"file": one.file, "what": one.what, "adapters": one.adapters} for one in found.damaged]
        print_json(
            {
                "schema": SCHEMA,
                "store": str(place),
                "files": found.files,
                "chunks": found.chunks,
                "damaged": damaged,
            }
        )
    else:
        for one in found.damaged:
            whose = f" (of {', '.join(one.adapters[:MOST_SHOWN])}{', ...' * (len(one.adapters) > MOST_SHOWN)})"
            print(printable(f"{one.file} {one.what}{whose if one.adapters else ''}"))
        state = f"{len(found.damaged)} damaged" if found.damaged else "all as written"
        print(printable(f"{place}: {found.chunks} chunks in {found.files} files, {state}"))
    if found.damaged:
        raise typer.Exit(1)
