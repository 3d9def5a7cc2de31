"""Sweeps of a few tiny adapters, their files, and what stops them."""

from __future__ import annotations

from pathlib import Path

import taskvec
import taskvec.sweeps.work
from taskvec.cli import main

SPEC = {f"h.{layer}.{kind}": size for layer in (0, 1) for kind, size in (("q", (12, 8, 2)), ("v", (6, 8, 3)))}
KEEPS = ["all", "reduced"]
METRICS = ("captured", "rec", "rec_chance", "rec_chance_sd", "excess")


def sweep(*arguments, **options):
    return taskvec.sweep(*arguments, **{"metrics": METRICS} | options)


def chunks(out: Path) -> dict[str, bytes]:
    """Every byte of a result but the ledger, the plan and the lease."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".taskvec" not in path.parts
    }


def stop_after(monkeypatch, blocks: int, error: BaseException) -> None:
    compute, left = taskvec.sweeps.work.compute, [blocks]

    def until_then(*arguments):
        if not left[0]:
            raise error
        left[0] -= 1
        return compute(*arguments)

    monkeypatch.setattr(taskvec.sweeps.work, "compute", until_then)


def command(capsys, *arguments: object) -> tuple[int, str, str]:
    """Its exit status, and what it prints."""
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()
