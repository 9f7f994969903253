"""A page that is really served, in a process of its own, and plain requests to it."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Timer
from typing import Any

BOUNDARY = "part-of-a-form"
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

    def ask(
        self, method: str, target: str, body: bytes | str | None = None, **headers: str
    ) -> Answer:
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

    def upload(self, content: bytes, name: str = "sung.wav") -> Answer:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"'
        body = f"{head}\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return self.ask("POST", "/gradio_api/upload", body, Content_Type=kind)

    def call(self, data: object) -> Answer:
        """Search as the page does, with whatever it is given."""
        body = json.dumps({"data": data})
        return self.ask("POST", "/gradio_api/run/search", body, Content_Type="application/json")

    def search(self, content: bytes, system: str = "one", **asked: Any) -> str:
        """Upload a recording, search with it and return the results' HTML."""
        [path] = self.upload(content).json()
        values = {"words": "", "tags": [], "system": system, "count": 10, "like": None, **asked}
        return str(self.call([recorded(path), *values.values()]).json()["data"][0])


def recorded(path: str) -> dict[str, Any]:
    """Return how the page names an uploaded file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@contextmanager
def served_page(log: Path, indexes: Sequence[Path], *options: str) -> Iterator[Page]:
    """Serve the page with `vocalsketch demo`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vocalsketch.cli", "demo", "--port", str(port), *options]
    for index in indexes:
        command += ["--index", str(index)]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    timer = Timer(START_WITHIN, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        timer.cancel()
        assert "http://127.0.0.1" in line, log.read_text()
        yield Page(port, process, log)
    finally:
        timer.cancel()
        process.terminate()
        process.communicate(timeout=60)
