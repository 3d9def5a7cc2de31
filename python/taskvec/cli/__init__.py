"""The ``taskvec`` command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, cast

import typer

from ..errors import TaskvecError, printable
from . import (
    bench,
    convert,
    diff,
    env,
    explore,
    groups,
    ingest,
    inspect,
    lambda_path,
    project,
    query,
    report,
    score,
    show,
    status,
    sweep,
    test,
    verify,
)
from .panels import Command

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "inspect": inspect.inspect,
    "project": project.project,
    "sweep": sweep.sweep,
    "ingest": ingest.ingest,
    "status": status.status,
    "verify": verify.verify,
    "show": show.show,
    "query": query.query,
    "groups": groups.groups,
    "diff": diff.diff,
    "test": test.test,
    "report": report.report,
    "explore": explore.explore,
    "score": score.score,
    "lambda-path": lambda_path.lambda_path,
    "convert": convert.convert,
    "env": env.env,
}
for name, command in COMMANDS.items():
    app.command(name, cls=Command)(command)
# its options are taskvec_bench's own
app.command(
    "bench", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)(bench.bench)

# what wrong usage raises, wherever this version of typer keeps it
ClickException = cast(type[typer.BadParameter], typer.BadParameter.__mro__[2])
CtrlC = (KeyboardInterrupt, typer.Abort)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1 for a benchmark that failed, 2 for bad input or wrong usage,
    130 for Ctrl-C.

    Whatever goes wrong for a reason that lies in the input is one line on stderr.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        # not app(...), which ends the process itself on Ctrl-C and on a closed pipe
        command = typer.main.get_command(app)
        if "_TASKVEC_COMPLETE" in os.environ:
            command.main(prog_name="taskvec")  # the shell asks for completions; ends the process
        given = list(sys.argv[1:] if arguments is None else arguments)
        with command.make_context("taskvec", given or ["--help"]) as context:
            command.invoke(context)
        sys.stdout.flush()
    except TaskvecError as error:
        return _fail(str(error))
    except ClickException as error:
        return _fail(f"{error.format_message().rstrip('.')}; see taskvec --help")
    except CtrlC as interrupt:
        return _fail(f"interrupted: {interrupt}" if str(interrupt) else "interrupted", 130)
    except BrokenPipeError:
        # the reader has gone (`taskvec ... | head`); Python would complain when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _fail(str(error))
    except typer.Exit as end:
        return end.exit_code
    return 0


def _fail(message: str, status: int = 2) -> int:
    print(f"taskvec: {printable(message)}", file=sys.stderr)
    return status


def _version(wanted: bool) -> None:
    if wanted:
        from ..version import __version__

        print(__version__)
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]


@app.callback()
def taskvec(version: Version = False) -> None:
    """Which fine-tuned tasks include which: compares LoRA adapters by projecting their task vectors."""
