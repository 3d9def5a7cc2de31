"""``--fail-on`` and what is written of it: for jobs that nobody watches."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import printable
from .added import add_options
from .files import check_files

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    import xarray as xr

    from ..queries.rules import Rule

UNSHOWN: dict[str, Any] = {"show_default": False}
OPTIONS: dict[str, Any] = {
    "fail_on": Annotated[
        list[str],
        typer.Option(
            metavar="RULE", help='Exit status 1 for a pair such as "captured > 0.9 and not same_group".', **UNSHOWN
        ),
    ],
    "junit": Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what the rules found as JUnit's XML.", **UNSHOWN)
    ],
    "sarif": Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as SARIF.", **UNSHOWN)],
}
RULED = (
    "source", "target", "captured", "captured_back", "captured_out", "captured_in", "rec", "rec_chance", "rec_z_raw",
    "rec_z", "p", "q", "l1", "excess", "cosine", "used", "source_group", "target_group", "same_group",
)  # fmt: skip
rule_options = add_options(OPTIONS, {"fail_on": []}, "rules", "Nightly jobs")


def parsed(rules: Mapping[str, Any], columns: Sequence[str]) -> list[Rule]:
    """The rules, before any work; TaskvecError for one that is none, or a file that cannot be written."""
    from ..queries.rules import Rule

    check_files(*(rules.get(name) for name in ("junit", "sarif")), overwrite=True)
    return [Rule.parse(text, tuple(columns)) for text in rules["fail_on"]]


def check_rules(
    found: Sequence[Rule], dataset: xr.Dataset, result: Path, shown: Mapping[str, Any], rules: Mapping[str, Any]
) -> None:
    """Every pair of a result against the rules, whatever is shown of it."""
    from ..documents import as_lines
    from ..queries.ranking import ranking
    from ..queries.rules import with_groups
    from .ranking import groups_of

    if found or "junit" in rules or "sarif" in rules:
        groups = groups_of(dataset["source"].values.tolist(), shown)
        rows = with_groups(ranking(dataset, shown["correction"]), groups)
        unfinished = [] if dataset.attrs["complete"] else [f"{result} is not complete: some pairs are not compared"]
        enforce(found, rows, rules, result, [*as_lines(dataset.attrs["skipped"]), *unfinished])


def enforce(
    found: Sequence[Rule], rows: pd.DataFrame, rules: Mapping[str, Any], result: Path, left_out: Sequence[str] = ()
) -> None:
    """Ends with exit status 1 when a row breaks a rule or, where there are rules, something was left out."""
    from ..reports.checks import Checked, junit, sarif
    from ..version import __version__

    checked = [Checked(rule.text, rule.broken(rows).to_dict("records")) for rule in found]
    if "junit" in rules:
        rules["junit"].write_text(junit(checked, left_out), encoding="utf-8")
    if "sarif" in rules:
        rules["sarif"].write_text(json.dumps(sarif(checked, left_out, str(result), __version__), indent=2) + "\n")
    broken = [one for one in checked if one.rows]
    for one in broken:
        print(f"taskvec: {printable(one.summary())}", file=sys.stderr)
    if broken or (found and left_out):
        raise typer.Exit(1)
