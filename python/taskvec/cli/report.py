"""``taskvec report``: a result as one HTML file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .common import say
from .projections import projections_of
from .reading import reading_options

Result = Annotated[Path, typer.Argument(metavar="RESULT.zarr", help="A result of taskvec sweep.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="REPORT.html", help="The file to write.", show_default=False)]
LabelsFile = Annotated[
    Path | None,
    typer.Option(
        metavar="LABELS.csv",
        help="Columns adapter and any of task, seed, author, run, model, family, scores; they colour and group.",
        show_default=False,
    ),
]
AnswersFile = Annotated[
    Path | None,
    typer.Option(metavar="ANSWERS.jsonl", help="Lines of adapter, prompt, base and answer.", show_default=False),
]
Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write every table as CSV and Parquet too.", show_default=False),
]
PaperFiles = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Write the paper's tables (Markdown, LaTeX) and figures (PDF) too.", show_default=False
    ),
]
Adapters = Annotated[
    list[Path] | None,
    typer.Option(
        "--adapters",
        metavar="PATH",
        help="A path that the sweep was given, as often as it was given some: S2 of the strongest pairs is computed.",
        show_default=False,
    ),
]
Adam = Annotated[
    list[Path] | None,
    typer.Option(
        "--adam",
        metavar="ADAM.zarr",
        help="A result of the same adapters by --method adam, beside this one in table 6; one a start.",
        show_default=False,
    ),
]
MapBy = Annotated[
    Literal["mds", "umap"], typer.Option("--map", help="The map: classical MDS of 1 - cosine, or UMAP (extra umap).")
]


@reading_options
def report(
    result: Result,
    out: Out,
    reading: dict[str, Any],
    labels: LabelsFile = None,
    answers: AnswersFile = None,
    data: Data = None,
    paper: PaperFiles = None,
    adapters: Adapters = None,
    adam: Adam = None,
    mapped: MapBy = "mds",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file, and files in DIR.")] = False,
) -> None:
    """A result as one HTML file that opens offline: verdicts, matrix, pairs, tables, graph, map, adapters, methods."""
    from ..reports.html.report import report

    if paper is not None:
        from ..plot.paper import check_paper

        check_paper(paper, overwrite=overwrite)
    command = shlex.join(["taskvec", *sys.argv[1:]]) if sys.argv[1:2] == ["report"] else None
    options: dict[str, Any] = {
        "labels": labels,
        "answers": answers,
        "data": data,
        "adam": adam or (),
        "mapped": mapped,
        "overwrite": overwrite,
    }
    projections = projections_of(adapters, first_lambda(result), reading) if adapters else None
    report(result, out, projections=projections, command=command, **options)
    say(f"written to {out}")
    if paper is not None:
        from ..plot.paper import paper as write_paper

        write_paper(result, paper, labels=labels, adam=adam or (), overwrite=overwrite)
        say(f"written to {paper}")


def first_lambda(result: Path) -> float:
    """Of several the one that the report is about."""
    from ..queries.stored import open_result

    lam = open_result(result).attrs["lambda"]
    return float(lam if isinstance(lam, float | int) else lam[0])
