"""Runs jobs, as many at a time as there are slots; survives Ctrl-C and kill -9."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vocalsketch.errors import VocalSketchError
from vocalsketch.jobs.job import ERROR, INTERRUPTED, Job, Slot, State, last_words

POLL = 0.2  # seconds between looks at what runs
FAREWELL = 60.0  # seconds that Ctrl-C gives what runs to end by itself
RESTARTS = 2  # of a job whose process was killed: it may be what kills it

End = Literal["done", "failed", "killed"]


class JobError(VocalSketchError):
    """A job failed; what is done is kept."""


class _Here:
    """A job that this process does itself, when it is first asked how far it is."""

    def __init__(self, job: Job, slot: Slot) -> None:
        self._job = job
        self._arguments = [*job.arguments, *slot.arguments]
        self._status: int | None = None

    def poll(self) -> int | None:
        from vocalsketch.jobs.run import train

        if self._status is None:
            self._status = INTERRUPTED
            try:
                train(self._job.folder, self._arguments)
                self._status = 0
            except VocalSketchError as error:
                self._status = 1
                said = f"{ERROR}{error}\n"
                self._job.log.write_bytes(said.encode(errors="replace"))
        return self._status

    def send_signal(self, sig: int) -> None:
        self._status = self._status or INTERRUPTED  # whoever signals has interrupted it

    def kill(self) -> None:
        """Do nothing."""


Process = subprocess.Popen[bytes] | _Here  # a job at work
Start = Callable[[Job, Slot], Process]


class Watcher:
    """Is told what happens to the jobs; this one says nothing of it."""

    def started(self, job: Job, slot: Slot) -> None:
        """Note that a job runs."""

    def ended(self, job: Job, end: End, seconds: float, reason: str) -> None:
        """Note that a job is done, failed, or was killed and is started again."""

    def waited(self) -> None:
        """Note that time has passed."""


@dataclass(frozen=True)
class Failure:
    """A job that failed: its name, what it said last, and where it said the rest."""

    name: str
    reason: str
    log: Path


@dataclass(frozen=True)
class _Running:
    job: Job
    slot: Slot
    process: Process
    since: float


class Pool:
    """Runs what is not done, and nothing twice.

    ``start`` is ``start_process``, or ``start_here`` for one slot in this process; ``restarts`` is
    how often a job is started again whose process was killed; ``clock`` gives seconds.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        watcher: Watcher | None = None,
        start: Start | None = None,
        restarts: int = RESTARTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slots = slots
        self.watcher = watcher or Watcher()
        self.start = start or start_process
        self.restarts = restarts
        self.clock = clock
        self._running: list[_Running] = []
        self._states: dict[str, State | None] = {}
        self._reasons: dict[str, str] = {}
        self._killed: Counter[str] = Counter()

    def run(self, jobs: Sequence[Job], *, retry: bool = False) -> list[Failure]:
        """Run the jobs that are not done; one that fails does not stop the others.

        Return those that failed, now or earlier; ``retry`` runs the latter again.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM. What runs is ended first; the same call goes on.
        """
        self._states = {job.name: job.state() for job in jobs}
        if retry:
            self._states = {n: None if s == "failed" else s for n, s in self._states.items()}
        waiting = [job for job in jobs if self._states[job.name] not in ("done", "failed")]
        free = list(self.slots)
        try:
            with _terminated_by_interrupt():
                while waiting or self._running:
                    waiting = [job for job in waiting if not self._is_in_vain(job)]
                    for job in [each for each in waiting if self._is_ready(each)]:
                        if free:
                            waiting.remove(job)
                            self._begin(job, free.pop(0))
                    for each, again in self._ended():
                        free.append(each.slot)
                        waiting[:0] = [each.job] if again else []
        finally:
            self._end_all()
        failed = [job for job in jobs if self._states[job.name] == "failed"]
        said = self._reasons
        return [Failure(job.name, said.get(job.name) or job.reason(), job.log) for job in failed]

    def _is_ready(self, job: Job) -> bool:
        return all(self._states[need.name] == "done" for need in job.needs)

    def _is_in_vain(self, job: Job) -> bool:
        return any(
            self._states[need.name] == "failed" or self._is_in_vain(need) for need in job.needs
        )

    def _begin(self, job: Job, slot: Slot) -> None:
        job.begin()
        self._states[job.name] = "started"
        # an interrupt between its start and the list would leave it to itself
        with _interrupts_put_off():
            self._running.append(_Running(job, slot, self.start(job, slot), self.clock()))
        self.watcher.started(job, slot)

    def _ended(self) -> Iterator[tuple[_Running, bool]]:
        """Wait a little; yield what ended, and whether it is to be started again."""
        statuses = [(each, each.process.poll()) for each in self._running]
        ended = [(each, status) for each, status in statuses if status is not None]
        for each, status in ended:
            self._running.remove(each)
            _end(each.process)
            yield each, self._note(each, status) == "killed"
        if not ended and self._running:
            time.sleep(POLL)
            self.watcher.waited()

    def _note(self, each: _Running, status: int) -> End:
        job, seconds, reason = each.job, self.clock() - each.since, ""
        end: End = "failed" if status else "done"
        if status < 0 or status == INTERRUPTED:
            name = signal.Signals(-status if status < 0 else signal.SIGINT).name
            self._killed[job.name] += 1
            again = self._killed[job.name] <= self.restarts
            end, reason = "killed" if again else "failed", f"ended by {name}"
        elif status:
            reason = last_words(job.log)
        if end != "killed":
            self._states[job.name], self._reasons[job.name] = end, reason
            job.note(end, None if reason else seconds, reason)
        self.watcher.ended(job, end, seconds, reason)
        return end

    def _end_all(self) -> None:
        """End what still runs: asked first, then by force."""
        for each in self._running:
            each.process.send_signal(signal.SIGINT)
        try:
            until = self.clock() + FAREWELL
            while self.clock() < until and any(e.process.poll() is None for e in self._running):
                time.sleep(POLL)
        finally:
            for each in self._running:
                _end(each.process)
            self._running.clear()


def start_process(job: Job, slot: Slot) -> Process:
    """Start a job in a process of its own, its output appended to the job's log.

    It has a session of its own, so that Ctrl-C reaches this process alone, and reads its standard
    input to notice when this process is gone (``run.end_with_parent``).
    """
    training = (sys.executable, "-m", "vocalsketch.jobs.run", str(job.folder))
    with job.log.open("ab") as out:
        return subprocess.Popen(
            job.command or (*training, *job.arguments, *slot.arguments),
            env={**os.environ, **slot.environment, **job.environment},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def start_here(job: Job, slot: Slot) -> Process:
    """Let this process do a training; whatever else waits until it is done."""
    return _Here(job, slot)


def _end(process: Process) -> None:
    """End a process by force, wait until it is gone, and let go of its pipe."""
    process.kill()
    if isinstance(process, subprocess.Popen):
        process.communicate()


@contextmanager
def _terminated_by_interrupt() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does within the block."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
