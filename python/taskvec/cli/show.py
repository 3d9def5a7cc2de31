"""``taskvec show``: a finished result again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import warn
from .ranking import check_shown, print_result, ranking_options
from .rules import RULED, check_rules, parsed, rule_options


@rule_options
@ranking_options
def show(
    result: Annotated[Path, typer.Argument(metavar="OUT.zarr", help="A result of taskvec sweep.", show_default=False)],
    shown: dict[str, Any],
    rules: dict[str, Any],
) -> None:
    """Prints the result of a sweep again, with any of the options of its table."""
    from ..queries.stored import open_result

    check_shown(shown)
    found = parsed(rules, RULED)
    dataset = open_result(result)
    if not dataset.attrs["complete"]:
        warn([f"{result} is not complete: what is missing is NaN; the sweep's command, once more, goes on"])
    print_result(dataset, result, shown)
    check_rules(found, dataset, result, shown, rules)
