"""Commands that are killed at a chosen moment, and resumed.

A fork server has imported torch, Lightning and vocalsketch once; each command runs in a fork of
it, from ``main`` to exit, as the `vocalsketch` script would run it in a process of its own; the
Python processes that it starts are forks of it. What it does to files below its folder is
numbered, so that it can be killed just before any of it.
"""

import atexit
import multiprocessing
import os
import random
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

PRELOADED = [
    *("vocalsketch.experiment", "vocalsketch.search.build", "vocalsketch.sweep.run"),
    *("vocalsketch.web.app", "vocalsketch.web.server", "mortal"),
]
PATIENCE = 240.0  # seconds that any command here may take on a busy machine
_Popen = subprocess.Popen
CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"})
TEMPORARY = re.compile(r"\.([a-z0-9_]{8}|[0-9]+-[0-9]+)\.tmp\b")  # drawn, in a name
LIVES = 10  # that a command is killed in, by default one after the other
THOROUGH = int(os.environ.get("VOCALSKETCH_FAULTS", "0"))  # kills of runs that then end at once


@dataclass(frozen=True)
class End:
    """How a command ended: its exit status (-9 where it was killed) and all that it said."""

    status: int
    said: str


def vocalsketch(*arguments: str) -> int:
    """Run a command as the script does."""
    from vocalsketch.cli import run

    sys.argv = ["vocalsketch", *arguments]
    return run()


@dataclass(frozen=True)
class Mortal:
    """Runs one command in ``folder``, which has a cache and temporary files of its own.

    Attributes:
        folder: Where it runs.
        command: What follows ``vocalsketch``, or what ``act`` takes.
        variables: Further environment variables, such as ``A=1``.
        act: Does it, and returns an exit status.
        watched: The folder whose files it is killed at changing; its own if left out.
    """

    folder: Path
    command: tuple[str, ...]
    variables: tuple[str, ...] = ()
    act: Callable[..., int] = vocalsketch
    watched: Path | None = None

    @property
    def temporary(self) -> Path:
        """Where its temporary files go."""
        return self.folder / "tmp"

    def run(self, dies_at: "int | str | None" = None) -> End:
        """Run it to its end, or until just before a change of files, by number or by name."""
        process = self.begin(dies_at)
        process.join(PATIENCE)
        assert process.exitcode is not None, f"still running: {self.command}\n{self.said()}"
        return End(process.exitcode, self.said())

    def complete(self, dies_at: int | None = None) -> None:
        """Run it to its end, which has to be a success; with 0, number the changes of files."""
        end = self.run(dies_at)
        assert end.status == 0, end.said

    def run_for(self, seconds: float) -> End:
        """Run it, and kill it (but not what it started) after some seconds."""
        process = self.begin()
        process.join(seconds)
        process.kill()
        process.join()
        return End(process.exitcode or 0, self.said())

    def changes(self) -> list[str]:
        """Run it to its end and return the names of the changes it made to files."""
        self.complete(dies_at=0)
        return (self.folder / "changes.txt").read_text().splitlines()

    def begin(self, dies_at: "int | str | None" = None) -> BaseProcess:
        """Start it."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.folder.mkdir(parents=True, exist_ok=True)
        process = context.Process(target=_live, args=(self, dies_at))
        process.start()
        return process

    def said(self) -> str:
        """Return what it wrote to standard output and error, all lives together."""
        file = self.folder / "said.txt"
        return file.read_text(errors="replace") if file.exists() else ""

    def killed_and_resumed(self, changes: Sequence[str], seed: int) -> int:
        """Kill it in ten lives, each a bit further on, and let it come to its end in the last.

        Returns:
            How often it was killed.
        """
        killed = 0
        for moment in moments(len(changes), LIVES, seed):
            end = self.run(dies_at=changes[moment - 1])
            # what is done once is not done again, and so kills no second time
            assert end.status in (-signal.SIGKILL, 0), end.said
            killed += end.status == -signal.SIGKILL
        self.complete()
        return killed


def moments(total: int, lives: int, seed: int) -> list[int]:
    """Draw ``lives`` of the numbers 1 to ``total``: one from each of as many equal spans."""
    draw = random.Random(seed)
    return [
        draw.randint(1 + total * life // lives, max(1, total * (life + 1) // lives))
        for life in range(lives)
    ]


def files_in(folder: Path) -> set[str]:
    """Return the names of all files in a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def leftovers_in(folder: Path) -> set[str]:
    """Return the temporary files in a folder."""
    return {name for name in files_in(folder) if name.endswith(".tmp")}


def started_by(mortal: Mortal, leader: int) -> list[int]:
    """Return the processes that a command started, also when it is gone itself.

    A fork is of its session; whatever else it started has its place for temporary files.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            _, _, rest = (process / "stat").read_text().rpartition(")")
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        state, session = rest.split()[0], int(rest.split()[3])
        inherits = f"TMPDIR={mortal.temporary}".encode() in variables
        if (session == leader or inherits) and state != "Z" and int(process.name) != leader:
            found.append(int(process.name))
    return found


def until_gone(mortal: Mortal, leader: int, seconds: float = 30.0) -> list[int]:
    """Wait until nothing runs any more that a command started; return what still does."""
    end = time.monotonic() + seconds
    while (left := started_by(mortal, leader)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def _live(mortal: Mortal, dies_at: int | str | None) -> None:
    """Run a command in this process, which is made like one that a shell starts."""
    os.setsid()
    with (mortal.folder / "said.txt").open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    mortal.temporary.mkdir(exist_ok=True)
    tempfile.tempdir = str(mortal.temporary)
    os.environ.pop("WANDB_SERVICE", None)  # of the tests that ran before, in another folder
    os.environ |= {
        "VOCALSKETCH_CACHE": str(mortal.folder / "cache"),
        "TMPDIR": tempfile.tempdir,
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "offline",
        **dict(variable.split("=", 1) for variable in mortal.variables),
    }
    os.chdir(mortal.folder)
    import torch

    torch.set_num_threads(1)
    subprocess.Popen = Forked  # type: ignore[misc]
    changes = _Changes(mortal.watched or mortal.folder, dies_at)
    if dies_at is not None:
        sys.addaudithook(changes)
    status = mortal.act(*mortal.command)
    changes.over = True
    if dies_at is not None:
        (mortal.folder / "changes.txt").write_text("\n".join(changes.names))
    atexit._run_exitfuncs()
    sys.exit(status)


class Forked(_Popen):
    """A Python process that is forked instead of started: it need not import all again.

    It runs a module (a job), or the `vocalsketch` script (another process of a training); whatever
    runs something else is started as ever.
    """

    def __init__(self, args: Any, *rest: Any, **options: Any) -> None:
        script = str(Path("vocalsketch").absolute())  # as Lightning starts this very command
        if isinstance(args, str) or args[0] != sys.executable or args[1] not in ("-m", script):
            super().__init__(args, *rest, **options)
            return
        self.args, self.returncode = args, None
        self.stdin = self.stdout = self.stderr = None
        self._waitpid_lock, self._sigint_wait_secs = threading.Lock(), 0.0
        self._communication_started, self._input = False, None
        fed, feeding = os.pipe() if options.get("stdin") == subprocess.PIPE else (None, None)
        self.pid = os.fork()
        if not self.pid:
            if feeding is not None:
                os.close(feeding)
            module = list(args[2:] if args[1] == "-m" else ["vocalsketch.cli", *args[2:]])
            _become(module, options.get("env") or {}, fed, options.get("stdout"))
        self._child_created = True
        if fed is not None and feeding is not None:
            os.close(fed)
            self.stdin = os.fdopen(feeding, "wb")


def _become(command: list[str], variables: Mapping[str, str], fed: int | None, out: Any) -> None:
    """Be a new Python process that runs a module, and end."""
    status = 1
    try:
        os.setsid()
        os.environ |= variables
        rank_zero_only.rank = int(os.environ.get("LOCAL_RANK", "0"))  # as its import would
        if fed is not None:
            os.dup2(fed, 0)
            sys.stdin = os.fdopen(0, closefd=False)
        if out is not None:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.argv = command
        sys.modules.pop(command[0], None)
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Changes:
    """Names this process's changes to files below a folder, and kills it before one of them."""

    def __init__(self, folder: Path, dies_at: int | str | None) -> None:
        self.folder = f"{folder}/"
        self.dies_at = dies_at
        self.process = os.getpid()
        self.names: list[str] = []
        self.over = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.over or not _changes(event, arguments) or os.getpid() != self.process:
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        path = str(Path.cwd() / os.fsdecode(path))
        if path.startswith(self.folder):
            self.names.append(f"{event} {TEMPORARY.sub('', path.removeprefix(self.folder))}")
            if self.dies_at in (len(self.names), self.names[-1]):
                os.kill(self.process, signal.SIGKILL)


def _changes(event: str, arguments: tuple[object, ...]) -> bool:
    if event != "open":
        return event in CHANGES
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
