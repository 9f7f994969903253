"""Runs the cells of a plan side by side, each in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vocalsketch.paper.cell_folder import CellFolder, State
from vocalsketch.paper.plan import Cell
from vocalsketch.paper.slots import Slot

POLL = 0.2  # seconds between looks at the running cells
GRACE = 20.0  # seconds that Ctrl-C gives a running cell to end by itself


class Watcher(Protocol):
    """Is told what happens to the cells."""

    def started(self, cell: Cell, slot: Slot) -> None:
        """Note that a cell runs."""

    def ended(self, cell: Cell, done: bool, seconds: float) -> None:
        """Note that a cell is done, or failed."""

    def waited(self) -> None:
        """Note that time has passed."""


Launch = Callable[[Cell, CellFolder, Slot], "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Running:
    """A cell at work."""

    cell: Cell
    slot: Slot
    process: "subprocess.Popen[bytes]"
    since: float


@dataclass
class Runner:
    """Runs what is not done, as many cells at a time as there are slots.

    Args:
        study: The study's folder.
        fingerprints: Of each cell, by name.
        slots: Where cells run.
        launch: Starts a cell's process.
        watcher: Is told what happens.
        clock: Seconds that pass.
    """

    study: Path
    fingerprints: dict[str, str]
    slots: Sequence[Slot]
    launch: Launch
    watcher: Watcher
    clock: Callable[[], float] = time.monotonic
    running: list[Running] = field(default_factory=list)

    def done(self, cell: Cell) -> bool:
        """Whether a cell has been done, in this call or an earlier one."""
        return self._folder(cell).state(self.fingerprints[cell.name]) == "done"

    def failed(self, cell: Cell) -> bool:
        """Whether a cell, or one that it needs, failed."""
        own = self._folder(cell).state(self.fingerprints[cell.name]) == "failed"
        return own or any(self.failed(need) for need in cell.needs)

    def run(self, cells: Sequence[Cell], *, retry: bool) -> None:
        """Run the cells that are not done; a cell that fails does not stop the others.

        Args:
            cells: The plan's cells.
            retry: Run those too that failed earlier.

        Raises:
            KeyboardInterrupt: Ctrl-C; the running cells are ended first.
        """
        waiting = [cell for cell in cells if not self.done(cell)]
        if retry:
            for cell in waiting:
                self._forget_failure(cell)
        free = list(self.slots)
        try:
            while waiting or self.running:
                waiting = [cell for cell in waiting if not self.failed(cell)]
                for cell in [each for each in waiting if all(map(self.done, each.needs))]:
                    if free:
                        waiting.remove(cell)
                        self._start(cell, free.pop(0))
                free += self._collect()
        finally:
            self._end_all()

    def _folder(self, cell: Cell) -> CellFolder:
        return CellFolder(cell.folder(self.study))

    def _forget_failure(self, cell: Cell) -> None:
        folder, fingerprint = self._folder(cell), self.fingerprints[cell.name]
        if folder.state(fingerprint) == "failed":
            folder.note(fingerprint, "started")

    def _start(self, cell: Cell, slot: Slot) -> None:
        folder = self._folder(cell)
        folder.begin(self.fingerprints[cell.name], self.study / "replaced" / cell.system)
        process = self.launch(cell, folder, slot)
        self.running.append(Running(cell, slot, process, self.clock()))
        self.watcher.started(cell, slot)

    def _collect(self) -> list[Slot]:
        """Wait a little; note the cells that ended and return their slots."""
        ended = [each for each in self.running if each.process.poll() is not None]
        for each in ended:
            self.running.remove(each)
            _close(each.process)
            done, seconds = each.process.returncode == 0, self.clock() - each.since
            state: State = "done" if done else "failed"
            fingerprint = self.fingerprints[each.cell.name]
            self._folder(each.cell).note(fingerprint, state, seconds if done else None)
            self.watcher.ended(each.cell, done, seconds)
        if not ended and self.running:
            time.sleep(POLL)
            self.watcher.waited()
        return [each.slot for each in ended]

    def _end_all(self) -> None:
        """End what still runs: asked first, then by force; they resume from their last epoch."""
        for each in self.running:
            each.process.send_signal(signal.SIGINT)
        try:
            until = self.clock() + GRACE
            while self.clock() < until and any(e.process.poll() is None for e in self.running):
                time.sleep(POLL)
        finally:
            for each in self.running:
                each.process.kill()
                each.process.wait()
                _close(each.process)
            self.running.clear()


def launch_cell(
    cell: Cell, folder: CellFolder, slot: Slot, arguments: Sequence[str]
) -> "subprocess.Popen[bytes]":
    """Start a cell's process, its output appended to the folder's log.

    It reads its standard input to notice when this process is gone, and has a session of its
    own, so that Ctrl-C reaches this process alone.
    """
    command = [sys.executable, "-m", "vocalsketch.paper.cell", str(folder.path)]
    command += ["--config", str(cell.config), "--seed_everything", str(cell.seed)]
    command += [*cell.arguments, *slot.arguments, *arguments]
    with folder.log.open("ab") as log:
        return subprocess.Popen(
            command,
            env={**os.environ, **slot.environment},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _close(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
