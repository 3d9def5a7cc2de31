"""A result that may still be written: read in the background, and again when more of it has been computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillReading
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import localtime, monotonic, strftime

from ..errors import TaskvecError
from ..queries.answers import Answer, read_answers
from ..queries.labels import Labels, read_labels
from ..queries.stored import open_result
from .view import View

WAIT = 1.5  # seconds that a page waits for a result that is read, before it says so
AGAIN = 5.0  # seconds between two looks at a sweep that runs


@dataclass(frozen=True)
class Progress:
    """Units of a sweep that are done, of all; who computes it now, empty for nobody."""

    done: int
    units: int
    writer: str


class NotReadYetError(Exception):
    """The result is being read: ask again in a second."""


class Live:
    """A result on the disk.

    Args:
        path: folder or URL.
        labels: CSV, as ``report`` takes it.
        answers: JSON lines, as ``report`` takes them.
        progress: says how far the sweep is; asked while it is not complete.

    Attributes:
        complete: whether the sweep was finished when the result was read.
        progress: of the sweep then; None of one that is complete.
        read_at: the time of day.

    Raises:
        TaskvecError: as ``open_result``, ``read_labels`` and ``read_answers``.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        labels: Path | None = None,
        answers: Path | None = None,
        progress: Callable[[], Progress],
    ) -> None:
        self.path = path
        self.name = Path(path).name
        self._dataset = open_result(path)
        names: Sequence[str] = [str(name) for name in self._dataset["source"].values]
        if len(names) < 2:
            raise TaskvecError("has one adapter: there are no pairs to explore", where=path, got=", ".join(names))
        self.labels = Labels() if labels is None else read_labels(labels, names)
        self.answers: list[Answer] = [] if answers is None else read_answers(answers, names)
        self.lams = [float(lam) for lam in self._dataset["lam"].values] if "lam" in self._dataset.dims else []
        self._ask = progress
        self._readers = ThreadPoolExecutor(1, "taskvec-explore")
        self._lock = Lock()
        self._views: dict[int, Future[View]] = {}
        self._looked = monotonic()
        self._looking: Future[None] | None = None
        self._note(None if self.complete else progress())
        self._begin(0)

    @property
    def complete(self) -> bool:
        return bool(self._dataset.attrs["complete"] == 1)

    def view(self, lam: int = 0) -> View:
        """For one λ; ``NotReadYetError`` when it is not read yet."""
        with self._lock:
            self._follow()
            future = self._begin(lam)
        try:
            return future.result(WAIT)
        except StillReading:
            raise NotReadYetError from None

    def close(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _begin(self, lam: int) -> Future[View]:
        if lam not in self._views:
            self._views[lam] = self._readers.submit(View, self._dataset, lam, self.labels)
            self._readers.submit(lambda: self._views[lam].result().warm())
        return self._views[lam]

    def _note(self, progress: Progress | None) -> None:
        self.progress, self.read_at = progress, strftime("%H:%M:%S", localtime())

    def _follow(self) -> None:
        """Look in the background whether more has been computed."""
        looks = self._looking is not None and not self._looking.done()
        if not self.complete and not looks and monotonic() - self._looked > AGAIN:
            self._looked = monotonic()
            self._looking = self._readers.submit(self._look)

    def _look(self) -> None:
        try:
            progress = self._ask()
            if self.progress is not None and progress.done == self.progress.done:
                self.progress = progress
                return
            dataset = open_result(self.path)
            views = {lam: View(dataset, lam, self.labels) for lam in [*self._views]}
        except (OSError, TaskvecError):
            return  # it is being written: the next look finds it whole
        finally:
            self._looked = monotonic()
        with self._lock:
            self._dataset = dataset
            self._views = {lam: done(view) for lam, view in views.items()}
            for view in views.values():
                self._readers.submit(view.warm)
            self._note(None if self.complete else progress)


def done(view: View) -> Future[View]:
    future: Future[View] = Future()
    future.set_result(view)
    return future
