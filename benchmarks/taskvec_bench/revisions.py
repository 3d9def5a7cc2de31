"""Another revision of this checkout, built once into a folder that can be imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "taskvec_kernels/__init__.py"
SHOWN = 12  # lines of a failed build


class RevisionError(Exception):
    """A revision that is not there or does not build; the message may have several lines, the last is the reason."""


def git(root: Path, *arguments: str) -> str:
    """What git prints, stripped; raises RevisionError with its last line."""
    try:
        run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise RevisionError("git is not installed; comparing with a revision needs it") from None
    if run.returncode:
        raise RevisionError((run.stderr.strip().splitlines() or [f"git {arguments[0]} failed"])[-1])
    return run.stdout.strip()


def resolved(root: Path, ref: str) -> str:
    """The commit that ``ref`` names, or ``default`` where it is empty.

    Raises:
        RevisionError: ``root`` is no git checkout, or has no such revision, or that one has no kernels.
    """
    try:
        top = git(root, "rev-parse", "--show-toplevel")
    except RevisionError as error:
        raise RevisionError(f"{root} is not a git checkout ({error}); a revision can be compared only in one") from None
    if Path(top).resolve() != root.resolve():
        raise RevisionError(f"{root} is not a git checkout but a folder of {top}; clone the project")
    ref = ref or default(root)
    try:
        sha = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except RevisionError:
        raise RevisionError(f"no revision {ref!r} in {root}; git log shows what there is") from None
    if not git(root, "ls-tree", sha, "--", PACKAGE):
        raise RevisionError(f"{ref} ({sha[:8]}) has no {PACKAGE}; name a later revision")
    return sha


def default(root: Path) -> str:
    """Where this branch left main; on main itself HEAD where the kernels are being changed, HEAD~1 otherwise."""
    head = git(root, "rev-parse", "HEAD")
    for main in ("main", "origin/main"):
        try:
            base = git(root, "merge-base", "HEAD", main)
        except RevisionError:
            continue
        if base != head:
            return base
    return "HEAD" if git(root, "diff", "--name-only", "HEAD", "--", "csrc", "taskvec_kernels") else "HEAD~1"


def place(root: Path, sha: str) -> Path:
    return root / "build" / "compare" / f"{sha[:12]}-{sys.implementation.cache_tag}"


def built(root: Path, sha: str) -> Path:
    """The folder that holds the packages of the commit ``sha``, built by its own recipe unless they are there already.

    Raises:
        RevisionError: it does not build; the message has the last lines and where the rest is.
    """
    target = place(root, sha)
    if target.is_dir():
        return target
    print(f"building {sha[:8]}, once", file=sys.stderr, flush=True)
    folder, log = target.parent, target.with_name(f"{target.name}.log")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
        archive, tree, packages = (Path(part) / sub for sub in ("tree.tar", "tree", "packages"))
        git(root, "archive", "--output", str(archive), sha)
        with tarfile.open(archive) as files:
            files.extractall(tree, filter="data")
        install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps"]
        with log.open("w") as output:
            status = run_whole([*install, "--target", str(packages), str(tree)], output.fileno())
        if status:
            lines = log.read_text(errors="replace").strip().splitlines()[-SHOWN:]
            raise RevisionError("\n".join([*lines, f"{sha[:8]} does not build; the whole output is in {log}"]))
        packages.rename(target)
    return target


def run_whole(command: list[str], output: int) -> int:
    """The exit status of ``command``. When this process is interrupted, what the command has started ends with it."""
    # the kernels of a GPU are not compared, and take minutes to compile
    environment = {**os.environ, "TASKVEC_CUDA": "off"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    try:
        return process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
