"""``taskvec explore``: a result in the browser, live."""

from __future__ import annotations

import sys
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ..errors import TaskvecError
from .common import Result
from .report import AnswersFile, LabelsFile

NEEDED = ("starlette", "uvicorn", "duckdb", "pyarrow")  # the extra explore


def explore(
    result: Result,
    labels: LabelsFile = None,
    answers: AnswersFile = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1.", show_default="one that is free")
    ] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open no browser.")] = False,
    saved: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Saved queries.", show_default="~/.config/taskvec/queries.json"),
    ] = None,
) -> None:
    """The views of the report, live, for big results and sweeps that still run; an SQL box. Ctrl-C ends it."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise TaskvecError(f"taskvec explore needs {', '.join(missing)}", fix="pip install 'taskvec[explore]'")
    from ..explore.live import Live, Progress
    from ..explore.saved import user_file
    from ..explore.server import serve

    def progress() -> Progress:
        from ..sweeps.status import status

        found = status(result)
        return Progress(found.done, found.units, found.writer)

    def ready(address: str) -> None:
        print(address, flush=True)
        if not no_browser:
            webbrowser.open(address)

    live = Live(result, labels=labels, answers=answers, progress=progress)
    print("Ctrl-C ends it; who has this address reads the result:", file=sys.stderr)
    serve(live, user_file() if saved is None else saved, port, ready)
