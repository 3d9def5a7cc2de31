"""``taskvec groups``: adapters that others hold."""

from __future__ import annotations

from typing import Annotated

import typer

from ..queries.lams import by_lam
from .common import AsJson, Result, Width, print_json, print_parts

SCHEMA = "taskvec.groups/1"


def groups(
    result: Result,
    at: Annotated[float, typer.Option(help="Share from which one adapter counts as held by another.")] = 0.9,
    as_json: AsJson = False,
    width: Width = None,
) -> None:
    """Duplicates and adapters that are inside others: which to keep, and the bytes that pruning the rest saves."""
    from ..queries.redundancy import as_document, redundancy
    from ..queries.stored import open_result
    from ..reports.neighbours import redundancy_parts

    dataset = open_result(result)
    lam, part = by_lam(dataset)[0]
    found, adapters = redundancy(part, at), part.sizes["source"]
    if as_json:
        document = {"lambda": lam, "at": at, "adapters": adapters, "groups": as_document(found)}
        print_json({"schema": SCHEMA, "results": [document | {"bytes_saved": sum(one.saved for one in found)}]})
    else:
        print_parts(redundancy_parts(found, at, adapters), width)
