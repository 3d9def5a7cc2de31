"""How long the explorer takes for a page, over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from taskvec.explore.live import Live, NotReadYetError, Progress
from taskvec.explore.saved import SavedQueries
from taskvec.explore.server import PAGES, application, listening

from .place import seconds

TOKEN = "benchmark"


def reading(live: Live) -> None:
    """Until the result is read, and what is computed once from it."""
    while True:
        try:
            view = live.view()
        except NotReadYetError:
            continue
        break
    while not view.is_ready("paper"):
        time.sleep(0.01)


def page_seconds(result: Path) -> Iterator[tuple[str, float]]:
    """The time from start to answers, then that of the first request for each page as HTML."""
    started = time.perf_counter()
    live = Live(result, progress=lambda: Progress(1, 1, ""))
    reading(live)
    yield "reading", time.perf_counter() - started
    with listening(0) as sock, TemporaryDirectory() as folder:
        port = sock.getsockname()[1]
        app = application(live, SavedQueries(Path(folder) / "queries.json"), TOKEN, port)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            for name in PAGES:
                yield name, seconds(partial(get, port, name))
        finally:
            server.should_exit = True
            thread.join()
            live.close()


def get(port: int, name: str) -> None:
    """RuntimeError for anything but a page."""
    link = HTTPConnection("127.0.0.1", port)
    link.request("GET", f"/{name}", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = link.getresponse()
    text = answer.read()
    link.close()
    if answer.status != 200 or b'"reading":true' in text:
        raise RuntimeError(f"{name}: {answer.status}")
