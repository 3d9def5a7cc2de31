"""``taskvec status``: how far a sweep is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .common import AsJson, print_json, say

SCHEMA = {"name": "taskvec status", "version": 1}


def status(
    result: Annotated[Path, typer.Argument(metavar="OUT.zarr", help="A result of taskvec sweep.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Says what of a sweep is computed, from its ledger; also while it runs."""
    from ..sweeps.estimate import size_text
    from ..sweeps.status import status

    found = status(result)
    if as_json:
        print_json({"schema": SCHEMA, **asdict(found)})
        return
    state = "complete" if found.complete and found.done == found.units else f"{found.done / found.units:.0%} computed"
    say(f"{result}: {state}, {found.done} of {found.units} blocks, {size_text(found.bytes)}")
    say(f"{found.adapters} adapters, {found.modules} modules, --keep {found.keep}")
    if found.seconds:
        say(f"{found.pairs_done:,} pairs of modules in {found.seconds:.1f} s of work")
    if found.writer:
        say(f"being computed by {found.writer}")
    elif found.done < found.units:
        say("nobody computes it: the command of the sweep, once more, goes on")
