"""What a row says of the machine and the versions it was measured with."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

import torch

import taskvec_kernels as tk

from .fingerprints import fingerprint


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine_name() -> str:
    """Of a CSV: intel-xeon-2.50ghz-2-cores."""
    words = re.sub(r"\((R|TM)\)|\bCPU\b|\bProcessor\b|@", " ", processor())
    return re.sub(r"[^a-z0-9.]+", "-", f"{words} {os.cpu_count()} cores".lower()).strip("-")


def described() -> dict[str, str]:
    """The columns that all rows of a run share."""
    return {
        "simd": tk.simd_level() or "",
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "version": tk.__version__,
        "commit": commit(),
        "kernels": fingerprint(source_tree()),
        "date": datetime.date.today().isoformat(),
    }


def source_tree() -> Path | None:
    """The tree that the kernels were built from, where this is a checkout."""
    root = Path(tk.__file__).parents[1]
    return root if (root / "csrc").is_dir() else None


def commit() -> str:
    """HEAD of that checkout, with "-dirty" where tracked files differ from it; rows are no code."""
    root = source_tree()
    if root is None:
        return ""
    head = git(root, "rev-parse", "--short", "HEAD")
    changed = git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/data")
    return f"{head}-dirty" if changed else head


def git(root: Path, *arguments: str) -> str:
    run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return run.stdout.strip()
