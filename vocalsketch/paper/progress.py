"""What runs, what is done, and when a study will end."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from vocalsketch.paper.plan import Cell
from vocalsketch.paper.slots import Slot


def seconds_left(
    waiting: Sequence[str],
    running: Sequence[tuple[str, float]],
    took: Mapping[str, Sequence[float]],
    slots: int,
) -> float | None:
    """Estimate when all will be done, from what the cells done so far took.

    A system of which none is done yet is taken to need as long as the mean of those that are.

    Args:
        waiting: System of each cell that waits.
        running: System of each cell that runs, and for how many seconds it has.
        took: Seconds of the cells done, by system.
        slots: How many cells run at a time.

    Returns:
        Seconds; None where nothing is done yet.

    >>> seconds_left(["a", "a", "b"], [("a", 4.0)], {"a": [10.0], "b": []}, 2)
    18.0
    """
    known = [value for values in took.values() for value in values]
    if not known:
        return None
    mean = {
        name: sum(took.get(name) or known) / len(took.get(name) or known)
        for name in {*waiting, *(system for system, _ in running)}
    }
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


@dataclass
class StudyProgress:
    """A live table on a terminal; a line per cell elsewhere.

    Args:
        cells: All cells of the plan.
        took: Seconds of the cells that were done before, by name.
        slots: How many cells run at a time.
        console: Where to show it.
        clock: Seconds that pass.
        now: The time of day.
    """

    cells: Sequence[Cell]
    took: dict[str, float]
    slots: int
    console: Console
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = datetime.now
    running: dict[str, tuple[Cell, Slot, float]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator["StudyProgress"]:
        """Show the table while the block runs."""
        if self.took:
            self.console.print(f"{len(self.took)} of {len(self.cells)} runs are done already.")
        if not self.console.is_terminal:
            yield self
            return
        with Live(console=self.console, auto_refresh=False, transient=True) as self.live:
            yield self
        self.live = None

    def started(self, cell: Cell, slot: Slot) -> None:
        """Note that a cell runs."""
        self.running[cell.name] = (cell, slot, self.clock())
        if self.live is None:
            self.console.print(f"{cell.name} runs ({slot.name})")
        self.waited()

    def ended(self, cell: Cell, done: bool, seconds: float) -> None:
        """Note that a cell is done, or failed."""
        del self.running[cell.name]
        if done:
            self.took[cell.name] = seconds
        else:
            self.failed.add(cell.name)
        left = self.left()
        self.console.print(
            f"{cell.name} {'done' if done else '[bold red]failed[/]'} in {duration(seconds)} "
            f"({len(self.took)} of {len(self.cells)}"
            + (f", {ending(left, self.now())})" if left else ")")
        )
        self.waited()

    def waited(self) -> None:
        """Show what has changed."""
        if self.live is not None:
            self.live.update(self.table(), refresh=True)

    def left(self) -> float | None:
        """Return the estimated seconds until all is done."""
        took: dict[str, list[float]] = {}
        for cell in self.cells:
            if cell.name in self.took:
                took.setdefault(cell.system, []).append(self.took[cell.name])
        ended = {*self.took, *self.failed}
        now = self.clock()
        return seconds_left(
            [c.system for c in self.cells if c.name not in {*ended, *self.running}],
            [(cell.system, now - since) for cell, _, since in self.running.values()],
            took,
            self.slots,
        )

    def table(self) -> Group:
        """Return what is shown on a terminal."""
        systems = Table("system", "done", "", "running")
        for name in dict.fromkeys(cell.system for cell in self.cells):
            mine = [cell for cell in self.cells if cell.system == name]
            done = sum(cell.name in self.took for cell in mine)
            failed = sum(cell.name in self.failed for cell in mine)
            now = [
                f"seed {cell.seed} ({slot.name}, {duration(self.clock() - since)})"
                for cell, slot, since in self.running.values()
                if cell.system == name
            ]
            count = f"{done}/{len(mine)}" + (f", {failed} failed" if failed else "")
            systems.add_row(name, count, ProgressBar(len(mine), done, width=20), ", ".join(now))
        left = self.left()
        end = ending(left, self.now()) if left is not None else "no run is done yet"
        return Group(systems, f"{len(self.took)} of {len(self.cells)} runs done, {end}")
