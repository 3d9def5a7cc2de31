"""Who is let in: this machine's own browser, with the token that the command printed."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL = ("127.0.0.1", "localhost", "[::1]")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


class Guard:
    """Lets requests through to ``app`` that name this machine as their host and know the token.

    A token in the address (?token=…) is put into a cookie, and the browser goes on without it; Authorization: Bearer
    is for programs. A request that changes something must come from one of our own pages.

    Args:
        app: what is guarded.
        token: the secret.
        port: of the server.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self.app, self.token, self.port = app, token, port
        self.cookie = f"taskvec_{port}"
        self.hosts = {f"{name}:{port}" for name in LOCAL}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # no web sockets
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host", "") not in self.hosts:
            await refuse(send, 421, "This server answers to 127.0.0.1 and localhost alone.")
            return
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = next((value for name, value in given if name == "token"), None)
        if token is not None and self.is_ours(token):
            rest = urlencode([(name, value) for name, value in given if name != "token"])
            where = quote("/" + scope["path"].lstrip("/"))  # //host would be another server
            await self.enter(send, f"{where}?{rest}" if rest else where)
            return
        if not (self.is_ours(self.in_cookie(headers)) or self.is_ours(bearer(headers))):
            await refuse(send, 403, "Open the address that taskvec explore printed: it holds the token.")
            return
        if scope["method"] not in ("GET", "HEAD") and not self.is_own_page(headers):
            await refuse(send, 403, "Only this server's own pages change something.")
            return
        await self.app(scope, receive, guarded(send))

    def is_ours(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token.encode())

    def in_cookie(self, headers: MutableMapping[str, str]) -> str:
        cookies = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return ""
        return cookies[self.cookie].value if self.cookie in cookies else ""

    def is_own_page(self, headers: MutableMapping[str, str]) -> bool:
        origin = headers.get("origin", "")
        return urlsplit(origin).scheme == "http" and urlsplit(origin).netloc in self.hosts

    async def enter(self, send: Send, where: str) -> None:
        cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", where.encode()), (b"set-cookie", cookie.encode())]
        await answer(send, 303, "", headers)


def bearer(headers: MutableMapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def guarded(send: Send) -> Send:
    """With the headers that every answer has."""

    async def further(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *HEADERS.items()]
        await send(message)

    return further


async def refuse(send: Send, status: int, text: str) -> None:
    await answer(send, status, text + "\n", [])


async def answer(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]]) -> None:
    body = text.encode()
    kind = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": status, "headers": [*kind, *headers]}
    await guarded(send)(start)
    await send({"type": "http.response.body", "body": body})
