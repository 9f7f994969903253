"""A study through Optuna's gRPC proxy, which the test starts on loopback."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from standins import Runs

from vocalsketch.sweep.definition import Definition
from vocalsketch.sweep.storages import open_storage, patiently
from vocalsketch.sweep.study import open_study
from vocalsketch.sweep.tally import take_tally
from vocalsketch.sweep.trial import Objective
from vocalsketch.sweep.worker import Worker

SERVE = """
import sys, optuna
storage = optuna.storages.RDBStorage(sys.argv[1])
optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=int(sys.argv[2]))
"""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """Start a proxy before a SQLite file; return its url, which answers after a while."""
    pytest.importorskip("grpc", reason="grpcio is not installed: extra proxy")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-c", SERVE, f"sqlite:///{tmp_path}/study.db"]
    process = subprocess.Popen([*command, str(port)], stderr=subprocess.DEVNULL)
    yield f"grpc://127.0.0.1:{port}"
    process.kill()
    process.wait()


def test_a_trial_that_broke_off_goes_on_through_the_proxy(
    proxy: str, definition: Definition, tmp_path: Path
) -> None:
    storage = open_storage(proxy)
    # waits until the proxy is there
    study = patiently(lambda: open_study(storage, definition), proxy)
    broken = Objective(definition, tmp_path, 3, run=Runs(0.5, KeyboardInterrupt()))
    assert not Worker(study, broken, proxy).run()
    assert Worker(study, Objective(definition, tmp_path, 3, run=Runs(0.25)), proxy).run()
    tally = take_tally(study.get_trials())
    assert (tally.complete, tally.waiting, tally.retried) == (3, 0, 1)
    storage.close()
