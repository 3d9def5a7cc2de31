"""How long the explorer takes for a page: over HTTP, and until a browser has drawn it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from taskvec.explore.live import Live, NotReadYetError, Progress
from taskvec.explore.saved import SavedQueries
from taskvec.explore.server import PAGES, application, listening

from .place import seconds

TOKEN = "benchmark"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
REPEATS = 3  # of what is drawn; the best counts, with script and style in the browser's cache
DRAWN = """
const mark = performance.getEntriesByName("ready")[0];
return mark && !document.body.innerText.includes("asks again") ? mark.startTime / 1000 : null;
"""


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
    """The time from start to answers, then of each page that of the first request for it as HTML, and that from
    asking to the mark that a browser's script sets when it has drawn it; the last only where there is a Chromium."""
    started = time.perf_counter()
    live = Live(result, progress=lambda: Progress(1, 1, ""))
    reading(live)
    yield "reading", time.perf_counter() - started
    with serving(live) as port:
        for name in PAGES:
            yield name, seconds(partial(get, port, name))
        if CHROMIUM and DRIVER:
            with browsing(port) as browser:
                for name in PAGES:
                    yield f"{name}, drawn", min(drawn(browser, port, name) for _ in range(REPEATS))


@contextmanager
def serving(live: Live) -> Iterator[int]:
    """The port of a server of ``live``."""
    with listening(0) as sock, TemporaryDirectory() as folder:
        port = sock.getsockname()[1]
        app = application(live, SavedQueries(Path(folder) / "queries.json"), TOKEN, port)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            yield port
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


@contextmanager
def browsing(port: int) -> Iterator[Any]:
    """A headless Chromium that the server has let in."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1300,1000"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        browser.get(f"http://127.0.0.1:{port}/?token={TOKEN}")
        yield browser
    finally:
        browser.quit()


def drawn(browser: Any, port: int, name: str) -> float:
    """Seconds from asking for a page to its being drawn; TimeoutError after ten."""
    browser.get(f"http://127.0.0.1:{port}/{name}")
    end = time.monotonic() + 10
    while (found := browser.execute_script(DRAWN)) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"{name} is not drawn")
        time.sleep(0.02)
    return float(found)
