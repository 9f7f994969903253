"""Starts the workers of this machine, watches over them, and ends them cleanly."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import optuna
from optuna.trial import FrozenTrial
from tqdm import tqdm

from vocalsketch.sweep.retry import WORKER, left_on_this_host, retry_running, worker_name
from vocalsketch.sweep.storages import make_folder, patiently
from vocalsketch.sweep.study import StudyError
from vocalsketch.sweep.tally import Tally, take_tally

STORAGE_VARIABLE = "VOCALSKETCH_SWEEP_STORAGE"  # in the environment: a url may hold a password
# W&B would list every installed package anew for each trial, in half a second; the summary run does
QUICK_START = {"WANDB__SAVE_REQUIREMENTS": "false"}
POLL = 1.0  # seconds between looks at the workers
FAREWELL = 60.0  # seconds that interrupted workers have to give their trials back
MAX_REPLACEMENTS = 10  # of workers that died


@dataclass
class Running:
    """A worker process, how it signs its trials, and where it writes what it says."""

    place: int
    process: subprocess.Popen[bytes]
    signature: str
    log: Path


class Launcher:
    """The workers of one study on this machine.

    Args:
        study: The study.
        url: Its storage.
        folder: Its folder on this machine.
        total: How many trials are to finish, over all machines and restarts.
        environments: The environment variables of each worker.
        say: Tells the user something.
    """

    def __init__(
        self,
        study: optuna.Study,
        url: str,
        folder: Path,
        total: int,
        environments: Sequence[dict[str, str]],
        say: Callable[[str], None] = tqdm.write,
    ) -> None:
        self.study = study
        self.url = url
        self.folder = folder
        self.total = total
        self.environments = environments
        self.say = say
        self.running: list[Running] = []
        self.replaced = 0
        self.errors: list[str] = []

    def run(self) -> bool:
        """Work until the total is reached; return False where Ctrl-C or SIGTERM came first.

        Raises:
            StudyError: All workers ended before the total was reached.
            StorageError: The storage does not answer.
        """
        if self.tally().finished >= self.total:
            return True
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            self._retry(left_on_this_host, "its worker is gone")
            for place in range(len(self.environments)):
                self._start(place)
            self._watch()
        except KeyboardInterrupt:
            return False
        finally:
            self._end()
            signal.signal(signal.SIGTERM, before)
        return True

    def tally(self) -> Tally:
        """Count the study's trials."""
        return patiently(lambda: take_tally(self.study.get_trials(deepcopy=False)), self.url)

    def _start(self, place: int) -> None:
        log = make_folder(self.folder / "workers") / f"{socket.gethostname()}-{place}.log"
        command = [sys.executable, "-m", "vocalsketch.sweep", "--study", self.study.study_name]
        command += ["--folder", str(self.folder), "--trials", str(self.total)]
        own = {**QUICK_START, **self.environments[place], STORAGE_VARIABLE: self.url}
        # an interrupt between its start and the list would leave it to itself
        with log.open("ab") as out, _interrupts_put_off():
            process = subprocess.Popen(
                command,
                env={**os.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the launcher alone, which passes it on
            )
            self.running.append(Running(place, process, worker_name(process.pid), log))

    def _watch(self) -> None:
        """Show progress until no worker is left."""
        tally = self.tally()
        with tqdm(total=self.total, initial=tally.finished, unit="trial", desc="trials") as bar:
            while self.running:
                time.sleep(POLL)
                self._look_after_workers()
                tally = self.tally()
                bar.n = min(tally.finished, self.total)
                bar.set_postfix_str(_described(tally))
        if tally.finished < self.total:
            told = "; ".join(dict.fromkeys(self.errors)) or "they were ended from outside"
            raise StudyError(
                f"The workers ended with {tally.finished} of {self.total} trials finished: {told}. "
                f"What they said is in {self.folder / 'workers'}; the same command goes on."
            )

    def _look_after_workers(self) -> None:
        """Note which workers ended; put another in the place of one that was killed."""
        for worker in [each for each in self.running if each.process.poll() is not None]:
            self.running.remove(worker)
            status = worker.process.returncode
            if status > 0:
                self.errors.append(_last_line(worker.log))
            if status >= 0:
                continue
            name = signal.Signals(-status).name
            self.say(f"Worker {worker.place} was ended by {name}.")
            self._retry(_run_by({worker.signature}), "its worker was killed")
            if self.replaced < MAX_REPLACEMENTS:
                self.replaced += 1
                self.say(f"Another worker takes place {worker.place}.")
                self._start(worker.place)
            else:
                self.errors.append(f"{MAX_REPLACEMENTS} workers were killed (last by {name})")

    def _retry(self, is_abandoned: Callable[[FrozenTrial], bool], why: str) -> None:
        for number in patiently(lambda: retry_running(self.study, is_abandoned), self.url):
            self.say(f"Trial {number} is tried again: {why}.")

    def _end(self) -> None:
        """Interrupt the workers that are left, and wait until they gave their trials back."""
        for worker in self.running:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + FAREWELL
        for worker in self.running:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                worker.process.kill()
                worker.process.wait()
        if self.running:
            signatures = {worker.signature for worker in self.running}
            self._retry(_run_by(signatures), "interrupted")


def _run_by(signatures: set[str]) -> Callable[[FrozenTrial], bool]:
    return lambda trial: trial.user_attrs.get(WORKER) in signatures


@contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Raise KeyboardInterrupt for a Ctrl-C or SIGTERM within the block after its end."""
    came: list[int] = []
    before = {
        each: signal.signal(each, lambda signum, _frame: came.append(signum))
        for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if came:
        raise KeyboardInterrupt


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _described(tally: Tally) -> str:
    shown = {
        "complete": tally.complete,
        "pruned": tally.pruned,
        "running": tally.running,
        "failed": tally.failed,
    }
    return ", ".join(f"{count} {state}" for state, count in shown.items() if count)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("vocalsketch: error: ").rstrip(".") if lines else "nothing said"
