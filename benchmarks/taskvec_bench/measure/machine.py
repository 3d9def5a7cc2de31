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


def processor(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", info.read_text() if info.exists() else "", re.MULTILINE)
    return found[1] if found else platform.machine()


def machine_name(device: str = "cpu") -> str:
    """Of a CSV: intel-xeon-2.50ghz-2-cores, nvidia-h100-80gb-hbm3."""
    words = re.sub(r"\((R|TM)\)|\bCPU\b|\bProcessor\b|@", " ", processor(device))
    cores = f" {os.cpu_count()} cores" if device == "cpu" else ""
    return re.sub(r"[^a-z0-9.]+", "-", f"{words}{cores}".lower()).strip("-")


def described(device: str = "cpu") -> dict[str, str]:
    """The columns that all rows of a run share, but the fingerprint of the kernels."""
    gpu = torch.cuda.get_device_properties() if device == "cuda" else None
    return {
        "simd": f"sm_{gpu.major}{gpu.minor}" if gpu else tk.simd_level() or "",
        "processor": processor(device),
        "cores": str(gpu.multi_processor_count if gpu else os.cpu_count()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "version": tk.__version__,
        "commit": commit(source_tree()),
        "date": datetime.date.today().isoformat(),
    }


def source_tree() -> Path | None:
    """The tree that the kernels were built from, where this is a checkout."""
    root = Path(tk.__file__).parents[1]
    return root if (root / "csrc").is_dir() else None


def commit(root: Path | None) -> str:
    """HEAD, with "-dirty" where tracked files differ from it; rows are no code. Empty without a checkout or git."""
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=7", "--exclude=*"]
    status = [*command[:3], "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/data"]
    try:
        head, changed = (subprocess.run(c, capture_output=True, text=True, check=False) for c in (command, status))
    except FileNotFoundError:
        return ""
    return head.stdout.strip() + "-dirty" * bool(head.stdout and changed.stdout)
