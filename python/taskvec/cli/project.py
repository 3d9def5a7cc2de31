"""``taskvec project``: one task vector on the directions of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import AsJson, Backend, Precision, Width, print_json, print_parts
from .pair import load_pair
from .reading import reading_options
from .solver import Lambda, Seed, solver_options


@reading_options
@solver_options
def project(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", show_default=False, help="Adapter whose directions are used.")
    ],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Adapter that is projected.", show_default=False)],
    settings: dict[str, Any],
    reading: dict[str, Any],
    lam: Lambda = [0.0],  # noqa: B006  (typer copies it)
    seed: Seed = 0,
    as_json: AsJson = False,
    precision: Precision = "highest",
    backend: Backend = None,
    error_bars: Annotated[
        bool, typer.Option("--error-bars", help="How far REC and captured move when the stored factors are rounded.")
    ] = False,
    noise: Annotated[
        float | None,
        typer.Option(help="Error bars of noise of this relative size, in place of rounding.", show_default=False),
    ] = None,
    width: Width = None,
) -> None:
    """How far TARGET is included in SOURCE: τ₁→τ₂, module by module and in the mean."""
    from ..queries.details import details_of_pair
    from ..reports.documents import project_document
    from ..reports.projection import projection_table
    from ..sweeps.options import make_solver
    from ..sweeps.pair import compare_pair

    solver = make_solver(lam=lam, seed=seed, **settings)
    a, b = load_pair(source, target, reading)
    bars = error_bars if noise is None else noise
    compared = compare_pair(a, b, solver, precision=precision, backend=backend, error_bars=bars)
    results = [(both, details_of_pair(dataset)) for both, dataset in compared]
    if as_json:
        print_json(project_document(results))
    else:
        print_parts([projection_table(both, found) for both, found in results], width)
