"""``taskvec convert``: any update that can be read, as a PEFT folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import AsJson, print_json, say, warn
from .reading import reading_options


@reading_options
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="An adapter.", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.", show_default=False)],
    reading: dict[str, Any],
    rank: Annotated[
        int | None, typer.Option(min=1, help="Keep at most so many directions of a module.", show_default="all")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write an adapter of any format as a PEFT folder, its scale in the factors and its origin in the header."""
    from ..conversion import convert
    from ..sources import load_adapter

    adapter = load_adapter(source, **reading)
    warn(f"{adapter.name}: {warning}" for warning in adapter.warnings)
    if adapter.left_out:
        warn([f"{len(adapter.left_out)} tensors are not written, first {adapter.left_out[0].tensor}"])
    made = convert(adapter, out, rank=rank)
    if as_json:
        print_json(
            {"out": str(made.path), "modules": made.modules, "rank": made.rank, "largest_residual": made.residual}
        )
        return
    cut = f", at most {made.residual:.2g} of a module's norm cut off" if made.residual else ""
    say(f"written to {made.path}: {made.modules} modules of rank up to {made.rank}{cut}")
