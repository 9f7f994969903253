"""Commands in processes that are killed at a chosen moment.

A fork server has imported torch, Lightning and vocalsketch once; each command runs in a fork of
it, from ``main`` to exit, as the `vocalsketch` script would run it in a process of its own.
"""

import atexit
import multiprocessing
import os
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PRELOADED = ["vocalsketch.experiment", "vocalsketch.search.builder", "mortal"]
PATIENCE = 120.0  # seconds that any command here may take on a busy machine
WRITING = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"})


def moments(total: int, lives: int, seed: int) -> list[int]:
    """Draw which of ``total`` writes are the last ones: one from each of ``lives`` equal spans."""
    draw = random.Random(seed)
    return [
        draw.randint(1 + total * life // lives, max(1, total * (life + 1) // lives))
        for life in range(lives)
    ]


@dataclass(frozen=True)
class End:
    """How a command ended: its exit status (-9 where it was killed) and all that it said."""

    status: int
    said: str


@dataclass(frozen=True)
class Mortal:
    """Runs commands in ``folder``, which has a cache and a place for temporary files of its own.

    Attributes:
        folder: Where commands run.
        variables: Further environment variables.
    """

    folder: Path
    variables: tuple[tuple[str, str], ...] = ()

    def run(self, *arguments: str, dies_at: int = 0) -> End:
        """Run a command to its end; ``dies_at`` is the write before which it kills itself."""
        process, log = self._started(arguments, dies_at)
        process.join(PATIENCE)
        assert process.exitcode is not None, f"still running: {arguments}\n{log.read_text()}"
        return End(process.exitcode, log.read_text())

    def run_for(self, seconds: float, *arguments: str) -> End:
        """Run a command and kill it, and not what it started, after some seconds."""
        process, log = self._started(arguments, 0)
        process.join(seconds)
        process.kill()
        process.join()
        return End(process.exitcode or 0, log.read_text())

    def writes(self, *arguments: str) -> int:
        """Run a command to its end and return how many writes it made."""
        end = self.run(*arguments, dies_at=-1)
        assert end.status == 0, end.said
        return int((self.folder / "writes").read_text())

    def files(self, below: Path) -> set[str]:
        """Return the files in a folder, their names relative to it."""
        return {str(path.relative_to(below)) for path in below.rglob("*") if path.is_file()}

    def _started(
        self, arguments: Sequence[str], dies_at: int
    ) -> tuple[multiprocessing.process.BaseProcess, Path]:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "log.txt"
        process = context.Process(target=_live, args=(self, list(arguments), log, dies_at))
        process.start()
        return process, log


def _live(mortal: Mortal, arguments: list[str], log: Path, dies_at: int) -> None:
    """Run a command in this process, which is made like one that a shell starts."""
    os.setsid()
    with log.open("wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    temporary = mortal.folder / "tmp"
    temporary.mkdir(exist_ok=True)
    os.environ |= {
        "VOCALSKETCH_CACHE": str(mortal.folder / "cache"),
        "TMPDIR": str(temporary),
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "offline",
        **dict(mortal.variables),
    }
    os.chdir(mortal.folder)
    import torch

    from vocalsketch.cli import main

    torch.set_num_threads(1)
    count = _Count(mortal.folder, dies_at)
    sys.addaudithook(count)
    status = main(arguments)
    count.over = True
    (mortal.folder / "writes").write_text(str(count.writes))
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.exit(status)


class _Count:
    """Counts this process's writes below a folder, and kills it before a certain one."""

    def __init__(self, folder: Path, dies_at: int) -> None:
        self.folder = str(folder)
        self.dies_at = dies_at
        self.process = os.getpid()
        self.writes = 0
        self.over = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.over or not _writes(event, arguments) or os.getpid() != self.process:
            return
        path = arguments[0]
        if isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(
            self.folder
        ):
            self.writes += 1
            if self.writes == self.dies_at:
                os.kill(self.process, signal.SIGKILL)
            if self.dies_at < 0 and os.environ.get("SHOW"):
                print("WRITE", self.writes, event, arguments, flush=True)


def _writes(event: str, arguments: tuple[object, ...]) -> bool:
    if event != "open":
        return event in WRITING
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(int(str(flags or 0)) & (os.O_WRONLY | os.O_RDWR))
