"""The web server: the page's files, what it shows of the runs, and the texts as they are written."""

import asyncio
import json
import logging
import math
import pathlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from rnnzoo.errors import UserError, one_line
from rnnzoo.play.guard import Guard
from rnnzoo.play.player import Player
from rnnzoo.play.request import Bounds, Rate, Refused, read
from rnnzoo.signals import Stopped, hear_signals

STATIC = pathlib.Path(__file__).parent / "static"
MOST_CONNECTIONS = 64
LAST_SECONDS = 2  # for what is being written when the server is stopped


def run_until_stopped(players: Sequence[Player], listener: socket.socket) -> None:
    """Serves the page at a socket that listens, until Ctrl-C or SIGTERM.

    Raises:
      Stopped: the signal came, and all is shut down.
    """
    app = make_app(players, stopping=lambda: server.should_exit)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="error",
            lifespan="off",
            ws="none",
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=LAST_SECONDS,
        )
    )
    host, port = listener.getsockname()
    print(f"http://{host}:{port}  (Ctrl-C stops it)", flush=True)
    with hear_signals() as heard:
        server.run(sockets=[listener])
        if number := heard():
            raise Stopped("stopped", number)


def make_app(
    players: Sequence[Player],
    bounds: Bounds = Bounds(),  # noqa: B008
    stopping: Callable[[], bool] = lambda: False,
) -> Starlette:
    """The application.

    Args:
      players: the runs.
      bounds: how much it does.
      stopping: whether the server is about to end, so that texts end too.
    """
    desk = Desk(players, bounds, stopping)
    routes = [
        Route("/", lambda request: FileResponse(STATIC / "index.html")),
        Route("/api/runs", desk.runs),
        Route("/api/write", desk.write, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers = {Refused: _refuse, HTTPException: _http_error, Exception: _fail}
    return Starlette(routes=routes, middleware=[Middleware(Guard)], exception_handlers=handlers)


class Desk:
    """Takes wishes, as many as there is time for."""

    def __init__(self, players: Sequence[Player], bounds: Bounds, stopping: Callable[[], bool]):
        """See `make_app`."""
        self.players: Sequence[Player] = players
        self.bounds: Bounds = bounds
        self.stopping: Callable[[], bool] = stopping
        self.rate: Rate = Rate(bounds.per_minute, 60)
        self.writing = 0

    async def runs(self, request: Request) -> JSONResponse:
        """What the runs are, and the bounds."""
        bounds = {"prompt": self.bounds.prompt, "length": self.bounds.length}
        return JSONResponse({"runs": [p.describe() for p in self.players], "bounds": bounds})

    async def write(self, request: Request) -> StreamingResponse:
        """A text as a stream of lines of JSON: characters, and at its end `done` or `error`."""
        if wait := math.ceil(self.rate.wait()):
            raise Refused(
                f"more than {self.bounds.per_minute} texts within a minute: wait {wait} seconds",
                status=429, wait=wait,
            )  # fmt: skip
        wish = read(await self._body(request), len(self.players), self.bounds)
        try:
            pieces = self.players[wish.run].play(wish.prompt, **wish.options)
        except UserError as e:
            raise Refused(str(e), field="prompt") from e
        if self.writing >= self.bounds.at_once:
            raise Refused(
                f"{self.writing} texts are being written, the most at once: stop one, or wait",
                status=429, wait=1,
            )  # fmt: skip
        return Writing(self, pieces)

    async def _body(self, request: Request) -> bytes:
        """The body, of which no more is read than is allowed."""
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise Refused("the request must be JSON: send Content-Type: application/json", 415)
        most, body = self.bounds.body, bytearray()
        too_long = Refused(f"the request has more than {most:,} bytes: shorten the prompt", 413)
        if int(request.headers.get("content-length", 0)) > most:
            raise too_long
        try:
            async with asyncio.timeout(self.bounds.seconds):
                async for part in request.stream():
                    body += part
                    if len(body) > most:
                        raise too_long
        except TimeoutError as e:
            seconds = self.bounds.seconds
            raise Refused(
                f"the request was not whole after {seconds:g} seconds: send it again", 408
            ) from e
        return bytes(body)


class Writing(StreamingResponse):
    """A text that is being written; it counts at the desk until it ends, or its reader is gone."""

    def __init__(self, desk: Desk, pieces: Iterator[list[dict[str, Any]]]):
        """Answers with the pieces, one a line."""
        self.desk: Desk = desk
        self.pieces: Iterator[list[dict[str, Any]]] = pieces
        desk.writing += 1
        super().__init__(self._lines(), media_type="application/x-ndjson")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.desk.writing -= 1

    async def _lines(self) -> AsyncIterator[str]:
        try:
            while (piece := await run_in_threadpool(next, self.pieces, None)) is not None:
                yield _line({"characters": piece})
                if self.desk.stopping():
                    yield _line({"error": "the server was stopped: start it again"})
                    return
            yield _line({"done": True})
        except Exception as e:  # the status is sent: the page learns it from the last line
            logging.getLogger(__name__).exception("a text ended")
            yield _line({"error": f"the run fails: {one_line(e)}"})


def _line(content: dict) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":")) + "\n"


async def _refuse(request: Request, refused: Refused) -> JSONResponse:
    content = {"error": str(refused), "field": refused.field}
    headers = {"Retry-After": str(refused.wait)} if refused.wait else None
    return JSONResponse(content, refused.status, headers)


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    message = f"{error.detail}: open / for the page"
    return JSONResponse({"error": message}, error.status_code, error.headers)


async def _fail(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": f"the server fails: {one_line(error)}"}, 500)
