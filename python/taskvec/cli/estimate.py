"""What a sweep will come to, said before it begins."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import Mode
from .common import print_json, say

if TYPE_CHECKING:
    from ..store.entry import Entry
    from ..sweeps.options import Options

SCHEMA = {"name": "taskvec sweep --dry-run", "version": 1}
WORTH_SAYING = 10.0  # seconds


def say_estimate(
    entries: Sequence[Entry],
    options: Options,
    keep: str | None,
    out: Path,
    *,
    dry_run: bool,
    as_json: bool,
    progress: Mode,
) -> None:
    """Sizes and time: of a dry run on stdout, else on stderr, where it is for programs or long enough to matter."""
    from ..sweeps.estimate import default_keep, estimate, size_text
    from ..sweeps.keep import Keep
    from ..sweeps.layout import unit_bytes
    from ..sweeps.plan import plan_sweep

    several = options.solver.several
    plan = plan_sweep(tuple(entries), unit_bytes(entries, options, Keep("all")))
    chosen = default_keep(plan, options, several) if keep is None else Keep.of(keep)
    found = estimate(plan, options, chosen, several, out)
    about = asdict(found) | {"keep": str(chosen), "adapters": len(entries), "modules": len(plan.modules)}
    if dry_run and as_json:
        print_json({"schema": SCHEMA, **about})
        return
    if not dry_run and progress == "json":
        print(json.dumps({"progress": "estimate", "done": 1, "total": 1, **about}), file=sys.stderr, flush=True)
        return
    if not dry_run and found.seconds < WORTH_SAYING:
        return
    lines = [
        f"{len(entries)} adapters, {len(plan.modules)} modules: {found.pairs:,} ordered pairs of modules",
        f"time: about {duration(found.seconds)} for the kernels ({found.pairs_per_second:,.0f} pairs a second here)",
    ]
    for kind, size in found.bytes.items():
        lines.append(f"--keep {kind}: at most {size_text(size)}{' (this one)' * (kind == str(chosen))}")
    if found.free is not None:
        lines.append(f"free on the disk: {size_text(found.free)}")
    if dry_run:
        say(*lines)
    else:
        print(*lines, sep="\n", file=sys.stderr)


def duration(seconds: float) -> str:
    """For people."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds" if seconds < 10 else f"{seconds:.0f} seconds"
