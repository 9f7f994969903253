"""Running a study on this machine, from the study file to the report."""

import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from tqdm import tqdm

from vocalsketch.errors import ConfigError
from vocalsketch.files import make_folder
from vocalsketch.jobs.job import Job, Slot
from vocalsketch.jobs.pool import End, Pool, Watcher
from vocalsketch.sweep.base import checked
from vocalsketch.sweep.definition import Definition
from vocalsketch.sweep.report import summarise
from vocalsketch.sweep.storage import (
    StudyError,
    check_exists,
    check_url,
    load_study,
    open_storage,
    open_study,
    patiently,
)
from vocalsketch.sweep.trials import Tally, left_on_this_host, retry_running, take_tally
from vocalsketch.sweep.worker import STORAGE_VARIABLE

# W&B would list every installed package anew for each trial, in half a second; the summary run does
QUICK_START = {"WANDB__SAVE_REQUIREMENTS": "false"}
RESTARTS = 10  # of a worker that was killed
LOOK = 1.0  # seconds between looks at the study
SHOWN = ("complete", "pruned", "running", "failed")  # numbers of trials beside the progress bar


@dataclass(frozen=True)
class Place:
    """Where a study is: its name, its storage, its folder on this machine."""

    name: str
    storage: str
    folder: Path

    def load(self) -> tuple[optuna.Study, Definition]:
        """Open the study, which exists, and its definition.

        Raises:
            ConfigError: There is no such study.
        """
        check_exists(self.storage)
        return patiently(lambda: load_study(open_storage(self.storage), self.name), self.storage)


def place_of(definition: Definition, storage: str | None, folder: Path | None) -> Place:
    """Return where a study is; ``runs/sweeps/NAME`` and a SQLite file there by default.

    Raises:
        ConfigError: The storage's url has another form.
    """
    folder = folder or Path("runs") / "sweeps" / definition.name
    url = storage or definition.storage or f"sqlite:///{folder / 'study.db'}"
    check_url(url)
    return Place(definition.name, url, folder)


def run_study(
    definition: Definition, place: Place, total: int, slots: Sequence[Slot]
) -> tuple[Tally, bool]:
    """Run a study until ``total`` trials are complete or pruned, over all machines and restarts.

    Returns:
        The tally, and whether the total was reached; False where Ctrl-C came first.

    Raises:
        VocalSketchError: The study cannot be run.
    """
    make_folder(place.folder)
    definition = checked(definition)
    storage = open_storage(place.storage)
    study = patiently(lambda: open_study(storage, definition), place.storage)
    if not study.get_trials(deepcopy=False) and any((place.folder / "trials").glob("*")):
        raise ConfigError(
            f"{place.folder / 'trials'} holds the trials of another study, but study "
            f"{place.name!r} in the storage has none: choose another --folder, or remove it."
        )
    complete = run_workers(study, place, total, slots)
    if complete:
        summarise(study, definition, place.folder)
    return tally_of(study, place), complete


def tally_of(study: optuna.Study, place: Place) -> Tally:
    """Count a study's trials."""
    return patiently(lambda: take_tally(study.get_trials(deepcopy=False)), place.storage)


def run_workers(
    study: optuna.Study,
    place: Place,
    total: int,
    slots: Sequence[Slot],
    say: Callable[[str], None] = tqdm.write,
) -> bool:
    """Work until the total is reached; return False where Ctrl-C or SIGTERM came first.

    Raises:
        StudyError: All workers ended before the total was reached.
        StorageError: The storage does not answer.
    """
    if tally_of(study, place).finished >= total:
        return True
    watcher = StudyWatcher(study, place, total, say)
    with watcher.bar:
        watcher.retry("its worker is gone")
        pool = Pool(slots, watcher, restarts=RESTARTS)
        try:
            failures = pool.run([worker_job(place, total, number) for number in range(len(slots))])
        except KeyboardInterrupt:
            watcher.retry("interrupted")
            return False
    finished = tally_of(study, place).finished
    if finished < total:
        reasons = dict.fromkeys(each.reason.rstrip(".") for each in failures)
        raise StudyError(
            f"The workers ended with {finished} of {total} trials finished: "
            f"{'; '.join(reasons) or 'they were ended from outside'}. "
            f"What they said is in {place.folder / 'workers'}; the same command goes on."
        )
    return True


def worker_job(place: Place, total: int, number: int) -> Job:
    """Return the job of a worker, whose state is the study's."""
    worker = ("-m", "vocalsketch.sweep.worker", place.name, str(place.folder), str(total))
    return Job(
        f"workers/{number}",
        place.folder / "workers" / f"{socket.gethostname()}-{number}",
        command=(sys.executable, *worker),
        environment={**QUICK_START, STORAGE_VARIABLE: place.storage},
    )


class StudyWatcher(Watcher):
    """Shows how far a study is, and puts back the trials of workers that were killed."""

    def __init__(
        self, study: optuna.Study, place: Place, total: int, say: Callable[[str], None]
    ) -> None:
        self.study = study
        self.place = place
        self.total = total
        self.say = say
        done = tally_of(study, place).finished
        self.bar = tqdm(total=total, initial=done, unit="trial", desc="trials")
        self._looked = time.monotonic()

    def ended(self, job: Job, end: End, seconds: float, reason: str) -> None:
        """Say what became of a worker; put the trial of a killed one back."""
        number = job.name.rpartition("/")[2]
        if reason.startswith("ended by"):
            self.say(f"Worker {number} was {reason}.")
            self.retry("its worker was killed")
        if end == "killed":
            self.say(f"Another worker takes place {number}.")

    def waited(self) -> None:
        """Show how far the study is, once a second."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        tally = tally_of(self.study, self.place)
        self.bar.n = min(tally.finished, self.total)
        counts = {state: getattr(tally, state) for state in SHOWN}
        self.bar.set_postfix_str(", ".join(f"{n} {state}" for state, n in counts.items() if n))

    def retry(self, why: str) -> None:
        """Put the trials of this host's dead workers back into the queue."""
        for number in patiently(
            lambda: retry_running(self.study, left_on_this_host), self.place.storage
        ):
            self.say(f"Trial {number} is tried again: {why}.")
