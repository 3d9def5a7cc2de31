"""``taskvec score``: what every metric of a result is worth, where the truth about the tasks is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import TaskvecError
from ..queries.lams import by_lam
from .common import AsJson, Result, Width, print_json, print_parts
from .files import Csv, Overwrite, Parquet, check_files, write_rows


def score(
    result: Result,
    truth: Annotated[
        Path,
        typer.Option(metavar="TRUTH.json", help="Which task contains which (docs/SCORE.md).", show_default=False),
    ],
    behaviour: Annotated[
        Path | None,
        typer.Option(
            metavar="B.csv",
            help="Columns source, target, behaviour: what source does on target's task.",
            show_default=False,
        ),
    ] = None,
    own: Annotated[
        Path | None,
        typer.Option(
            metavar="OWN.csv", help="Columns source, target, and one a metric of your own.", show_default=False
        ),
    ] = None,
    less: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of a metric of your own: smaller is nearer.", show_default=False),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,NAME,…", help="Metrics, separated by commas.", show_default="all")
    ] = None,
    by_relation: Annotated[bool, typer.Option("--by-relation", help="Also a table for each relation.")] = False,
    csv: Csv = None,
    parquet: Parquet = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    width: Width = None,
) -> None:
    """Which metric finds what is contained, and which way round? Every metric of a result against a known truth."""
    from ..queries.measured import with_columns
    from ..queries.score import score as scores_of
    from ..queries.stored import open_result
    from ..queries.tables import one_frame
    from ..reports.score import score_document, score_tables

    check_files(csv, parquet, overwrite=overwrite)
    dataset = open_result(result)
    if own is not None:
        dataset = with_columns(dataset, own, less or ())
    elif less:
        raise TaskvecError("--less without --own", fix="the metrics of the result have their way of being read")
    wanted = None if metrics is None else metrics.split(",")
    found = {lam: scores_of(part, truth, behaviour, metrics=wanted) for lam, part in by_lam(dataset)}
    if csv is not None or parquet is not None:
        write_rows(one_frame(found), csv, parquet)
    if as_json:
        print_json(score_document(found, dataset.sizes["source"]))
    elif csv is None and parquet is None:
        print_parts(score_tables(found, by_relation=by_relation), width)
