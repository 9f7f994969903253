"""Runs jobs, as many at a time as there are slots; survives Ctrl-C and kill -9."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tqdm import tqdm

from vocalsketch.errors import VocalSketchError
from vocalsketch.jobs.job import INTERRUPTED, Job, Slot, State, choose_slots, last_words

POLL = 0.2  # seconds between looks at what runs
FAREWELL = 60.0  # seconds that Ctrl-C gives what runs to end by itself
RESTARTS = 2  # of a job whose process was killed: it may be what kills it

End = Literal["done", "failed", "killed"]
Process = subprocess.Popen[bytes]


class Watcher:
    """Is told what happens to jobs: shows a bar of those that are done, and a line for each."""

    def __init__(self, total: int, done: int = 0, unit: str = "run") -> None:
        self.bar = tqdm(total=total, initial=done, unit=unit)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        tqdm.write(text, file=sys.stderr)

    def started(self, job: Job, slot: Slot) -> None:
        """Note that a job runs."""
        self.say(f"{job.name} runs ({slot.name})")

    def ended(self, job: Job, end: End, reason: str) -> None:
        """Note that a job is done, failed, or was killed and is started again."""
        self.bar.update(end == "done")
        self.say(f"{job.name} {end}" + (f": {reason}" if reason else ""))

    def waited(self) -> None:
        """Note that time has passed."""
        self.bar.refresh()


class _Running(NamedTuple):
    job: Job
    slot: Slot
    process: Process


@dataclass(eq=False)
class Pool:
    """Runs what is not done, and nothing twice."""

    slots: Sequence[Slot]
    watcher: Watcher
    restarts: int = RESTARTS  # of a job whose process was killed
    _running: list[_Running] = field(default_factory=list)
    _states: dict[str, State | None] = field(default_factory=dict)
    _reasons: dict[str, str] = field(default_factory=dict)
    _killed: Counter[str] = field(default_factory=Counter)

    def run(self, jobs: Sequence[Job], *, retry: bool = False) -> list[tuple[Job, str]]:
        """Run the jobs that are not done; one that fails does not stop the others.

        Return those that failed, now or earlier, and why; ``retry`` runs the latter again.

        Raises:
            KeyboardInterrupt: Ctrl-C. What runs is ended first; the same call goes on.
        """
        self._states = {job.name: job.state() for job in jobs}
        if retry:
            self._states = {n: None if s == "failed" else s for n, s in self._states.items()}
        waiting = [job for job in jobs if self._states[job.name] not in ("done", "failed")]
        free = list(self.slots)
        try:
            while waiting or self._running:
                waiting = [job for job in waiting if not self._is_in_vain(job)]
                done = {name for name, state in self._states.items() if state == "done"}
                ready = [job for job in waiting if {need.name for need in job.needs} <= done]
                for job in ready[: len(free)]:
                    waiting.remove(job)
                    self._begin(job, free.pop(0))
                for each, status in self._ended():
                    free.append(each.slot)
                    if self._note(each.job, status) == "killed":
                        waiting.insert(0, each.job)
        finally:
            self._end_all()
        failed = [job for job in jobs if self._states[job.name] == "failed"]
        return [(job, self._reasons.get(job.name) or job.reason()) for job in failed]

    def _is_in_vain(self, job: Job) -> bool:
        return any(
            self._states[need.name] == "failed" or self._is_in_vain(need) for need in job.needs
        )

    def _begin(self, job: Job, slot: Slot) -> None:
        job.begin()
        self._states[job.name] = "started"
        self._running.append(_Running(job, slot, start_process(job, slot)))
        self.watcher.started(job, slot)

    def _ended(self) -> Iterator[tuple[_Running, int]]:
        """Wait a little; yield what ended, and its exit status."""
        statuses = [(each, each.process.poll()) for each in self._running]
        ended = [(each, status) for each, status in statuses if status is not None]
        for each, status in ended:
            self._running.remove(each)
            _end(each.process)
            yield each, status
        if not ended and self._running:
            time.sleep(POLL)
            self.watcher.waited()

    def _note(self, job: Job, status: int) -> End:
        end: End = "failed" if status else "done"
        reason = last_words(job.log) if status else ""
        if status < 0 or status == INTERRUPTED:
            name = signal.Signals(-status if status < 0 else signal.SIGINT).name
            self._killed[job.name] += 1
            again = self._killed[job.name] <= self.restarts
            end, reason = "killed" if again else "failed", f"ended by {name}"
        if end != "killed":
            self._states[job.name], self._reasons[job.name] = end, reason
            job.note(end, reason)
        self.watcher.ended(job, end, reason)
        return end

    def _end_all(self) -> None:
        """End what still runs: asked first, then by force."""
        for each in self._running:
            each.process.send_signal(signal.SIGINT)
        try:
            until = time.monotonic() + FAREWELL
            while time.monotonic() < until and any(e.process.poll() is None for e in self._running):
                time.sleep(POLL)
        finally:
            for each in self._running:
                _end(each.process)
            self._running.clear()


def start_process(job: Job, slot: Slot) -> Process:
    """Start a job in a process of its own, its output appended to the job's log.

    It has a session of its own, so that Ctrl-C reaches this process alone, and reads its standard
    input to notice when this process is gone (``job.end_with_parent``).
    """
    with job.log.open("ab") as out:
        return subprocess.Popen(
            (sys.executable, *job.command),
            env={**os.environ, **slot.environment, **job.environment},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _end(process: Process) -> None:
    """End a process by force, wait until it is gone, and let go of its pipe."""
    process.kill()
    process.communicate()


def run_jobs(
    jobs: Sequence[Job], slots: Sequence[Slot], *, retry: bool = False
) -> list[tuple[Job, str]]:
    """Run jobs as ``Pool.run`` does, and show how far they are."""
    watcher = Watcher(len(jobs), sum(job.state() == "done" for job in jobs))
    with watcher.bar:
        return Pool(slots, watcher).run(jobs, retry=retry)


def complete(jobs: Sequence[Job], slots: Sequence[Slot] = ()) -> None:
    """Run jobs until all are done, those too that failed before.

    Raises:
        VocalSketchError: One failed; the others are done.
    """
    failures = run_jobs(jobs, slots or choose_slots(None, None), retry=True)
    if failures:
        first, reason = failures[0]
        raise VocalSketchError(
            f"{first.name} failed: {reason.rstrip('.')} (all it said: {first.log})."
            + (f" {len(failures) - 1} more failed." if len(failures) > 1 else "")
            + " What is done is kept: the same command goes on."
        )
