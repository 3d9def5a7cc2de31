"""The server: addresses to pages."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ..errors import TaskvecError, printable
from ..reports.html.packing import Pack
from .address import Address
from .answers import Lists, as_html, as_json, script, styles, version
from .guard import Guard
from .live import Live, NotReadYetError
from .pages.adapters import adapter, adapters
from .pages.graph import graph
from .pages.matrix import matrix
from .pages.overview import overview
from .pages.page import Asked, Document, Page
from .pages.pair import pair
from .pages.plane import map_page
from .pages.sheets import pairs, tables
from .pages.sql import sql
from .pages.verdicts import verdicts
from .pages.words import answers, methods_page
from .saved import Saved, SavedQueries

SCHEMA = "taskvec.explore/1"
SUGGESTED = 20
PAGES = {
    "overview": Page("Overview", overview),
    "verdicts": Page("Verdicts", verdicts),
    "matrix": Page("Matrix", matrix),
    "pair": Page("Pair", pair),
    "pairs": Page("Pairs", pairs),
    "graph": Page("Inclusion graph", graph),
    "map": Page("Map", map_page),
    "adapters": Page("Adapters", adapters),
    "adapter": Page("Adapter", adapter, listed=False),
    "tables": Page("Paper's tables", tables),
    "answers": Page("Side by side", answers),
    "sql": Page("SQL", sql),
    "methods": Page("Methods", methods_page),
}
FOREVER = {"cache-control": "max-age=31536000, immutable"}
NOW = {"cache-control": "no-store"}


class Explorer:
    """What answers requests for one result."""

    def __init__(self, live: Live, saved: SavedQueries) -> None:
        self.live, self.saved = live, saved
        version()  # script and style are read now, not for the first page

    def routes(self) -> list[Route]:
        return [
            Route("/", lambda request: RedirectResponse("/overview")),
            Route("/static/{version}/script.js", lambda request: static(script(), "text/javascript")),
            Route("/static/{version}/style.css", lambda request: static(styles(), "text/css")),
            Route("/names", self.names),
            Route("/saved", self.change, methods=["POST", "DELETE"]),
            Route("/{name}", self.show),
        ]

    def show(self, request: Request) -> Response:
        """A page, as HTML or as JSON."""
        name, _, ending = request.path_params["name"].partition(".")
        wants_json = ending == "json" or "application/json" in request.headers.get("accept", "")
        if name not in PAGES or ending not in ("", "json"):
            return PlainTextResponse("There is no such page.\n", 404)
        address = Address(name, dict(request.query_params))
        arrays: Pack | Lists = Lists() if wants_json else Pack()
        document = self.frame(address)
        status = 200
        try:
            lam = address.whole("lam", 0, 0, max(0, len(self.live.lams) - 1))
            view = self.live.view(lam)
            document |= PAGES[name].build(Asked(self.live, view, address, arrays))
        except NotReadYetError:
            status = 503
            document |= {"reading": True}
        except TaskvecError as error:
            status = 400
            document |= {"error": str(error)}
        if isinstance(arrays, Lists):
            return Response(as_json(document, arrays), status, headers=NOW, media_type="application/json")
        title = f"{PAGES[name].title}: {printable(self.live.name)}"
        again = status == 503
        return Response(as_html(title, document, arrays, again=again), 200 if again else status, NOW, "text/html")

    def frame(self, address: Address) -> Document:
        """What every page says."""
        progress = self.live.progress
        done = None if progress is None else {"done": progress.done, "units": progress.units, "writer": progress.writer}
        found: Document = {
            "schema": SCHEMA,
            "page": address.page,
            "result": self.live.name,
            "address": str(address),
            "given": dict(address.given),
            "progress": done,
            "read_at": self.live.read_at,
            "lams": self.live.lams,
            "nav": [[name, page.title] for name, page in PAGES.items() if page.listed],
        }
        try:
            return {**found, "saved": [[one.name, one.address] for one in self.saved.all()]}
        except TaskvecError as error:
            return {**found, "saved": [], "saved_error": str(error)}

    def names(self, request: Request) -> Response:
        """Adapters whose names contain some words, for fields that are typed into."""
        words = request.query_params.get("find", "").lower()
        try:
            names = self.live.view().names
        except NotReadYetError:
            names = []
        starts = [name for name in names if name.lower().startswith(words)]
        others = [name for name in names if words in name.lower() and not name.lower().startswith(words)]
        return JSONResponse([*starts, *others][:SUGGESTED], headers=NOW)

    async def change(self, request: Request) -> Response:
        """Keep an address under a name, or remove it."""
        try:
            given = await request.json()
            one = Saved(str(given["name"]), str(given.get("address", "")))
        except (ValueError, KeyError, TypeError, AttributeError):
            return PlainTextResponse("An object with a name is needed.\n", 400)
        try:
            if request.method == "DELETE":
                self.saved.remove(one.name)
            else:
                self.keep(one)
        except TaskvecError as error:
            return PlainTextResponse(f"{error}\n", 400)
        return JSONResponse([[query.name, query.address] for query in self.saved.all()])

    def keep(self, one: Saved) -> None:
        """TaskvecError for an address that is no page of ours."""
        page = one.address.partition("?")[0]
        if page not in PAGES:
            raise TaskvecError("no page has this address", got=repr(one.address[:80]), expected=", ".join(PAGES))
        self.saved.keep(one.name, one.address)


def static(text: str, kind: str) -> Response:
    return Response(text, media_type=kind, headers=FOREVER)


def application(live: Live, saved: SavedQueries, token: str, port: int) -> Guard:
    """The guarded application, for any ASGI server."""
    app: Any = Starlette(routes=Explorer(live, saved).routes())
    return Guard(app, token, port)


def serve(live: Live, saved: Path, port: int, ready: Callable[[str], None]) -> None:
    """Answer until Ctrl-C, on 127.0.0.1 alone.

    Args:
        live: the result.
        saved: the file of saved queries.
        port: 0: any that is free.
        ready: is called with the address that holds the token, once it is answered.

    Raises:
        TaskvecError: the port is taken.
    """
    with listening(port) as sock:
        port = sock.getsockname()[1]
        token = secrets.token_urlsafe(32)
        config = uvicorn.Config(
            application(live, SavedQueries(saved), token, port),
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        server = Server(config, lambda: ready(f"http://127.0.0.1:{port}/?token={token}"))
        try:
            server.run(sockets=[sock])
        finally:
            live.close()


class Server(uvicorn.Server):
    """One that says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()


def listening(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen()
    except OSError as error:
        sock.close()
        what = f"port {port} cannot be used ({error.strerror})"
        raise TaskvecError(what, fix="choose another with --port, or none for any that is free") from error
    return sock
