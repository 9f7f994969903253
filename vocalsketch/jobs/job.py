"""A job: one run of many, what counts as the same, where it runs, how it stands in its folder.

``python -m vocalsketch.jobs.job FOLDER ARGUMENTS...`` is one: a training, told what ``fit`` is.
"""

import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from tqdm import tqdm

import vocalsketch
from vocalsketch.datasets.records import Corpus
from vocalsketch.errors import AudioError, ConfigError, VocalSketchError, refuse_below
from vocalsketch.experiment import Outcome, run_experiment
from vocalsketch.features.audio import content_id, opened_file
from vocalsketch.files import write_text
from vocalsketch.spread.threads import available_cores


def fingerprint(
    config: Any, *, seed: int, corpus: str, split: str, needs: Sequence[str] = ()
) -> str:
    """Return a hash of all that a run's result depends on, 16 hexadecimal digits.

    That is its config, resolved; its seed; ``corpus_fingerprint`` or ``clips_fingerprint`` of its
    data and how these are divided; the fingerprints of the runs that it starts from; the versions
    of this package and of torch.
    """
    content = {
        "config": config,
        "seed": seed,
        "corpus": corpus,
        "split": split,
        "needs": list(needs),
        "versions": [vocalsketch.__version__, version("torch")],
    }
    plain = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def corpus_fingerprint(corpus: Corpus) -> str:
    """Return a hash of a corpus: ids, categories, targets and every byte of audio."""
    sounds = {sound.path: (sound.id, sound.category) for sound in corpus.sounds}
    imitations = {each.path: (each.id, each.sound_id) for each in corpus.imitations}
    return clips_fingerprint(corpus.name, {**sounds, **imitations})


def clips_fingerprint(name: str, clips: Mapping[Path, Sequence[str]]) -> str:
    """Return a hash of audio files and of what is said of each.

    It stays the same where the files are moved. Audio that cannot be read counts by its name.
    """
    digest = hashlib.sha256(name.encode())
    for path, said in tqdm(clips.items(), desc="corpus fingerprint", unit="file", leave=False):
        line = "\0".join((*said, _content(path)))
        digest.update(f"{line}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _content(path: Path) -> str:
    try:
        with opened_file(path) as stream:
            return content_id(stream)
    except AudioError:
        return "unreadable"


State = Literal["started", "done", "failed"]
TAIL = 65_536  # bytes of a log in which what it said last is looked for
ERROR = "vocalsketch: error: "  # before what a user can mend
INTERRUPTED = 130  # the exit status of what Ctrl-C ended


@dataclass(frozen=True)
class Job:
    """One run: a program, where it leaves what it makes, and what its result depends on."""

    name: str  # ``group/member``, such as ``iminet_tied/seed3``
    folder: Path  # its run folder, which also holds ``job.json`` and ``log.txt``
    command: tuple[str, ...]  # what Python is given, such as ``-m`` and a module
    # hash of all that its result depends on (``fingerprint``). An empty one is of what keeps
    # no state: it is never done before
    fingerprint: str = ""
    needs: tuple["Job", ...] = ()  # jobs that have to be done before
    # variables of its process, beside those of its slot
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """What it belongs to."""
        return self.name.partition("/")[0]

    @property
    def log(self) -> Path:
        """All that its process printed."""
        return self.folder / "log.txt"

    def state(self) -> State | None:
        """Return how it stands; None where it was not begun, or another run was."""
        kept = self._kept()
        same = self.fingerprint and kept.get("fingerprint") == self.fingerprint
        return kept.get("state") if same else None

    def reason(self) -> str:
        """Return why it failed: what it said last."""
        return str(self._kept().get("reason") or last_words(self.log))

    def begin(self) -> None:
        """Make the folder ready for a run.

        A run of another fingerprint is moved aside, to ``replaced`` beside it; nothing is deleted.
        """
        # what was killed on entering it leaves no more than a temporary file
        there = self.folder.iterdir() if self.folder.is_dir() else ()
        if self.fingerprint and self.state() is None and any(f.suffix != ".tmp" for f in there):
            replaced, number = self.folder.parent / "replaced", 1
            replaced.mkdir(exist_ok=True)
            while (aside := replaced / f"{self.folder.name}-{number}").exists():
                number += 1
            self.folder.rename(aside)
        self.note("started")

    def note(self, state: State, reason: str = "") -> None:
        """Write down how it stands."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.fingerprint:
            content = {"fingerprint": self.fingerprint, "state": state, "reason": reason}
            write_text(self.folder / "job.json", json.dumps(content) + "\n")

    def _kept(self) -> dict[str, Any]:
        try:
            kept: dict[str, Any] = json.loads((self.folder / "job.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return kept


def training(
    name: str, folder: Path, arguments: Sequence[str], fingerprint: str, **more: Any
) -> Job:
    """Return the job of what ``vocalsketch fit`` is told, but for its folder and device."""
    command = ("-m", "vocalsketch.jobs.job", str(folder), *arguments)
    return Job(name, folder, command, fingerprint, **more)


def last_words(log: Path) -> str:
    """Return a process's error as it told it, else the last line that it printed."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - TAIL))
            said = handle.read().decode("utf-8", errors="replace").strip()
    except OSError:
        said = ""
    error = said.rpartition(ERROR)[2]
    if error != said and "Traceback" not in error:
        return error
    return said.rpartition("\n")[2].strip() or "it printed nothing"


CPU = "cpu"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Slot:
    """A place for one job at a time."""

    name: str  # for people, such as ``gpu 1`` or ``cpu, 2 cores``
    # what a process is told, so that it stays there
    environment: Mapping[str, str] = field(default_factory=dict)


def choose_slots(devices: str | None, jobs: int | None, threads: int | None = None) -> list[Slot]:
    """Return the slots for the devices and the number of jobs asked for.

    ``devices`` is ``cpu``, or GPUs such as ``0,2``; by default all that are visible, else the
    processor. By default there is one job per GPU, else as many as the cores allow, and the cores
    are divided among them, or one each where their number follows from the cores.

    Raises:
        ConfigError: There is no such GPU, or a number is below 1.
    """
    given = {"jobs at a time": jobs, "threads of a job": threads}
    refuse_below(1, **{what: number for what, number in given.items() if number is not None})
    gpus = [] if devices == CPU else _gpus(devices)
    cores = available_cores()
    count = jobs or len(gpus) or max(1, cores // (threads or 1))
    threads = threads or max(1, cores // count)
    limits = dict.fromkeys(THREADS, str(threads))
    if not gpus:
        name = f"cpu, {threads} core{'' if threads == 1 else 's'}"
        return [Slot(name, {**limits, "CUDA_VISIBLE_DEVICES": ""})] * count
    chosen = (gpus[number % len(gpus)] for number in range(count))
    return [Slot(f"gpu {gpu}", {**limits, "CUDA_VISIBLE_DEVICES": gpu}) for gpu in chosen]


def _gpus(devices: str | None) -> list[str]:
    """Return the names of the GPUs asked for, as CUDA_VISIBLE_DEVICES takes them."""
    count = torch.cuda.device_count()
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    visible = [name.strip() for name in given.split(",") if name.strip()][:count]
    visible = visible or [str(number) for number in range(count)]
    if devices is None:
        return visible
    asked = [name.strip() for name in devices.split(",") if name.strip()]
    for name in asked:
        if not name.isdigit() or int(name) >= len(visible):
            raise ConfigError(
                f"--devices is {devices}: {name!r} is none of the {len(visible)} visible GPUs "
                f"(numbered from 0). Give their numbers, or {CPU}."
            )
    return [visible[int(name)] for name in asked]


def train(folder: Path, arguments: Sequence[str], callbacks: Sequence[pl.Callback] = ()) -> Outcome:
    """Train on one device and evaluate; go on from the last whole epoch where there is one."""
    options = ["--run_dir", str(folder), "--ckpt_path", "last", "--trainer.devices=1"]
    return run_experiment("fit", [*arguments, *options], callbacks)


def as_process(work: Callable[[], object]) -> int:
    """Do the work of a job's process, and say what is wrong with it; return the exit status."""
    end_with_parent()
    # a shell that starts a program behind itself lets it, and so its jobs, ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        work()
    except VocalSketchError as error:
        print(f"{ERROR}{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone.

    It holds this one's standard input open; what is interrupted so can be gone on with.
    """

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(folder: str, *arguments: str) -> None:
    """Train, as the pool starts it."""
    train(Path(folder), arguments)


if __name__ == "__main__":
    sys.exit(as_process(lambda: main(*sys.argv[1:])))
