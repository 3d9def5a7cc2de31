"""``taskvec bench``: the cases of benchmarks/ on this machine."""

from __future__ import annotations

import csv
import re
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import TaskvecError, printable
from ..progress import progress_bar
from .common import AsJson, Progress, console, print_json, table, warn

if TYPE_CHECKING:
    from taskvec_bench.rows import Row
    from taskvec_bench.run import Outcome

NEEDED = {"pytest": "pytest", "pytest_benchmark": "pytest-benchmark"}  # module: package
LONGEST = 60.0


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="The few cases that say most, in under five minutes.")] = False,
    only: Annotated[str, typer.Option(metavar="REGEX", help="Cases whose name has this.", show_default="all")] = "",
    names: Annotated[bool, typer.Option("--list", help="Print the names of the cases and stop.")] = False,
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="PATH",
            help="Write rows there too: a .csv file, or a folder for <machine>.csv. Rows of cases not run are kept.",
            show_default=False,
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Fresh processes, one after the other.")] = 3,
    seconds: Annotated[
        float | None, typer.Option(help="Time for the rounds of a provider in a process.", show_default="0.2")
    ] = None,
    memory: Annotated[
        bool | None, typer.Option(help="Measure peak memory afterwards.", show_default="unless --quick")
    ] = None,
    progress: Progress = "auto",
) -> None:
    """Every case beside what one would do instead: compared with the reference, timed, as a share of the limits."""
    check_installed()
    if seconds is not None and not 0 <= seconds <= LONGEST:
        raise TaskvecError("--seconds is out of range", got=f"{seconds:g}", expected=f"0 to {LONGEST:g}")
    cases = chosen(only, quick)
    if names:
        print(*cases, sep="\n")
        return
    from taskvec_bench.machine import machine_name
    from taskvec_bench.rows import merged, write_csv
    from taskvec_bench.run import SECONDS, run

    if out is not None and out.suffix != ".csv":
        out /= f"{machine_name()}.csv"
    old = [] if out is None else rows_of(out)
    outcome = run(
        only,
        quick=quick,
        count=processes,
        seconds=SECONDS if seconds is None else seconds,
        with_memory=not quick if memory is None else memory,
        progress=lambda label, total: progress_bar(progress, label, total),
    )
    warn(f"{item.case}: {item.provider} is refused: {item.reason}" for item in outcome.refused)
    warn(
        f"left out for want of {package}: {', '.join(providers)}; pip install {package}"
        for package, providers in outcome.left_out.items()
    )
    report(outcome, as_json=as_json)
    if out is not None and outcome.rows:
        write_csv(out, merged(old, outcome.rows))
        if not as_json:
            console().print(f"written to {printable(str(out))}", soft_wrap=True)
    if outcome.stopped:
        print(f"taskvec: {printable(outcome.stopped)}", file=sys.stderr)
        raise typer.Exit(130 if outcome.interrupted else 1)
    if outcome.wrong:
        raise typer.Exit(1)


def check_installed() -> None:
    """The cases are part of a checkout, in its benchmarks/, and of no package."""
    cases = Path(__file__).parents[3] / "benchmarks"
    if cases.is_dir() and str(cases) not in sys.path:
        sys.path.append(str(cases))
    if find_spec("taskvec_bench") is None:
        raise TaskvecError(
            "the benchmarks are part of no package", fix="clone the project and run `make bench-quick` there"
        )
    for module, package in NEEDED.items():
        if find_spec(module) is None:
            raise TaskvecError(f"{package} is not installed", fix=f"pip install {package}")


def chosen(only: str, quick: bool) -> list[str]:
    """Names of the cases, without the machine's limits, which are always measured."""
    from taskvec_bench.registry import selected
    from taskvec_bench.rows import LIMIT

    try:
        cases = [case.name for case in selected(only, quick=quick) if case.function != LIMIT]
    except re.error as error:
        raise TaskvecError(f"--only is no regular expression: {error}", got=only) from None
    if not cases:
        of = "of the quick run " if quick else ""
        raise TaskvecError(f"no case {of}has this in its name", got=only, fix="taskvec bench --list prints the names")
    return cases


def rows_of(path: Path) -> list[Row]:
    """Rows of the file that is there, if there is one; raises what writing there would, before anything is measured."""
    from taskvec_bench.rows import read_csv

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            return read_csv(path) if path.exists() else []
    except OSError as error:
        raise TaskvecError(f"rows cannot be written: {error.strerror}", where=path, fix="name another file") from None
    except (ValueError, TypeError, csv.Error) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise TaskvecError(f"not a file of rows: {reason}", where=path, fix="move it, or name another file") from None


def report(outcome: Outcome, *, as_json: bool) -> None:
    from taskvec_bench.table import COLUMNS, NUMBERS, document, lines, notes, title

    if as_json:
        print_json(document(outcome))
        return
    out = console()
    for line in title(outcome):
        out.print(printable(line), soft_wrap=True)
    if outcome.rows:
        out.print(table(COLUMNS, lines(outcome.rows), numbers=NUMBERS))
    for line in notes(outcome.rows):
        out.print(printable(line), soft_wrap=True)
