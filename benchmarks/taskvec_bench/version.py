"""One version of the kernels, in a process of its own that answers requests; see worker.py."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[1]


class CompareError(Exception):
    """The comparison cannot be made; the message is for the person who asked for it."""


class RefusedError(Exception):
    """A version cannot do what a case asks for, or does it wrong; ``version`` is its name."""

    def __init__(self, version: str, why: str) -> None:
        self.version = version
        super().__init__(why)


class EndedError(Exception):
    """The process ended by itself; the message says how."""


class Version:
    """A process with the ``taskvec_kernels`` of ``tree`` and today's cases; started anew where it ends by itself."""

    def __init__(self, name: str, tree: Path) -> None:
        self.name, self.tree = name, tree
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (``close`` and the end of ``versions``)
        self.imported: dict[str, str] = {}  # module → file
        self.start()

    def start(self) -> None:
        """Start the process; ``wait`` says whether it has come up."""
        path = [str(BENCHMARKS), str(self.tree), *filter(None, [os.environ.get("PYTHONPATH")])]
        # -P: the current folder may hold the other version. A session of its own: Ctrl-C is the parent's
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "taskvec_bench.worker"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Raises CompareError where the kernels do not import, or not from ``tree``."""
        try:
            self.imported = self.answer()
        except EndedError as error:
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines() or [str(error)]
            raise CompareError(f"{self.name} cannot run today's cases: {said[-1]}") from None
        folder = self.tree / "taskvec_kernels"
        for file in self.imported.values():
            if not Path(file).resolve().is_relative_to(folder.resolve()):
                raise CompareError(f"{self.name} imports {file}, expected a file of {folder}")

    @property
    def package(self) -> str:
        """The file of the package, as it was imported."""
        return self.imported["taskvec_kernels"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request of worker.py; raises RefusedError, after which the next one may be asked."""
        assert self.process.stdin
        try:
            with contextlib.suppress(BrokenPipeError):  # then there is no answer either
                self.process.stdin.write(json.dumps(request) + "\n")
                self.process.stdin.flush()
            answer = self.answer()
        except EndedError as error:
            self.close()
            self.start()
            self.wait()
            raise RefusedError(self.name, str(error)) from None
        if "refused" in answer:
            raise RefusedError(self.name, answer["refused"])
        return answer

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            status = self.process.wait()
            raise EndedError(
                f"its process ended ({signal.Signals(-status).name if status < 0 else f'status {status}'})"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            with contextlib.suppress(BrokenPipeError):  # a request that was never read
                pipe.close()
