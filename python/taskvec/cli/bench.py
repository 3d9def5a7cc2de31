"""``taskvec bench``: the cases of benchmarks/, which are in a checkout and in no wheel."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from ..errors import TaskvecError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def bench(context: typer.Context) -> None:
    """Times every case next to what one would do instead; in a checkout, where --help lists the options."""
    if not (BENCHMARKS / "taskvec_bench").is_dir():
        raise TaskvecError("the benchmarks are part of no package; clone the project and run `make bench-quick` there")
    sys.path.insert(0, str(BENCHMARKS))
    from taskvec_bench.measure.command import main

    raise typer.Exit(main(context.args))
