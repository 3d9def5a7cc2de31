#!/usr/bin/env python3
"""The tests that change files at random, with new seeds, round after round for as many minutes as are asked for.

Each round is a pytest of its own. What a round finds is printed, and the rounds go on; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests/taskvec/test_fuzz.py"


def main() -> int:
    """Run rounds until the minutes are over."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="of processor time (60)")
    parser.add_argument("--examples", type=int, default=100, help="of each test in a round (100)")
    given = parser.parse_args()
    environment = os.environ | {"TASKVEC_FUZZ_EXAMPLES": str(given.examples), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", str(TESTS)]
    os.nice(19)
    rounds = found = 0
    while (minutes := processor_minutes()) < given.minutes:
        rounds += 1
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            found += 1
            print("\n".join(line[:1000] for line in done.stdout.splitlines()), file=sys.stderr)
        last = done.stdout.splitlines()[-1] if done.stdout else done.stderr[-1000:]
        print(f"round {rounds}, {minutes:.0f} minutes, {time.strftime('%H:%M')}: {last}", flush=True)
    print(f"{rounds} rounds, {processor_minutes():.0f} minutes of processor time, {found} rounds with findings")
    return int(found > 0)


def processor_minutes() -> float:
    """Of all rounds so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


if __name__ == "__main__":
    sys.exit(main())
