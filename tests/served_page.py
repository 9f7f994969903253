"""A page that is really served, in a process of its own, and plain requests to it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import urlencode

START_WITHIN = 240.0  # seconds, on a busy machine
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
        log: What it writes to standard error.
    """

    port: int
    process: "subprocess.Popen[str]"
    log: Path

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
def served_page(log: Path, *arguments: str, command: str = "serve") -> Iterator[Page]:
    """Serve a page with the program, on a port that is free."""
    line = [sys.executable, "-m", "vocalsketch.cli", command, *arguments, "--port", "0"]
    with log.open("w") as errors:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=errors, text=True)
    timer = Timer(START_WITHIN, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        timer.cancel()
        assert "http://127.0.0.1" in said, log.read_text()
        port = int(said.split("127.0.0.1:")[1].split("/")[0])
        yield Page(port, process, log)
    finally:
        timer.cancel()
        process.terminate()
        process.communicate(timeout=60)


def indexed(folders: Sequence[Path]) -> list[str]:
    """Return the arguments that name indexes."""
    return [part for folder in folders for part in ("--index", str(folder))]
