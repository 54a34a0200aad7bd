"""Lets in what comes from the page itself, and no other page that a browser has open."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Guard:
    """An ASGI middleware that checks where a request comes from, and sets `HEADERS`.

    A page of another site can have its own name point to 127.0.0.1 (DNS rebinding), which shows in
    the header Host; or send its requests here directly, which shows in the header Origin.
    """

    def __init__(self, app: ASGIApp):
        """Guards `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or hands it on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif problem := _problem(scope["method"], Headers(scope=scope)):
            answer = JSONResponse({"error": problem}, 403)
            await answer(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)


def _problem(method: str, headers: Headers) -> str | None:
    host = headers.get("host", "")
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in LOOPBACK:
        return "the page is for this machine alone: open it by the address that rnnzoo printed"
    from_elsewhere = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
    other_origin = headers.get("origin", f"http://{host}") != f"http://{host}"
    if method not in ("GET", "HEAD") and (from_elsewhere or other_origin):
        return "the request comes from another site's page: use the page that rnnzoo serves"
    return None
