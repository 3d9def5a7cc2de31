"""``taskvec diff``: what changed between two results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..queries.lams import by_lam
from .common import AsJson, Width, print_json, print_parts
from .files import Csv, Overwrite, check_files, write_rows
from .rules import enforce, parsed, rule_options

SCHEMA = "taskvec.diff/1"


@rule_options
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD.zarr", help="A result of taskvec sweep.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW.zarr", help="A later one.", show_default=False)],
    rules: dict[str, Any],
    by: Annotated[float, typer.Option(min=0.0, help="A pair moved when its captured changed by more.")] = 0.01,
    top: Annotated[int, typer.Option(min=1, help="Pairs shown.")] = 10,
    csv: Csv = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    width: Width = None,
) -> None:
    """Adapters that were added, removed or changed between two results, and the pairs that moved."""
    from ..queries.changes import COLUMNS, changes
    from ..queries.stored import open_result
    from ..reports.changes import changes_parts

    checks = parsed(rules, COLUMNS)
    check_files(csv, overwrite=overwrite)
    (lam, before), (_, after) = (by_lam(open_result(path))[0] for path in (old, new))
    found = changes(before, after)
    moved = found.moved(by)
    write_rows(found.pairs, csv, None)
    if as_json:
        document = {"lambda": lam, "by": by, "added": found.added, "removed": found.removed, "changed": found.changed}
        document |= {"pairs": len(found.pairs), "moved": len(moved), "first": moved.head(top).to_dict("records")}
        print_json({"schema": SCHEMA, "results": [document]})
    elif csv is None:
        print_parts(changes_parts(found, by, top), width)
    enforce(checks, found.pairs, rules, new)
