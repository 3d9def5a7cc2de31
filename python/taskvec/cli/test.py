"""``taskvec test``: does one adapter hold a second one more than a third?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import TaskvecError
from .common import AsJson, Backend, Precision, Width, print_json, print_parts, warn
from .reading import reading_options

SCHEMA = "taskvec.test/2"


@reading_options
def test(
    a: Annotated[Path, typer.Argument(metavar="A", show_default=False, help="Adapter whose directions are used.")],
    b: Annotated[Path, typer.Argument(metavar="B", show_default=False, help="Adapter that A may hold more of.")],
    c: Annotated[Path, typer.Argument(metavar="C", show_default=False, help="Adapter it is compared with.")],
    reading: dict[str, Any],
    as_json: AsJson = False,
    precision: Precision = "highest",
    backend: Backend = None,
    width: Width = None,
) -> None:
    """Does A hold B more than C? REC, L1 and captured of A→B against A→C, paired by module (tables 5 and 11)."""
    from ..queries.comparison import NEARER, compare
    from ..reports.comparison import comparison_table
    from ..sweeps.run import sweep
    from ..zoo import load_zoo

    zoo = load_zoo([a, b, c], **reading)
    names = [adapter.name for adapter in zoo.adapters]
    if len(names) != 3:
        raise TaskvecError("three different adapters are compared", got=", ".join(names), fix="give A, B and C")
    warn(zoo.warnings)
    result = compare(sweep(zoo, metrics=tuple(NEARER), precision=precision, backend=backend), *names)
    if as_json:
        print_json({"schema": SCHEMA, "results": [result.to_dict()]})
    else:
        print_parts([comparison_table(result)], width)
