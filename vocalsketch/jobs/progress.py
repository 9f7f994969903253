"""What runs, what is done, and when all will be."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from vocalsketch.jobs.job import Job, Slot
from vocalsketch.jobs.pool import End, JobError, Pool, Watcher, start_here, start_process


def seconds_left(
    waiting: Sequence[str],
    running: Sequence[tuple[str, float]],
    took: Mapping[str, Sequence[float]],
    slots: int,
) -> float | None:
    """Return in how many seconds all will be done, from what the jobs done so far ``took``.

    A group of which none is done yet is taken to need as long as the mean of those that are.
    Jobs are told by their group, the running ones also by their seconds; None where none is done.

    >>> seconds_left(["a", "a", "b"], [("a", 4.0)], {"a": [10.0], "b": []}, 2)
    18.0
    """
    known = [value for values in took.values() for value in values]
    if not known:
        return None
    groups = {*waiting, *(group for group, _ in running)}
    mean = {name: statistics.fmean(took.get(name) or known) for name in groups}
    work = sum(mean[name] for name in waiting)
    work += sum(max(0.0, mean[name] - passed) for name, passed in running)
    return work / slots


def duration(seconds: float) -> str:
    """Return a length of time for people.

    >>> duration(7.4), duration(68), duration(3_700)
    ('7 s', '1 min 08 s', '1 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def ending(seconds: float, now: datetime) -> str:
    """Return how long something takes still and when it will end.

    >>> ending(68, datetime(2024, 5, 1, 23, 58)), ending(7_300, datetime(2024, 5, 1, 22, 58))
    ('about 1 min 08 s left, until 23:59', 'about 2 h 01 min left, until Thu 00:59')
    """
    end = now + timedelta(seconds=seconds)
    day = "" if end.date() == now.date() else f"{end:%a} "
    return f"about {duration(seconds)} left, until {day}{end:%H:%M}"


class Progress(Watcher):
    """A live table on a terminal; a line per job elsewhere."""

    def __init__(
        self,
        jobs: Sequence[Job],
        slots: int,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.jobs = jobs
        self.slots = slots
        self.console = console
        self.clock = clock
        self.now = now
        self.took = {job.name: job.seconds() or 0.0 for job in jobs if job.state() == "done"}
        self.failed: set[str] = set()
        self._running: dict[str, tuple[Job, Slot, float]] = {}
        self._live = Live(
            console=console, auto_refresh=False, transient=True, get_renderable=self.table
        )

    def shown(self) -> Live:
        """Return what shows the table on a terminal while a block runs."""
        if self.took:
            self.console.print(f"{len(self.took)} of {len(self.jobs)} runs are done already.")
        return self._live

    def started(self, job: Job, slot: Slot) -> None:
        """Note that a job runs."""
        self._running[job.name] = (job, slot, self.clock())
        if not self.console.is_terminal:
            self.console.print(f"{job.name} runs ({slot.name})")
        self.waited()

    def ended(self, job: Job, end: End, seconds: float, reason: str) -> None:
        """Note that a job is done, failed, or was killed and is started again."""
        del self._running[job.name]
        if end == "killed":
            self.console.print(f"{job.name} was {reason}; it is started again")
            return
        if end == "done":
            self.took[job.name] = seconds
        else:
            self.failed.add(job.name)
        left = self.left()
        self.console.print(
            f"{job.name} {'done' if end == 'done' else '[bold red]failed[/]'} in "
            f"{duration(seconds)} ({len(self.took)} of {len(self.jobs)}"
            + (f", {ending(left, self.now())})" if left else ")")
        )
        self.waited()

    def waited(self) -> None:
        """Show what has changed."""
        if self.console.is_terminal:
            self._live.refresh()

    def left(self) -> float | None:
        """Return the estimated seconds until all is done."""
        took: dict[str, list[float]] = {}
        for job in self.jobs:
            if job.name in self.took:
                took.setdefault(job.group, []).append(self.took[job.name])
        begun, now = {*self.took, *self.failed, *self._running}, self.clock()
        waiting = [job.group for job in self.jobs if job.name not in begun]
        running = [(job.group, now - since) for job, _, since in self._running.values()]
        return seconds_left(waiting, running, took, self.slots)

    def table(self) -> Group:
        """Return what is shown on a terminal."""
        groups = Table("", "done", "", "running")
        for name in dict.fromkeys(job.group for job in self.jobs):
            mine = [job for job in self.jobs if job.group == name]
            done = sum(job.name in self.took for job in mine)
            failed = sum(job.name in self.failed for job in mine)
            running = [
                f"{job.name.partition('/')[2]} ({slot.name}, {duration(self.clock() - since)})"
                for job, slot, since in self._running.values()
                if job.group == name
            ]
            count = f"{done}/{len(mine)}" + (f", {failed} failed" if failed else "")
            groups.add_row(name, count, ProgressBar(len(mine), done, width=20), ", ".join(running))
        left = self.left()
        end = ending(left, self.now()) if left is not None else "no run is done yet"
        return Group(groups, f"{len(self.took)} of {len(self.jobs)} runs done, {end}")


def complete(
    jobs: Sequence[Job], slots: Sequence[Slot] = (), console: Console | None = None
) -> None:
    """Run jobs until all are done, those too that failed before.

    Without slots they run one after the other in this process.

    Raises:
        JobError: One failed; the others are done.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the same call goes on.
    """
    progress = Progress(jobs, len(slots) or 1, console or Console(stderr=True))
    pool = Pool(slots or [Slot("here")], progress, start_process if slots else start_here)
    # in this process the training has a progress bar of its own
    with progress.shown() if slots else nullcontext():
        failures = pool.run(jobs, retry=True)
    if failures:
        first, more = failures[0], len(failures) - 1
        where = f" (all it said: {first.log})" if first.log.is_file() else ""
        raise JobError(
            f"{first.name} failed: {first.reason.rstrip('.')}{where}."
            + (f" {more} more failed." if more else "")
            + " What is done is kept: the same command goes on."
        )
