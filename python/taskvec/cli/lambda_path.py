"""``taskvec lambda-path``: a pair along the sparsity weight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import TaskvecError
from .common import AsJson, Backend, Precision, Progress, Width, print_json, print_parts, warn
from .pair import load_pair
from .reading import reading_options
from .solver import solver_options


@reading_options
@solver_options
def lambda_path(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", show_default=False, help="An adapter.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", show_default=False, help="The other.")],
    settings: dict[str, Any],
    reading: dict[str, Any],
    grid: Annotated[
        str, typer.Option(metavar="λ,λ,…", help="Weights λ, separated by commas.")
    ] = "0,1e-6,1e-5,1e-4,1e-3,1e-2,1e-1,1",
    seeds: Annotated[int, typer.Option(help="Adam: number of random starts.")] = 8,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Draw the curves to this file.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    precision: Precision = "highest",
    backend: Backend = None,
    progress: Progress = "auto",
    width: Width = None,
) -> None:
    """Both directions of a pair for a grid of λ; with --method adam also the spread over random starts."""
    weights = parse_grid(grid)
    from ..reports.curves import curves_table
    from ..sweeps.curve import lambda_path
    from ..sweeps.options import make_solver

    if plot is not None:
        from ..reports.plots import check_plot, plot_curves

        check_plot(plot)
    solver = make_solver(**({"start": "normal"} if settings["method"] == "adam" else {}) | settings)
    a, b = load_pair(source, target, reading)
    result = lambda_path(
        a, b, weights, solver=solver, seeds=seeds, precision=precision, backend=backend, progress=progress
    )
    if result.skipped:
        warn([f"{len(result.skipped)} modules are not in both and left out, first {result.skipped[0].module}"])
    if plot is not None:
        plot_curves(result, plot)
    if as_json:
        print_json(result.to_dict())
    else:
        print_parts([curves_table(result)], width)


def parse_grid(text: str) -> list[float]:
    """TaskvecError for what is no number."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise TaskvecError(
            "--grid is not a list of numbers", got=text, expected="numbers such as 0,1e-3,0.1"
        ) from error
