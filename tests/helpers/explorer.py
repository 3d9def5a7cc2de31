"""A running server of ``taskvec explore``, and the names of the adapters that it shows."""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")

from taskvec.explore.live import Live, Progress  # noqa: E402
from taskvec.explore.saved import SavedQueries  # noqa: E402
from taskvec.explore.server import application, listening  # noqa: E402

TOKEN = "a-token-of-the-tests"
HOSTILE = ["</script><script>alert(1)</script>", "a\nb\x1b[31mred", "<img src=x onerror=alert(2)>", "naïve &=?#/→λ"]
NAMES = [*HOSTILE, *(f"author/task{i}" for i in range(8))]


class Served:
    """A running server of one result."""

    def __init__(self, path: Path, folder: Path, **options: Any) -> None:
        self.sock = listening(0)
        self.port = self.sock.getsockname()[1]
        self.live = Live(path, **{"progress": lambda: Progress(1, 2, ""), **options})
        self.saved = folder / "saved/queries.json"
        app = application(self.live, SavedQueries(self.saved), TOKEN, self.port)
        self.server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", access_log=False))
        self.thread = threading.Thread(target=self.server.run, args=([self.sock],), daemon=True)
        self.thread.start()
        self.live._readers.submit(lambda: None).result()  # all is read

    def ask(self, address: str, *, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, Any, str]:
        """Status, headers and text of an answer."""
        link = HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {"Authorization": f"Bearer {TOKEN}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        text = None if body is None else json.dumps(body)
        link.request(method, address, text, {name: value for name, value in given.items() if value})
        answer = link.getresponse()
        found = answer.status, answer.headers, answer.read().decode()
        link.close()
        return found

    def json(self, page: str, status: int = 200, /, **given: Any) -> Any:
        """The document of a page."""
        code, _, text = self.ask(f"/{page}.json?{urlencode(given)}")
        assert code == status, text[-300:]
        return json.loads(text)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.live.close()
        self.sock.close()
