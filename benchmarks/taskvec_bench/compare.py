"""``make bench-compare REF=…``: today's kernels and those of another revision, timed alternately in one run."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NoReturn

from . import revisions
from .case import Case
from .fingerprints import WHOLE_JOB
from .machine import source_tree
from .ratios import MARGIN, geometric_mean
from .real import VARIANT as REAL
from .registry import selected
from .turns import FEWEST, LeftOut, Outcome, Trees, compared
from .version import CompareError

SMALL_FLOP, SMALL_BYTES = 1e7, 3e6  # about a millisecond


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CompareError(f"{message}; see --help")


def parser() -> Parser:
    parser = Parser(
        "bench-compare",
        description="Today's kernels and those of another revision, timed alternately in one run.",
        epilog=f"A case is called slower or faster if 80 % of its rounds are so by more than {MARGIN:.0%}.",
    )
    parser.add_argument("--ref", default="", help="any git revision (default: where this branch left main)")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name has this")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--quick", action="store_true", help="the cases of bench-quick alone (default: small ones too)")
    amount.add_argument("--all", action="store_true", help="every case of the registry")
    parser.add_argument(
        "--rounds", type=int, default=30, help=f"of a case (default: 30), at least {FEWEST}; long calls get fewer"
    )
    parser.add_argument("--fail-above", type=float, metavar="X", help="exit 1 if 80 %% of a case's ratios are above X")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser


def chosen(options: argparse.Namespace) -> list[Case]:
    """The cases that ``options`` ask for; raises CompareError where there is none."""
    if options.rounds < FEWEST:
        raise CompareError(f"--rounds {options.rounds}: at least {FEWEST} are needed")
    try:
        named = selected(options.only)
    except re.error as error:
        raise CompareError(f"--only {options.only}: not a regular expression: {error}") from None
    # inputs go to both versions through a file: tensors, not what a peer or taskvec has prepared
    kernels = [case for case in named if case.variant not in (WHOLE_JOB, REAL)]
    ours = [case for case in kernels if any(provider.startswith("ours/") for provider in case.providers)]
    cases = [case for case in ours if options.all or case.quick or (not options.quick and is_small(case))]
    if not cases:
        raise CompareError(f"--only {options.only}: matches none of these cases, {len(ours)} with --all")
    return cases


def is_small(case: Case) -> bool:
    return case.flop <= SMALL_FLOP and case.bytes <= SMALL_BYTES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1 for --fail-above, 2 for bad input, 130 for Ctrl-C."""
    try:
        options = parser().parse_args(arguments)
        cases = chosen(options)
        root = source_tree()
        if root is None:
            raise CompareError("taskvec_kernels is not imported from a checkout; make bench-compare runs in one")
        sha = revisions.resolved(root, options.ref)
        other = revisions.built(root, sha)
    except (CompareError, revisions.RevisionError) as error:
        return failed(str(error))
    except KeyboardInterrupt:
        return failed("interrupted", 130)
    return run(cases, Trees(root, other, sha[:8]), options)


def run(cases: Sequence[Case], trees: Trees, options: argparse.Namespace) -> int:
    """Compare the kernels of two trees and print as ``options`` say; the exit status is that of ``main``."""
    name = trees.name
    results: list[Outcome | LeftOut] = []
    status = 0
    try:
        with trees.processes() as pair:
            for version in pair:
                say(f"{version.name:8} {version.package}")
        if not options.json:
            print(f"{'today/' + name:14} {'20–80 %':11}  verdict  {name:>9}  {'today':>9}  case, provider", flush=True)
        for result in (result for case in cases for result in compared(case, trees, options.rounds)):
            results.append(result)
            if not options.json:
                print(line(result), flush=True)
    except CompareError as error:
        return failed(str(error))
    except KeyboardInterrupt:
        status = failed("interrupted", 130)
    outcomes = [result for result in results if isinstance(result, Outcome)]
    if options.json:
        print(json.dumps(document(name, results, interrupted=bool(status)), indent=2))
    elif outcomes:
        print(summary(outcomes))
    if options.fail_above is not None and any(o.ratio.q20 > options.fail_above for o in outcomes):
        return status or 1
    return status


def line(result: Outcome | LeftOut) -> str:
    """A row of the table."""
    where = f"{result.case}, {result.provider}"
    if isinstance(result, LeftOut):
        return f"{'—':14} {'':11}  left out: {where}: {result.version}: {result.why}"
    ratio = result.ratio
    return (
        f"{ratio.median:<14.3f} {ratio.q20:.3f}–{ratio.q80:.3f}  {ratio.verdict:7}  {duration(result.other):>9}  "
        f"{duration(result.today):>9}  {where}"
    )


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def summary(outcomes: Sequence[Outcome]) -> str:
    worst = max(outcomes, key=lambda outcome: outcome.ratio.median)
    verdicts = [outcome.ratio.verdict for outcome in outcomes]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("faster", "same", "slower"))
    mean = geometric_mean(outcome.ratio.median for outcome in outcomes)
    return f"{counts}; geometric mean {mean:.3f}, worst {worst.ratio.median:.3f}: {worst.case}, {worst.provider}"


def document(name: str, results: Sequence[Outcome | LeftOut], *, interrupted: bool) -> dict[str, Any]:
    """What --json prints; times in seconds."""
    outcomes = [result for result in results if isinstance(result, Outcome)]
    worst = max(outcomes, key=lambda outcome: outcome.ratio.median, default=None)
    return {
        "ref": name,
        "interrupted": interrupted,
        "results": [asdict(o) | {"ratio": asdict(o.ratio), "verdict": o.ratio.verdict} for o in outcomes],
        "left_out": [asdict(result) for result in results if isinstance(result, LeftOut)],
        "geometric_mean": geometric_mean(o.ratio.median for o in outcomes) if outcomes else None,
        "worst": f"{worst.case}, {worst.provider}" if worst else None,
    }


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def failed(message: str, status: int = 2) -> int:
    say(f"bench-compare: {message}")
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # files and processes are cleared as after Ctrl-C
    sys.exit(main())
