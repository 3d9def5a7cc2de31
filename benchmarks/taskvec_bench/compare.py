"""``make bench-compare REF=…``: today's kernels and those of another revision, in fresh processes that alternate."""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .measure.machine import source_tree
from .measure.run import ProcessFailedError, Selection, environment, samples

MARGIN = 0.03  # below, the placement of code and data in memory decides
FEWEST = 10  # pairs of processes: of fewer, 90 % on one side say little
PACKAGE = "taskvec_kernels/__init__.py"


class CompareError(Exception):
    """The comparison cannot be made; the message is for the person who asked for it."""


def git(root: Path, *arguments: str) -> str:
    try:
        run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CompareError("git is not installed; comparing with a revision needs it") from None
    if run.returncode:
        raise CompareError((run.stderr.strip().splitlines() or [f"git {' '.join(arguments)} failed"])[-1])
    return run.stdout.strip()


def built(root: Path, ref: str) -> Path:
    """The folder with the kernels of a revision, built by its own recipe unless they are there already."""
    sha = git(root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    target = root / "build" / "compare" / f"{sha[:12]}-{sys.implementation.cache_tag}"
    if target.is_dir():
        return target
    print(f"building {sha[:8]}, once", file=sys.stderr, flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as part:
        tree, packages, log = Path(part, "tree"), Path(part, "packages"), target.with_suffix(".log")
        git(root, "archive", "--output", f"{part}/tree.tar", sha)
        with tarfile.open(f"{part}/tree.tar") as files:
            files.extractall(tree, filter="data")
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(packages), str(tree)]
        with log.open("w") as output:  # the kernels of a GPU are not compared, and take minutes to compile
            environ = {**os.environ, "TASKVEC_CUDA": "off"}
            status = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, env=environ, check=False
            ).returncode
        if status or not (packages / PACKAGE).exists():
            raise CompareError(f"{ref} ({sha[:8]}) does not build; the whole output is in {log}")
        packages.rename(target)
    return target


def check_import(tree: Path) -> None:
    """Raises CompareError unless a process for ``tree`` has the kernels of ``tree``."""
    command = [sys.executable, "-P", "-c", "import taskvec_kernels as tk; print(tk.__file__)"]
    run = subprocess.run(command, env=environment(tree), capture_output=True, text=True, check=False)
    if run.stdout.strip() != str(tree / PACKAGE):
        found = (run.stdout or run.stderr).strip().splitlines() or ["nothing"]
        raise CompareError(f"expected the kernels of {tree}, got {found[-1]}")


def ends(ratios: Sequence[float]) -> tuple[float, float]:
    """The ratios' 10 and 90 % quantiles."""
    low, *_, high = statistics.quantiles(ratios, n=10, method="inclusive")
    return low, high


def verdict(ratios: Sequence[float]) -> str:
    """What may be said of today: that it differs only if 90 % of the pairs do so by more than ``MARGIN``."""
    low, high = ends(ratios)
    return "slower" if low > 1 + MARGIN else "faster" if high < 1 - MARGIN else "same"


def compared(selection: Selection, today: Path, other: Path, pairs: int) -> dict[tuple[str, str], list[float]]:
    """Today's time over the other's, of every case and provider that both have; one ratio for each pair of processes.

    Whatever slows both processes of a pair is not in its ratio.
    """
    times: list[dict[tuple[str, str], list[float]]] = [{}, {}]
    why = {}
    for pair in range(pairs):
        print(f"pair {pair + 1} of {pairs}", file=sys.stderr, flush=True)
        for which in (0, 1) if pair % 2 == 0 else (1, 0):  # A B B A: a drift meets both alike
            for sample in samples(selection, (today, other)[which]):
                key = sample.case, sample.provider
                if sample.times:
                    times[which].setdefault(key, []).append(min(sample.times))
                else:
                    why[key] = f"{('today', 'the other')[which]}: {sample.refused or sample.left_out}"
    for (case, provider), reason in why.items():
        print(f"left out: {case}, {provider}: {reason}", file=sys.stderr)
    both = [key for key in times[0] if key in times[1] and key not in why]
    return {key: [a / b for a, b in zip(times[0][key], times[1][key], strict=True)] for key in both}


def report(ratios: dict[tuple[str, str], list[float]]) -> None:
    verdicts = [verdict(found) for found in ratios.values()]
    print("today/other  10–90 %       verdict  case, provider")
    for (key, found), said in zip(ratios.items(), verdicts, strict=True):
        low, high = ends(found)
        print(f"{statistics.median(found):<12.3f} {low:.3f}–{high:.3f}  {said:7}  {', '.join(key)}")
    counts = ", ".join(f"{verdicts.count(said)} {said}" for said in ("faster", "same", "slower"))
    mean = math.exp(statistics.fmean(math.log(statistics.median(found)) for found in ratios.values())) if ratios else 1
    print(f"{counts}; geometric mean {mean:.3f}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 for --fail-above, 2 for what cannot be compared, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser("bench-compare", description=__doc__)
    parser.add_argument("--ref", default="main", help="any git revision (default: main)")
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose name matches")
    parser.add_argument("--all", action="store_true", help="every case (default: those of the quick run)")
    parser.add_argument("--pairs", type=int, default=10, help=f"of processes (default: 10, at least {FEWEST})")
    parser.add_argument(
        "--fail-above", type=float, metavar="X", help="exit with 1 if 90 %% of a case's ratios are above X"
    )
    options = parser.parse_args(arguments)
    root = source_tree()
    try:
        re.compile(options.only)
        if root is None or options.pairs < FEWEST:
            raise CompareError(f"needs a checkout, and --pairs {FEWEST} or more")
        other = built(root, options.ref)
        check_import(other)
        selection = Selection(options.only, quick=not options.all, seconds=0.1, ours=True)
        ratios = compared(selection, root, other, options.pairs)
    except (CompareError, ProcessFailedError, re.error) as error:
        print(f"bench-compare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    report(ratios)
    return int(options.fail_above is not None and any(ends(found)[0] > options.fail_above for found in ratios.values()))


if __name__ == "__main__":
    sys.exit(main())
