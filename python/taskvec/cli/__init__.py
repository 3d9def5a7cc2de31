"""The ``taskvec`` command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, cast

import typer

from ..errors import TaskvecError, printable
from .panels import Command
from .without_dask import leave_out_dask

# each in a file of its name
COMMANDS = (
    "inspect",
    "project",
    "sweep",
    "ingest",
    "status",
    "verify",
    "show",
    "query",
    "groups",
    "diff",
    "test",
    "report",
    "explore",
    "score",
    "lambda-path",
    "convert",
    "env",
)
ALL = (*COMMANDS, "bench")

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
    if arguments is None:
        leave_out_dask()
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        if "_TASKVEC_COMPLETE" in os.environ:
            program(ALL).main(prog_name="taskvec")  # the shell asks for completions; ends the process
        # not main(), which ends the process itself on Ctrl-C and on a closed pipe
        command = program(given[:1] if given[:1] and given[0] in ALL else ALL)
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


def taskvec(version: Version = False) -> None:
    """Which fine-tuned tasks include which: compares LoRA adapters by projecting their task vectors."""


def program(names: Sequence[str]) -> Any:
    """The command line with these commands: importing and building all of them takes longer than one."""
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    app.callback()(taskvec)
    for name in names:
        place = name.replace("-", "_")
        command = getattr(import_module(f".{place}", __package__), place)
        if name == "bench":  # its options are taskvec_bench's own
            anything = {"ignore_unknown_options": True, "allow_extra_args": True}
            app.command(name, add_help_option=False, context_settings=anything)(command)
        else:
            app.command(name, cls=Command)(command)
    return typer.main.get_command(app)
