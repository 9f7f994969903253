"""The server: who may ask, how much may be sent, what a browser is told, and where it listens."""

import asyncio
import math
import re
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import uvicorn
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vocalsketch.errors import ConfigError
from vocalsketch.spread.threads import set_allocation

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")  # the last as a browser asks for it
# of glibc's mallopt, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX: arrays of that many bytes
# go back to the system when they are freed; of smaller ones so many are kept, in so many heaps
ALLOCATION = {-3: 4 * 2**20, -1: 32 * 2**20, -8: 2}
LONGEST = 60.0  # seconds; what is looked at of any query
PATIENCE = 2.0  # seconds in which a client may notice that it is refused
TOGETHER = 10  # recordings of the largest size that may be held at once
# The page needs nothing from elsewhere, and a browser is told so.
POLICY = (
    "default-src 'self'; "
    "img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; "  # of the explanations, which are pages of their own
    "object-src 'none'; "
    "base-uri 'self'; "
    "form-action 'self'; "
    "frame-ancestors 'self'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


@dataclass(frozen=True)
class Limits:
    """Limits on what is uploaded or recorded.

    Raises:
        ConfigError: One is out of range.
    """

    seconds: float = 30.0  # of a recording, at most
    megabytes: float = 20.0  # of a file, at most

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= LONGEST:
            raise ConfigError(
                f"--max-seconds is {self.seconds:g}: give more than 0 and at most {LONGEST:g}; the "
                "systems listen to 4 s."
            )
        if not (math.isfinite(self.megabytes) and self.megabytes > 0):
            raise ConfigError(f"--max-megabytes is {self.megabytes:g}: give more than 0.")

    @property
    def bytes(self) -> int:
        """The size of a file, at most."""
        return max(1, round(self.megabytes * 1_000_000))


class Guard:
    """Refuses what must not reach the application, and passes the rest on.

    A page of another site can lead a browser to this machine under a name of its own, so only known
    names are answered; and it can send requests without reading the answers, so what another
    site's page sends is refused.

    Args:
        app: What answers.
        limits: On what is sent. All requests together hold ``TOGETHER`` times as much at most;
            those beyond it wait.
        hosts: Names under which the page is reached, without ports; ``*`` for any.
    """

    def __init__(self, app: ASGIApp, limits: Limits, hosts: Sequence[str]) -> None:
        self.app = app
        self.limits = limits
        self.hosts = {host.lower() for host in hosts}
        self._too_large = f"Too large: at most {limits.megabytes:g} MB are taken."
        self._room = asyncio.Semaphore(TOGETHER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        declared = int(headers.get("content-length", "0"))
        refusal = self._refusal(headers, declared)
        room = nullcontext() if refusal or scope["method"] != "POST" else self._room
        async with room:
            taken = declared if refusal else 0
            await self._answer(refusal or self.app, scope, receive, send, taken)

    def _refusal(self, headers: Headers, declared: int) -> JSONResponse | None:
        """Return the answer to a request that is refused."""
        name = re.sub(r":\d*$", "", headers.get("host", "")).lower()
        if "*" not in self.hosts and name not in self.hosts:
            reason = (
                f"This page is not served under the name {name[:100]!r}. If that name is its own, "
                "as behind a proxy, start it with --allow-host and that name."
            )
            return JSONResponse({"error": reason}, 400)
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        if site == "cross-site" and mode != "navigate":
            return JSONResponse({"error": "A page of another site may not ask."}, 400)
        if declared > self.limits.bytes:
            return JSONResponse({"error": self._too_large}, 413, {"connection": "close"})
        return None

    async def _answer(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, taken: int
    ) -> None:
        """Have a request answered, of which so many bytes count as taken already."""

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.limits.bytes:
                raise HTTPException(413, self._too_large)
            return message

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            elif taken > self.limits.bytes and not message.get("more_body"):
                await send({**message, "more_body": True})
                with suppress(TimeoutError):  # one that still sends has to notice
                    async with asyncio.timeout(PATIENCE):
                        while (await receive()).get("more_body"):
                            pass
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        await app(scope, counted, noted)


def allowed_hosts(host: str, given: Sequence[str]) -> list[str]:
    """Return the names under which the page may be asked for.

    On the loopback address those of this machine, so that a name of another site's that leads
    here is not answered; elsewhere any, unless some are given.
    """
    return [*LOOPBACK, host, *given] if given or host in LOOPBACK else ["*"]


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ConfigError: The port is in use or out of range, or the host is none of this machine's.
    """
    if not 0 <= port <= 65_535:
        raise ConfigError(f"--port is {port}: give 1 to 65535, or 0 for one that is free.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise ConfigError(
            f"{host}, port {port}, cannot be listened on ({error.strerror or error}): give a "
            "--port that is free, and a --host of this machine."
        ) from error
    # asyncio does so only where it made the socket; else a short answer waits 40 ms for its end
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def bound_memory() -> None:
    """Keep the server's memory flat while many threads search.

    By itself glibc soon keeps arrays of up to 32 MB for later ones, in a heap for each thread,
    whose gaps grow. Giving every array back would cost a fifth of a search.
    """
    set_allocation(ALLOCATION)


def serve(app: ASGIApp, listener: socket.socket, ready: Callable[[str], object]) -> None:
    """Serve until Ctrl-C or SIGTERM; ``ready`` is called with the page's address."""
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    config = uvicorn.Config(
        app, log_level="error", access_log=False, proxy_headers=False, timeout_graceful_shutdown=5
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager's wish to end
    with suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended in order
        ready(address)  # who asks now waits a moment: the socket listens
        uvicorn.Server(config).run(sockets=[listener])
    print("The page is closed.", file=sys.stderr)
