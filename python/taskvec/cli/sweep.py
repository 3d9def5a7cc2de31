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
    Dora,
    Paths,
    Precision,
    Progress,
    Recursive,
    SkipBad,
    console,
    print_json,
    warn,
)
from .solver_options import Lambda, Seed, one_or_several, solver_options


@solver_options
def sweep(
    paths: Paths,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT.zarr", help="Where the result goes.", show_default=False)
    ],
    solver: dict[str, Any],
    lam: Lambda = [0.0],  # noqa: B006  (typer copies it)
    seed: Seed = 0,
    as_json: AsJson = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the result at OUT.zarr.")] = False,
    recursive: Recursive = False,
    skip_bad: SkipBad = False,
    dora: Dora = "refuse",
    precision: Precision = "highest",
    backend: Backend = None,
    device: Annotated[str, typer.Option(help="Where it is computed: cpu, cuda, cuda:1, …")] = "cpu",
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,NAME,…", help="Metrics of a pair.", show_default="all but lp")
    ] = None,
    p: Annotated[float | None, typer.Option(help="Of the metric lp.", show_default=False)] = None,
    top: Annotated[int, typer.Option(min=1, help="Pairs in the table, from each end of the ranking.")] = 10,
    progress: Progress = "auto",
) -> None:
    """Every ordered pair of a zoo, to a folder that xarray.open_zarr reads; the ranking at the end."""
    from ..output import check_output

    check_output(out, overwrite=overwrite)
    if metrics is not None and "rec" not in metrics.split(","):
        raise TaskvecError(
            "the ranking needs the metric rec", got=f"--metrics {metrics}", cure=f"--metrics {metrics},rec"
        )
    from ..ranking import ranking
    from ..report import ranking_report
    from ..sweeping import METRICS, SweepInterrupted, disjoint_pairs, sweep
    from ..zoo import load_zoo

    zoo = load_zoo(paths, recursive=recursive, skip_bad=skip_bad, dora=dora, progress=progress)
    warn(f"left out: {item.reason}" for item in zoo.skipped)
    warnings = [*zoo.warnings, *disjoint_pairs(zoo.adapters)]
    warn(warnings)
    try:
        dataset = sweep(
            zoo,
            out,
            lam=one_or_several(lam),
            seed=seed,
            metrics=METRICS if metrics is None else metrics.split(","),
            p=p,
            precision=precision,
            backend=backend,
            device=device,
            overwrite=overwrite,
            progress=progress,
            **solver,
        )
    except SweepInterrupted as interrupt:
        print(f"taskvec: interrupted: {printable(str(interrupt))}", file=sys.stderr)
        raise typer.Exit(130) from None
    ranked = ranking(dataset)
    if not as_json:
        for weight in lam:
            of_lam = ranked if len(lam) == 1 else ranked[ranked["lam"] == weight]
            console().print(ranking_report(of_lam, top, lam=weight))
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
