"""Whatever becomes of W&B, a training ends as it would have without, in time, and says so."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from corpora import write_config
from disks import disk
from mortal import Mortal, started_by, until_gone

ONLINE = ("WANDB_MODE=online", f"WANDB_API_KEY={'k' * 40}")
HURRY = ("WANDB_INIT_TIMEOUT=20", "WANDB_FINISH_TIMEOUT=3", "WANDB_X_GRAPHQL_RETRY_MAX=1")
NAMES = {"name": "vocalsketch", "entity": {"id": "e", "name": "someone"}}


class Refusing(BaseHTTPRequestHandler):
    """A server that knows no key."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(401, {"errors": [{"message": "user is not logged in"}]})

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Beginning(Refusing):
    """A server that lets runs begin and knows nothing else."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/graphql":
            return self.answer(200, {})
        request = json.loads(asked)
        if " RunResumeStatus " in request["query"]:
            return self.answer(200, {"data": {"model": {**NAMES, "bucket": None}}})
        if " UpsertBucket " in request["query"]:
            name = request["variables"]["name"]
            bucket = {"id": "b", "name": name, "displayName": name, "config": "{}"}
            made = {"bucket": {**bucket, "project": NAMES}, "inserted": True}
            return self.answer(200, {"data": {"upsertBucket": made}})
        return self.answer(200, {"data": None, "errors": [{"message": "not known here"}]})


@contextmanager
def server(kind: type[Refusing]) -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def address(serving: ThreadingHTTPServer) -> str:
    return f"WANDB_BASE_URL=http://127.0.0.1:{serving.server_port}"


@pytest.fixture(scope="module")
def expected(folder_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The results of a run that is not tracked."""
    folder = tmp_path_factory.mktemp("untracked")
    config = write_config(folder / "tiny.yaml", folder_corpus)
    run = Mortal(folder, ("fit", "--config", str(config), "--run_dir", "run"))
    run.complete()
    return (folder / "run" / "results_test.json").read_bytes()


@pytest.fixture
def tracked(folder_corpus: Path, tmp_path: Path) -> Callable[..., Mortal]:
    def make(*variables: str, epochs: int = 2) -> Mortal:
        trainer = {"logger": {"class_path": "vocalsketch.callbacks.WandbTracker"}}
        config = write_config(tmp_path / "tiny.yaml", folder_corpus, max_epochs=epochs, **trainer)
        command = ("fit", "--config", str(config), "--run_dir", "run")
        mortal = Mortal(tmp_path / "run here", command, (*HURRY, *variables))
        (mortal.folder / "run").mkdir(parents=True)
        return mortal

    return make


def ended(mortal: Mortal, process: BaseProcess, expected: bytes | None) -> str:
    """Wait for the end; return what was said, but for tables and progress."""
    process.join(timeout=200)
    assert process.exitcode == 0, mortal.said()
    results = (mortal.folder / "run" / "results_test.json").read_bytes()
    assert expected in (results, None)
    assert not until_gone(mortal, process.pid or 0)
    assert "Traceback" not in mortal.said()
    return " ".join(mortal.said().split())


@pytest.mark.parametrize("fault", ["nobody there", "a wrong key"])
def test_a_server_that_does_not_take_the_run_leaves_it_offline(
    fault: str, tracked: Callable[..., Mortal], expected: bytes
) -> None:
    with server(Refusing) if fault == "a wrong key" else nullcontext() as serving:
        base = address(serving) if serving else "WANDB_BASE_URL=http://127.0.0.1:9"
        mortal = tracked(*ONLINE, base)
        said = ended(mortal, mortal.begin(), expected)
    assert "W&B did not start in mode online: Failed to" in said
    assert "did not start in mode offline" not in said
    (offline,) = (mortal.folder / "run" / "wandb").glob("offline-run-*-not-online/*.wandb")
    assert offline.stat().st_size > 1000
    assert f"upload with `wandb sync {offline.parent.relative_to(mortal.folder)}`" in said


def first_epoch(mortal: Mortal, process: BaseProcess) -> None:
    """Wait for a checkpoint."""
    while not any(mortal.folder.glob("run/checkpoints/*.ckpt")) and process.is_alive():
        time.sleep(0.01)


def test_a_server_that_goes_away_costs_some_seconds_at_the_end(
    tracked: Callable[..., Mortal], expected: bytes
) -> None:
    with server(Beginning) as serving:
        mortal = tracked(*ONLINE, address(serving))
        process = mortal.begin()
        first_epoch(mortal, process)
    said = ended(mortal, process, expected)
    assert "did not start" not in said
    assert "upload with `wandb sync run/wandb/run-" in said


def test_a_killed_service_is_said(tracked: Callable[..., Mortal]) -> None:
    mortal = tracked(epochs=100)  # so that it still trains then, on a busy machine too
    process = mortal.begin()
    first_epoch(mortal, process)
    os.kill(process.pid or 0, signal.SIGSTOP)
    services = started_by(mortal, process.pid or 0)
    for service in services:
        os.kill(service, signal.SIGKILL)
    os.kill(process.pid or 0, signal.SIGCONT)
    assert services
    said = ended(mortal, process, None)
    assert "W&B could not be told of something (Connection lost); the run goes on without" in said


@pytest.mark.parametrize("fault", ["full", "read only"])
def test_a_disk_that_takes_nothing_of_wandb_is_said(
    fault: str, tracked: Callable[..., Mortal], expected: bytes
) -> None:
    mortal = tracked()
    with disk(mortal.folder / "run" / "wandb", "16k") as mounted:
        if fault == "read only":
            mounted.remount("ro")
        said = ended(mortal, mortal.begin(), expected)
    assert ("Read-only file system" if fault == "read only" else "No space left on device") in said


def test_a_folder_that_cannot_be_made_is_said(
    tracked: Callable[..., Mortal], expected: bytes
) -> None:
    mortal = tracked()
    (mortal.folder / "run" / "wandb").write_text("no folder")
    said = ended(mortal, mortal.begin(), expected)
    assert "W&B did not start in mode offline" in said
