"""Many visitors of the web page at once: how long they wait, what fails, how memory grows.

Starts `vocalsketch serve` on the loopback address and lets clients search one after the other, each
as a browser does: it searches with a recording of its own, and gets three pictures and one clip.
Prints the median, the 95th and the 99th percentile of the time from upload to results, of pictures
and of clips, how many requests failed, and the server's memory before, during and after.

    python benchmarks/web_load.py --index my-index
    python benchmarks/web_load.py --index my-index --clients 50 --seconds 60 --json
    python benchmarks/web_load.py --sounds 100000

It first measures how long one client waits that is alone, and how fast an upload over the limit is
refused. With --sounds that is all: among so many sounds with random embeddings of the default
system, which nobody can look at. Memory is read on Linux only.
"""

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import soundfile
import torch

START_WITHIN = 180.0  # seconds
RATE = 16_000  # hz
MEGABYTE = 1_000_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--index", type=Path, action="append")
    what.add_argument("--sounds", type=int, help="of a made-up index")
    parser.add_argument("--clients", type=int, default=50, help="at once (default: 50)")
    parser.add_argument("--seconds", type=float, default=60.0, help="(default: 60)")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two searches")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        indexes = arguments.index or [made_up(Path(folder) / "index", arguments.sounds)]
        with server(indexes) as (port, process):
            figures = {"alone": alone(port, indexes[0].resolve().name), **refusal(port)}
            if arguments.index:
                figures.update(load(port, process, arguments))
    print(json.dumps(figures, indent=2) if arguments.json else report(figures))


def made_up(folder: Path, sounds: int) -> Path:
    """Write an index of random embeddings by the default system."""
    from made_up import named, write_index

    from vocalsketch.systems import load_system

    system = load_system("default")
    silence = np.zeros((1, system.front_ends["recording"].samples), np.float32)
    width = system.hear("recording", torch.from_numpy(silence)).shape[1]
    write_index(folder, folder.parent, system, width, named(sounds))
    return folder


def alone(port: int, system: str, searches: int = 100) -> dict[str, float]:
    """Return how long one client waits for results, milliseconds."""
    tally = Tally()
    for number in range(searches + 2):
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        search(connection, recording(number), system, tally)
        connection.close()
    if tally.failures:
        raise SystemExit(tally.failures[0])
    return percentiles(tally.times["upload and search"][2:])  # without those that warm up


class Tally:
    """Times by kind, and what failed; several threads write."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self.failures: list[str] = []

    def timed(self, kind: str, connection: HTTPConnection, *request: object) -> bytes:
        """Send a request and read the answer; note how long that took, or that it failed."""
        begun = time.perf_counter()
        connection.request(*request)
        answer = connection.getresponse()
        body = answer.read()
        self.times[kind].append(time.perf_counter() - begun)
        if answer.status not in (200, 206):
            self.failures.append(f"{kind}: {answer.status} {body[:200]!r}")
        return body


def load(port: int, process: subprocess.Popen[str], arguments: argparse.Namespace) -> dict:
    """Let the clients work and return the figures."""
    tally = Tally()
    system = arguments.index[0].resolve().name
    before, over = memory(process), time.monotonic() + arguments.seconds
    seen: list[float] = []

    def client(number: int) -> None:
        count = 0
        while time.monotonic() < over:
            try:
                visit(port, recording(number * 1000 + count), system, tally)
            except (OSError, ValueError, IndexError) as error:
                tally.failures.append(repr(error))
            count += 1
            time.sleep(arguments.pause)

    threads = [threading.Thread(target=client, args=(each,)) for each in range(arguments.clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.append(memory(process))
        time.sleep(0.5)
    half = len(seen) // 2
    return {
        "clients": arguments.clients,
        "seconds": arguments.seconds,
        "searches": len(tally.times["upload and search"]),
        "failed": len(tally.failures),
        "failures": tally.failures[:5],
        "milliseconds": {kind: percentiles(times) for kind, times in tally.times.items()},
        "megabytes": {
            "before": before,
            "after a quarter": max(seen[: half // 2 + 1]),
            "first half at most": max(seen[: half + 1]),
            "second half at most": max(seen[half:]),
            "at the end": memory(process),
        },
        "alive": process.poll() is None,
    }


def visit(port: int, wav: bytes, system: str, tally: Tally) -> None:
    """Do as a browser does with a recording."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    hits = search(connection, wav, system, tally)
    for hit in hits[:3]:
        tally.timed("picture", connection, "GET", f"/api/{hit['spectrogram']}")
    tally.timed("clip", connection, "GET", f"/api/{hits[0]['clip']}")
    connection.close()


def search(connection: HTTPConnection, wav: bytes, system: str, tally: Tally) -> list[dict]:
    """Return what is found."""
    wish = f"/api/search?{urlencode({'system': system})}"
    answer = tally.timed("upload and search", connection, "POST", wish, wav)
    return json.loads(answer).get("hits", [])


def refusal(port: int, megabytes: int = 200) -> dict:
    """Return how an upload of that size is refused, and after how long."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    begun = time.perf_counter()
    connection.putrequest("POST", "/api/search")
    connection.putheader("Content-Length", str(megabytes * MEGABYTE))
    connection.endheaders()
    answer = connection.getresponse()  # nothing of the file was sent
    text = answer.read().decode()
    seconds = time.perf_counter() - begun
    connection.close()
    return {"refusal": {"status": answer.status, "text": text, "milliseconds": 1000 * seconds}}


def recording(number: int, seconds: float = 2.0) -> bytes:
    """Return a different sweep for each number, as a wav file."""
    generator = np.random.default_rng(number)
    time_of = np.arange(round(seconds * RATE)) / RATE
    start, slope = generator.uniform(100, 900), generator.uniform(-40, 200)
    sweep = np.sin(2 * np.pi * (start * time_of + slope * time_of**2))
    stream = io.BytesIO()
    noise = generator.normal(0, 0.01, len(time_of))
    soundfile.write(stream, 0.4 * sweep + noise, RATE, format="WAV")
    return stream.getvalue()


@contextmanager
def server(indexes: list[Path]) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run the page's server on a free port."""
    command = [sys.executable, "-m", "vocalsketch.cli", "serve", "--port", "0"]
    for index in indexes:
        command += ["--index", str(index)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        timer = threading.Timer(START_WITHIN, process.kill)
        timer.start()
        line = process.stdout.readline() if process.stdout else ""
        timer.cancel()
        if "http" not in line:
            raise SystemExit("The server did not start.")
        yield int(line.split("127.0.0.1:")[1].split("/")[0]), process
    finally:
        process.terminate()
        process.wait(30)


def memory(process: subprocess.Popen[str]) -> float:
    """Return the memory of a process in megabytes; 0 where that cannot be read."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return 0.0
    resident = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
    return int(resident.group(1)) * 1024 / MEGABYTE if resident else 0.0


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return the median, high percentiles and the maximum, in milliseconds."""
    parts = {"median": 50, "95 %": 95, "99 %": 99, "most": 100}
    return {name: 1000 * float(np.percentile(seconds, part)) for name, part in parts.items()}


def report(figures: dict) -> str:
    """Return the figures as lines of text."""
    lines = [told("one client alone", figures["alone"])]
    if "clients" in figures:
        lines.append(
            f"{figures['clients']} clients at once for {figures['seconds']:g} s: "
            f"{figures['searches']:,} searches, {figures['failed']} requests failed"
        )
        lines += [f"  {failure}" for failure in figures["failures"]]
        lines += [told(kind, times) for kind, times in figures["milliseconds"].items()]
        sizes = figures["megabytes"].items()
        lines += [f"memory, {when}: {size:,.0f} MB" for when, size in sizes]
    refused = figures["refusal"]
    lines.append(
        f"200 MB refused after {refused['milliseconds']:.1f} ms: {refused['status']} "
        f"{refused['text']}"
    )
    return "\n".join(lines)


def told(kind: str, milliseconds: dict[str, float]) -> str:
    """Return a line on how long something took."""
    return f"{kind:18}" + ",".join(f" {name} {ms:8.1f} ms" for name, ms in milliseconds.items())


if __name__ == "__main__":
    main()
