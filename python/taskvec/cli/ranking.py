"""What ``sweep`` and ``show`` print of a result, and the options that choose it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..queries.lams import by_lam
from .added import add_options
from .common import AsJson, Width, print_json, print_parts

if TYPE_CHECKING:
    import xarray as xr

    from ..queries.selection import Selection

UNSHOWN: dict[str, Any] = {"show_default": False}
Option = typer.Option
OPTIONS: dict[str, Any] = {
    "top": Annotated[int, Option(min=1, help="Pairs shown from each end of the ranking.")],
    "order": Annotated[
        str,
        Option(metavar="NAME", help="Order of the pairs: captured, rec, rec_z, p, q, l1, excess, cosine, …"),
    ],
    "min_captured": Annotated[
        float | None, Option(help="Show pairs whose source holds at least this share.", **UNSHOWN)
    ],
    "max_q": Annotated[float | None, Option(help="Show pairs with a q of at most this.", **UNSHOWN)],
    "correction": Annotated[
        Literal["bh", "by"], Option(help="Of q: Benjamini-Hochberg, or Benjamini-Yekutieli, for any dependence.")
    ],
    "columns": Annotated[
        str | None, Option(metavar="NAME,NAME,…", help="Columns of the table, separated by commas.", **UNSHOWN)
    ],
    "groups": Annotated[
        Path | None,
        Option(
            metavar="LABELS.csv",
            help="Columns adapter and group: which adapters are repeats of one task; verdicts are then over runs.",
            **UNSHOWN,
        ),
    ],
    "paper": Annotated[bool, Option("--paper", help="Print the layouts of the paper's tables 3, 4 and 6 instead.")],
    "as_json": AsJson,
    "width": Width,
}
DEFAULTS = {"top": 10, "order": "captured", "correction": "bh", "paper": False, "as_json": False}
ranking_options = add_options(OPTIONS, DEFAULTS, "shown", "What is shown")


def check_shown(shown: Mapping[str, Any]) -> None:
    """TaskvecError for an order or a column that there is not."""
    from ..reports.ranking import check_columns

    selection_of(shown)
    check_columns(columns_of(shown))


def selection_of(shown: Mapping[str, Any]) -> Selection:
    from ..queries.selection import Selection

    return Selection(shown["order"], shown.get("min_captured"), shown.get("max_q"), shown["top"])


def columns_of(shown: Mapping[str, Any]) -> tuple[str, ...]:
    from ..reports.ranking import SHOWN

    if "columns" in shown:
        return tuple(shown["columns"].split(","))
    return (*SHOWN, "verdict") if "groups" in shown else SHOWN


def groups_of(names: Sequence[str], shown: Mapping[str, Any]) -> dict[str, str]:
    """The group of each adapter that has one; TaskvecError for a bad file of labels."""
    from ..queries.groups import read_groups

    return read_groups(shown["groups"], names) if "groups" in shown else {}


def shown_pairs(dataset: xr.Dataset, shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs that ``print_result`` will show, for their layer baseline, and every pair of runs of their tasks.

    Before the baseline σ₀ may not be known.
    """
    from ..queries.groups import run_pairs, runs_of
    from ..queries.selection import groups_of_bases, select

    found: dict[tuple[str, str], None] = {}
    for (_, part), group in product(by_lam(dataset), groups_of_bases(dataset)):
        selection = replace(selection_of(shown), group=group)
        selected = select(part, selection, shown["correction"])
        if math.isnan(selected.sigma0):
            selected = select(part, selection.before_sigma0(), shown["correction"])
        found |= dict.fromkeys(selected.pairs)
    groups = groups_of(dataset["source"].values.tolist(), shown)
    found |= dict.fromkeys(run_pairs(runs for pair in found if (runs := runs_of(pair, groups))))
    return list(found)


def print_result(dataset: xr.Dataset, out: Path, shown: Mapping[str, Any]) -> None:
    """The table of each λ and group of adapters, the paper's tables, or the JSON document."""
    from ..queries.details import details
    from ..queries.selection import groups_of_bases, select
    from ..reports.documents import sweep_document
    from ..reports.paper import paper_tables
    from ..reports.ranking import ranking_table

    labels, groups = groups_of(dataset["source"].values.tolist(), shown), groups_of_bases(dataset)
    verdicts = shown["as_json"] or shown["paper"] or "verdict" in columns_of(shown)
    found = []
    for (lam, part), group in product(by_lam(dataset), groups):
        selected = select(part, replace(selection_of(shown), group=group), shown["correction"])
        found.append((lam, selected, details(part, selected.rows, labels, verdicts=verdicts)))
    if shown["as_json"]:
        print_json(sweep_document(dataset, out, found))
    elif shown["paper"]:
        first = found[0][1]
        of_lams = {lam: details(part, first.rows) for lam, part in by_lam(dataset)}
        print_parts(paper_tables(first, of_lams), shown.get("width"))
    else:
        tables = [
            ranking_table(selected, of_rows, columns_of(shown), lam)
            for lam, selected, of_rows in found
            if selected.group is None or len(selected.adapters) > 1
        ]
        print_parts([*tables, *across(dataset, groups)], shown.get("width"))


def across(dataset: xr.Dataset, groups: Sequence[str | None]) -> list[str]:
    """A line on the pairs of adapters of different groups, which no table shows."""
    if groups == (None,):
        return []
    of_group = dataset["source_group"].values.tolist()
    N, inside = len(of_group), sum(n * (n - 1) // 2 for n in Counter(of_group).values())
    what = "pairs of adapters of different groups share no module and are not compared"
    return [f"{N * (N - 1) // 2 - inside} {what}."]
