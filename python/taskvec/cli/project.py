"""``taskvec project``: one task vector on the directions of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .common import AsJson, Dora, console, print_json, warn

Precision = Annotated[
    Literal["highest", "high", "medium"], typer.Option(help="Precision of products, in torch's words.")
]


def project(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", show_default=False, help="Adapter whose directions are used.")
    ],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="Adapter that is projected.", show_default=False)],
    as_json: AsJson = False,
    dora: Dora = "refuse",
    precision: Precision = "highest",
) -> None:
    """How far TARGET is included in SOURCE: τ₁→τ₂, module by module and in the mean."""
    from ..adapters import load_adapter
    from ..projection import project
    from ..report import projection_report

    a, b = (load_adapter(path, dora=dora) for path in (source, target))
    for adapter in (a, b):
        warn(f"{adapter.name}: {warning}" for warning in adapter.warnings)
    if a.base_model and b.base_model and a.base_model != b.base_model:
        names = f"{a.base_model} and {b.base_model}"
        warn([f"two base models are named ({names}); modules of one path and shape are compared"])
    result = project(a, b, precision=precision)
    if not result.modules:
        warn(["the two share no module: there is nothing to compare"])
    if as_json:
        print_json(result.to_dict())
    else:
        console().print(projection_report(result))
