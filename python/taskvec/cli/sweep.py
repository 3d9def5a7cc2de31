"""``taskvec sweep``: every ordered pair of a zoo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import TaskvecError, printable
from .common import (
    AsJson,
    Backend,
    Paths,
    Precision,
    Progress,
    Recursive,
    SkipBad,
    console,
    print_json,
    warn,
)
from .reading import reading_options
from .solver import Lambda, Seed, one_or_several, solver_options


@reading_options
@solver_options
def sweep(
    paths: Paths,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT.zarr", help="Folder of the result.", show_default=False)
    ],
    settings: dict[str, Any],
    reading: dict[str, Any],
    lam: Lambda = [0.0],  # noqa: B006  (typer copies it)
    seed: Seed = 0,
    as_json: AsJson = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the result at OUT.zarr.")] = False,
    recursive: Recursive = False,
    skip_bad: SkipBad = False,
    precision: Precision = "highest",
    backend: Backend = None,
    device: Annotated[str, typer.Option(help="Device to compute on: cpu, cuda, cuda:1, …")] = "cpu",
    metrics: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME,…", help="Metrics of a pair, separated by commas.", show_default="all but lp"),
    ] = None,
    p: Annotated[float | None, typer.Option(help="Exponent p of the Lp metric.", show_default=False)] = None,
    top: Annotated[int, typer.Option(min=1, help="Pairs shown from each end of the ranking.")] = 10,
    progress: Progress = "auto",
) -> None:
    """Every ordered pair of a zoo, to a folder that xarray.open_zarr reads; the ranking at the end."""
    from ..sweeps.output import check_output

    check_output(out, overwrite=overwrite)
    if metrics is not None and "rec" not in metrics.split(","):
        raise TaskvecError(
            "the ranking needs the metric rec", got=f"--metrics {metrics}", fix=f"--metrics {metrics},rec"
        )
    from ..queries.ranking import ranking
    from ..reports.tables import ranking_table
    from ..sweeps.options import DEFAULT, make_solver
    from ..sweeps.run import SweepInterrupted, sweep
    from ..zoo import disjoint_pairs, load_zoo

    solver = make_solver(lam=one_or_several(lam), seed=seed, **settings)
    zoo = load_zoo(paths, recursive=recursive, skip_bad=skip_bad, progress=progress, **reading)
    warn(f"left out: {item.reason}" for item in zoo.skipped)
    warnings = [*zoo.warnings, *disjoint_pairs(zoo.adapters)]
    warn(warnings)
    try:
        dataset = sweep(
            zoo,
            out,
            solver=solver,
            metrics=DEFAULT if metrics is None else metrics.split(","),
            p=p,
            precision=precision,
            backend=backend,
            device=device,
            overwrite=overwrite,
            progress=progress,
        )
    except SweepInterrupted as interrupt:
        print(f"taskvec: interrupted: {printable(str(interrupt))}", file=sys.stderr)
        raise typer.Exit(130) from None
    ranked = ranking(dataset)
    if not as_json:
        for weight in lam:
            of_lam = ranked if len(lam) == 1 else ranked[ranked["lam"] == weight]
            console().print(ranking_table(of_lam, top, lam=weight))
        console().print(f"written to {printable(str(out))}", soft_wrap=True)
        return
    print_json(
        {
            "out": str(out),
            "adapters": dataset["source"].values.tolist(),
            "modules": dataset["module"].values.tolist(),
            "ranking": ranked.to_dict("records"),
            "skipped": [{"path": str(item.path), "reason": item.reason} for item in zoo.skipped],
            "warnings": warnings,
        }
    )
