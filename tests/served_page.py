"""A page that is really served, in a process of its own, and plain requests to it."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from mortal import PATIENCE, Mortal

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Page:
    """A served page.

    Attributes:
        port: On the loopback address.
        process: That serves it.
        said: Returns what it wrote.
    """

    port: int
    process: BaseProcess
    said: Callable[[], str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """Send a request whose target is left as it is, and read the answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, body, named)
        answer = connection.getresponse()
        found = Answer(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})
        connection.close()
        return found

    def get(self, target: str, **headers: str) -> Answer:
        return self.ask("GET", target, **headers)

    def search(self, content: Any, **asked: Any) -> Answer:
        return self.ask("POST", f"/api/search?{urlencode(asked, doseq=True)}", content)

    def paths(self, content: bytes, **asked: Any) -> list[str]:
        answer = self.search(content, **asked)
        assert answer.status == 200, answer.text
        return [hit["path"] for hit in answer.json()["hits"]]


@contextmanager
def served_page(folder: Path, *arguments: str, command: str = "serve") -> Iterator[Page]:
    """Serve a page with the program, on a port that is free."""
    variables = tuple(f"{name}={value}" for name, value in os.environ.items())
    server = Mortal(folder, (command, *arguments, "--port", "0"), variables)
    process = server.begin()
    try:
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", server.said())):
            assert process.is_alive(), server.said()
            assert time.monotonic() < end, server.said()
            time.sleep(0.02)
        yield Page(int(found[1]), process, server.said)
    finally:
        process.terminate()
        process.join(60)


def indexed(folders: Sequence[Path]) -> list[str]:
    """Return the arguments that name indexes."""
    return [part for folder in folders for part in ("--index", str(folder))]
