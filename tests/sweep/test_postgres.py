"""A study on a real PostgreSQL server, which the test starts on loopback."""

import dataclasses
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from standins import Runs

from vocalsketch.sweep.definition import Definition, open_study
from vocalsketch.sweep.storage import take_tally
from vocalsketch.sweep.worker import Worker


def programs() -> Path:
    """The folder of initdb and pg_ctl."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "pg_ctl").exists():
            return place
    pytest.skip("no PostgreSQL server here: install the package postgresql to run this test")


def as_server_user() -> list[str]:
    """PostgreSQL refuses to run as root: what runs a command as the user postgres then."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("runuser") or subprocess.run(["id", "postgres"], check=False).returncode:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return ["runuser", "-u", "postgres", "--"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a server that lives as long as this module's tests; return its url."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: extra postgres")
    place, user = programs(), as_server_user()
    # not one of pytest's, which lie in folders that the server's user cannot enter
    folder = Path(tempfile.mkdtemp(prefix="vocalsketch-postgres-"))
    folder.chmod(0o777)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    start = f"-F -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"

    def call(*command: str) -> None:
        subprocess.run(
            [*user, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120
        )

    call(str(place / "initdb"), "-D", str(data), "-U", "searcher", "--auth=trust", "--no-sync")
    control = [str(place / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
    call(*control, "-o", start, "start")
    try:
        yield f"postgresql://searcher@127.0.0.1:{port}/postgres"
    finally:
        call(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def kept(server: str, definition: Definition, tmp_path: Path) -> Definition:
    """A study that is kept by the server."""
    return dataclasses.replace(definition, storage=server, folder=tmp_path)


@pytest.fixture
def open_one() -> Iterator[Callable[[Definition], optuna.Study]]:
    """Open a study with a connection of its own, closed after the test."""
    opened: list[Any] = []

    def open_one(definition: Definition) -> optuna.Study:
        opened.append(open_study(definition))
        return opened[-1]

    yield open_one
    for study in opened:
        study._storage._backend.engine.dispose()


def test_workers_with_connections_of_their_own_finish_exactly_the_total(
    open_one: Callable[[Definition], optuna.Study], kept: Definition
) -> None:
    def worker() -> Worker:
        shortly = lambda seconds: time.sleep(0.01)  # noqa: E731
        return Worker(open_one(kept), kept, 12, train=Runs(), sleep=shortly)

    workers = [worker() for _ in range(4)]
    threads = [threading.Thread(target=each.run) for each in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = [trial.state for trial in workers[0].study.get_trials()]
    assert states.count(TrialState.COMPLETE) == 12
    assert sum(len(each.train.arguments) for each in workers) == 12


def test_a_trial_that_broke_off_goes_back_into_the_queue(
    open_one: Callable[[Definition], optuna.Study], kept: Definition
) -> None:
    named = dataclasses.replace(kept, name="broken_off")
    study = open_one(named)
    assert not Worker(study, named, 2, train=Runs(0.5, KeyboardInterrupt())).run()
    assert take_tally(study.get_trials()).waiting == 1
    assert Worker(study, named, 2, train=Runs(0.25)).run()
    tally = take_tally(study.get_trials())
    assert (tally.complete, tally.waiting, tally.retried) == (2, 0, 1)
