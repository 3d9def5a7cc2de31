"""``taskvec show``: a finished result again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..documents import as_lines
from .common import warn
from .ranking import check_shown, print_result, ranking_options


@ranking_options
def show(
    result: Annotated[Path, typer.Argument(metavar="OUT.zarr", help="A result of taskvec sweep.", show_default=False)],
    shown: dict[str, Any],
) -> None:
    """Prints the result of a sweep again, with any of the options of its table."""
    from ..queries.stored import open_result

    check_shown(shown)
    dataset = open_result(result)
    if not dataset.attrs["complete"]:
        missing = len(as_lines(dataset.attrs["unfinished"]))
        warn([f"{result} is not complete: {missing} module{' is' if missing == 1 else 's are'} missing"])
    print_result(dataset, result, shown)
