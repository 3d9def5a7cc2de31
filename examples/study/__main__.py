"""`python -m study PLAN.toml`: train, measure and compare what is missing."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from .crew import Board, StepError, Worker, do_all
from .plan import PlanError, read_plan
from .settings import keep_settings
from .steps import Course

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="study", description=__doc__)
    parser.add_argument("plan", type=Path, nargs="?", default=HERE / "plan.toml", metavar="PLAN.toml")
    parser.add_argument("--out", type=Path, default=Path("build/study"), help="folder of what is made")
    parser.add_argument("--bases", nargs="+", metavar="BASE", help="some of the plan's bases; all, if none is named")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--no-tables", action="store_true", help="train and measure only; taskvec is not needed")
    options = parser.parse_args()
    try:
        plan = read_plan(options.plan)
        bases = options.bases or list(plan.base)
        if unknown := sorted(set(bases) - set(plan.base)):
            raise PlanError(f"no base {', '.join(unknown)}; the plan has {', '.join(plan.base)}")
        keep_settings(plan, options.out)
        for base in bases:
            course = Course(plan, base, options.out)
            board = Board(course, options.workers)
            report(f"{base}: {len(board.left)} of {len(course.steps())} steps are left")
            do_all(board, partial(Worker, [str(options.plan), base, str(options.out)]), report)
            if not options.no_tables:
                collected(course)
    except (PlanError, StepError) as error:
        sys.exit(f"study: {error}")


def collected(course: Course) -> None:
    """The CSV files of a base, and tables.md of all bases that have some."""
    from .collect import collect
    from .tables import write_tables

    collect(course)
    report(f"{course.base_name}: CSV files in {course.folder}, tables in {write_tables(course.folder.parent)}")


def report(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
