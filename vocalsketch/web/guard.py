"""What stands before every request: which addresses there are, and how much may be sent.

gradio answers many addresses that this page does not need: a proxy, a fetcher of other servers'
files, monitoring. What is not on the list is not there.
"""

import re
from collections.abc import Callable, Sequence

import anyio
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANSWERED = re.compile(
    r"/|/(?:config|theme\.css|manifest\.json|robots\.txt|favicon\.ico)/?"
    r"|/(?:assets|static|svelte)/.*"
    r"|/gradio_api/(?:info|startup-events|upload|upload_progress|heartbeat/[\w-]+)/?"
    r"|/gradio_api/(?:run|api|call)/[\w/-]+|/gradio_api/(?:queue/(?:join|data)|cancel|reset)/?"
    r"|/gradio_api/file=(?![a-zA-Z][\w+.-]*:).*"
)
UPLOAD = "/gradio_api/upload"
ENVELOPE = 64_000  # bytes that an upload may have around the file
LONGEST_REQUEST = 256_000  # bytes of anything but an upload
PATIENCE = 2.0  # seconds in which a client may notice that it is refused
# The page needs nothing from elsewhere, and a browser is told so.
POLICY = "; ".join(
    (
        "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


class TooLong(Exception):  # noqa: N818 - it is a condition on the way to an answer
    """A request's body is longer than its address takes."""


class Guard:
    """Passes on what the page needs and refuses the rest at once.

    Args:
        app: What answers.
        own: First parts of further addresses, such as ``clip``.
        upload: Bytes of a file, at most.
        too_long: What to say to a file that is longer.
        before_upload: Called before each upload.
    """

    def __init__(
        self,
        app: ASGIApp,
        own: Sequence[str],
        upload: int,
        too_long: str,
        before_upload: Callable[[], None],
    ) -> None:
        self.app = app
        self.own = {f"/{name}" for name in own}
        self.upload = upload + ENVELOPE
        self.too_long = too_long
        self.before_upload = before_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        path = scope["path"]
        uploads = path.rstrip("/") == UPLOAD
        limit = self.upload if uploads else LONGEST_REQUEST
        if path not in self.own and not ANSWERED.fullmatch(path):
            await PlainTextResponse("Not found.", 404)(scope, receive, send)
        elif _promised(scope) > limit:
            await self._refuse(scope, receive, send)
        else:
            if uploads:
                await anyio.to_thread.run_sync(self.before_upload)
            await self._pass_on(scope, receive, send, limit)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        taken, answered = 0, False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise TooLong
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                message["headers"] = [*message.get("headers", []), *HEADERS.items()]
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except TooLong:
            if not answered:
                await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at once, and let go a little later: a client that still sends has to notice."""
        text = self.too_long.encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(text)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": text, "more_body": True})
        with anyio.move_on_after(PATIENCE):
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _promised(scope: Scope) -> int:
    """Return how long the body will be, as far as the request says."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
