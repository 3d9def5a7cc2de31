"""What runs inside a Dask worker: joining, which checks that it would compute the same and see the same, and a unit."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from typing import Any, NamedTuple

import torch

import taskvec_kernels as tk

from ..errors import TaskvecError
from ..storage import open_storage

JOBS: dict[str, bytes] = {}  # of this process, by the token of who asked
OPEN = threading.local()  # the jobs that a thread has opened: units of one process may be computed at once


class Terms(NamedTuple):
    """What a worker must agree with before it is given a unit.

    Attributes:
        token: random; names the job in the worker.
        out: the result's path or URL.
        nonce: a file below it that holds the token.
        unit: the first unit, pickled.
        key: of that unit, made of the code's epoch, the options and the adapters' digests.
        gpu: whether the job is for a GPU.
    """

    token: str
    out: str
    nonce: str
    unit: Any
    key: str
    gpu: bool


class Facts(NamedTuple):
    """What a worker is; ``refused`` says why it cannot take part."""

    host: str
    cores: int
    simd: str
    refused: str | None = None


def join(terms: Terms, job: bytes) -> Facts:
    """Open the job in this process and keep it, unless something is in the way."""
    facts = Facts(socket.gethostname(), len(os.sched_getaffinity(0)), tk.simd_level() or "none")
    try:
        check_place(terms)
        if terms.gpu and not torch.cuda.is_available():
            raise TaskvecError("has no GPU that torch sees")
        work = pickle.loads(job)
        if work.key(terms.unit) != terms.key:
            raise TaskvecError("sees other adapters or runs other code under the same version")
    except (TaskvecError, OSError) as error:
        return facts._replace(refused=str(error))
    JOBS[terms.token] = job
    return facts


def check_place(terms: Terms) -> None:
    """TaskvecError where this process does not see the files that the job writes to."""
    try:
        found = open_storage(terms.out).read(terms.nonce)
    except FileNotFoundError:
        found = b""
    if found != terms.token.encode():
        raise TaskvecError(f"is on another file system: it does not see what was just written to {terms.out}")


def run(token: str, unit: Any, threads: int) -> None:
    """Compute and commit one unit; one that the ledger has is not computed again."""
    torch.set_num_threads(threads)
    if getattr(OPEN, "token", None) != token:
        OPEN.token, OPEN.job = token, pickle.loads(JOBS[token])
    OPEN.job.run(unit)


def leave(token: str) -> None:
    """Forget a job."""
    JOBS.pop(token, None)
