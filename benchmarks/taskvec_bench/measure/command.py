"""``python -m taskvec_bench``, or ``taskvec bench``: the cases on this machine."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import torch

from ..cases import selected
from ..cases.limits import LIMIT
from .fingerprints import fingerprints
from .machine import described, machine_name, source_tree
from .rows import read_csv

PACKAGES = {"pytest_benchmark": "pytest-benchmark", "vlora": "vlora-dev"}  # where a package is not named as its module


class BenchError(Exception):
    """What was asked for cannot be measured; the message is one line."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BenchError(f"{message}; see --help")


def parser() -> Parser:
    about = "Times every case next to what one would do instead, after comparing each with the fp64 reference."
    parser = Parser("taskvec bench", description=about)
    add = parser.add_argument
    add("--quick", action="store_true", help="the few cases that say most, in under five minutes")
    add("--only", default="", metavar="REGEX", help="cases whose name matches (default: all)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="cases of this device (default: cpu)")
    add("--list", action="store_true", help="print the names of the cases and stop")
    add("--json", action="store_true", help="print one JSON document")
    add("--width", type=int, metavar="N", help="fit the table into N columns (default: the terminal's)")
    add("--csv", type=Path, metavar="PATH", help="a file .csv or a folder: each row is there as soon as it is measured")
    add("--processes", type=int, default=3, help="fresh processes, one after the other (default: 3)")
    add("--seconds", type=float, default=0.2, help="for the rounds of a provider in a process (default: 0.2)")
    add("--memory", action=argparse.BooleanOptionalAction, help="measure peak memory (default: not with --quick)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0; 1 if a kernel of ours is refused or measuring failed; 2 for bad input; 130 for Ctrl-C."""
    try:
        options = parser().parse_args(arguments)
        names = checked(options)
    except BenchError as error:
        say(str(error))
        return 2
    if options.list:
        print(*names, sep="\n")
        return 0
    return measured(options)


def say(message: str) -> None:
    print(f"taskvec bench: {message}", file=sys.stderr, flush=True)


def checked(options: argparse.Namespace) -> list[str]:
    """Names of the cases, without the machine's limits, which are always measured; raises BenchError for bad input."""
    for module in ("pytest", "pytest_benchmark"):
        if find_spec(module) is None:
            raise BenchError(f"{module} is not installed; pip install {PACKAGES.get(module, module)}")
    try:
        cases = selected(options.only, options.quick, options.device)
    except re.error as error:
        raise BenchError(f"--only {options.only} is not a regular expression: {error}") from None
    names = [case.name for case in cases if case.function != LIMIT]
    if not names:
        raise BenchError(f"--only {options.only} matches no case; --list without --only prints the names")
    if options.processes < 1 or not 0 <= options.seconds <= 60:
        got = f"--processes {options.processes} --seconds {options.seconds:g}"
        raise BenchError(f"got {got}, expected 1 or more processes of 0 to 60 seconds")
    if options.device == "cuda" and not options.list and not torch.cuda.is_available():
        raise BenchError(f"torch {torch.__version__} sees no GPU; --device cpu needs none")
    if options.csv is not None:
        options.csv = path = named(options.csv, options.device)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                read_csv(path)
        except (OSError, ValueError) as error:
            raise BenchError(f"{path} cannot take rows: {error}; name another file") from None
    return names


def named(path: Path, device: str) -> Path:
    """A file of rows: ``path``, or the machine's in that folder."""
    return path if path.suffix == ".csv" else path / f"{machine_name(device)}.csv"


def measured(options: argparse.Namespace) -> int:
    from .run import Measurement, Selection  # imports pytest

    selection = Selection(options.only, options.quick, options.device, options.seconds)
    machine = described(options.device)
    # fingerprints now: the working tree may change meanwhile
    found = Measurement(selection, machine, fingerprints(source_tree()), options.csv, say)
    with interruptible():
        found.run(options.processes, not options.quick if options.memory is None else options.memory)
    rows, stopped = found.rows(), found.stopped
    refused = [{"case": case, "provider": way, "reason": why} for (case, way), why in found.refused.items()]
    left_out = [{"package": PACKAGES.get(name, name), "providers": ways} for name, ways in found.left_out.items()]
    if options.json:
        document = {"machine": {"name": machine_name(options.device), **machine}, "rows": rows, "refused": refused}
        print(json.dumps({**document, "left_out": left_out, "stopped": stopped or None}, ensure_ascii=False))
    else:
        from .printed import print_rows

        print_rows(rows, options.width)
    for item in refused:
        say("no row: {case}: {provider}: {reason}".format(**item))
    for missing in left_out:
        say(f"left out because {missing['package']} is missing: {', '.join(missing['providers'])}")
    if stopped:
        say(f"{stopped}; {len(rows)} rows are kept")
    wrong = any(item["provider"].startswith("ours/") for item in refused)
    return 130 if stopped == "interrupted" else 1 if stopped or wrong else 0


@contextmanager
def interruptible() -> Iterator[None]:
    """A background job ignores Ctrl-C unless told otherwise, and a time limit may send either signal."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
