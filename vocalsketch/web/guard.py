"""What stands before every request: who may ask, how much may be sent, what a browser is told."""

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vocalsketch.errors import ConfigError

MEGABYTE = 1_000_000  # bytes
LONGEST = 60.0  # seconds; what is looked at of any query
PATIENCE = 2.0  # seconds in which a client may notice that it is refused
TOGETHER = 10  # recordings of the largest size that may be held at once
# The page needs nothing from elsewhere, and a browser is told so.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "style-src 'self' 'unsafe-inline'",  # of the explanations, which are pages of their own
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
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
        return max(1, round(self.megabytes * MEGABYTE))


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
        self._room = asyncio.Semaphore(TOGETHER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = self._refusal(headers)
        declared = int(_digits(headers.get("content-length")))
        if reason:
            await JSONResponse({"error": reason}, 400)(scope, receive, send)
        elif declared > self.limits.bytes:
            refusal = JSONResponse({"error": self._too_large}, 413, {"connection": "close"})
            await self._answer(refusal, scope, receive, send, declared)
        elif scope["method"] == "POST":
            async with self._room:
                await self._answer(self.app, scope, receive, send)
        else:
            await self._answer(self.app, scope, receive, send)

    def _refusal(self, headers: Headers) -> str:
        """Return why a request is not answered; empty where it is."""
        host = headers.get("host", "")
        name = (
            host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        ).lower()
        if "*" not in self.hosts and name not in self.hosts:
            return (
                f"This page is not served under the name {name[:100]!r}. If that name is its own, "
                "as behind a proxy, start it with --allow-host and that name."
            )
        if (
            headers.get("sec-fetch-site") == "cross-site"
            and headers.get("sec-fetch-mode") != "navigate"
        ):
            return "A page of another site may not ask."
        return ""

    async def _answer(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, taken: int = 0
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
                await _noticed(receive)
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        await app(scope, counted, noted)

    @property
    def _too_large(self) -> str:
        return f"Too large: at most {self.limits.megabytes:g} MB are taken."


async def _noticed(receive: Receive) -> None:
    """Let go of a refused client a little later: one that still sends has to notice."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while (await receive()).get("more_body"):
                pass


def _digits(value: str | None) -> str:
    return value if value and value.isdigit() and len(value) < 20 else "0"
