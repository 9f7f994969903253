"""Serving the page, on the loopback address unless another is asked for."""

import ctypes
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from vocalsketch.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
# of glibc's mallopt, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX: arrays of that many bytes
# go back to the system when they are freed; of smaller ones so many are kept, in so many heaps
ALLOCATION = {-3: 4 * 2**20, -1: 32 * 2**20, -8: 2}


def allowed_hosts(host: str, given: Sequence[str]) -> list[str]:
    """Return the names under which the page may be asked for.

    On the loopback address those of this machine, so that a name of another site's that leads
    here is not answered; elsewhere any, unless some are given.
    """
    if host in LOOPBACK:
        return [*LOOPBACK_NAMES, *given]
    return [*LOOPBACK_NAMES, host, *given] if given else ["*"]


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
    whose gaps grow. Giving every array back would cost a fifth of a search. On other systems, and
    with other C libraries, nothing is done.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            for option, value in ALLOCATION.items():
                ctypes.CDLL(None).mallopt(option, value)


def serve(app: ASGIApp, listener: socket.socket, ready: Callable[[str], object]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        app: What answers.
        listener: Where.
        ready: Called with the page's address.
    """
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
