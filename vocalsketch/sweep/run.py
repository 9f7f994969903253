"""Running a study on this machine, from the study file to the report."""

import time
from collections.abc import Sequence
from pathlib import Path

import optuna

from vocalsketch.errors import ConfigError
from vocalsketch.files import locked
from vocalsketch.jobs.job import Job, Slot
from vocalsketch.jobs.pool import End, Pool, Watcher
from vocalsketch.sweep.base import checked
from vocalsketch.sweep.definition import Definition, StudyError, open_study
from vocalsketch.sweep.report import summarise
from vocalsketch.sweep.storage import patiently
from vocalsketch.sweep.trials import Tally, retry_running, take_tally, workers_of
from vocalsketch.sweep.worker import STORAGE_VARIABLE

# W&B would list every installed package anew for each trial, in half a second; the summary run does
QUICK_START = {"WANDB__SAVE_REQUIREMENTS": "false"}
RESTARTS = 10  # of a worker that was killed
LOOK = 1.0  # seconds between looks at the study
SHOWN = ("complete", "pruned", "running", "failed")  # numbers of trials beside the progress bar


def run_study(definition: Definition, total: int, slots: Sequence[Slot]) -> tuple[Tally, bool]:
    """Run a study until ``total`` trials are complete or pruned, over all machines and restarts.

    Returns:
        The tally, and whether the total was reached; False where Ctrl-C came first.

    Raises:
        VocalSketchError: The study cannot be run.
    """
    folder = definition.folder
    with locked(folder / "lock", f"Another sweep runs in {folder}: wait, or give --folder."):
        definition = checked(definition)
        study = open_study(definition)
        if not study.get_trials(deepcopy=False) and any((folder / "trials").glob("*")):
            raise ConfigError(
                f"{folder / 'trials'} holds the trials of another study, but study "
                f"{definition.name!r} in the storage has none: choose another --folder, or remove "
                "it."
            )
        complete = run_workers(study, definition, total, slots)
        if complete:
            summarise(study, definition)
    return tally_of(study, definition), complete


def tally_of(study: optuna.Study, definition: Definition) -> Tally:
    """Count a study's trials."""
    return take_tally(patiently(lambda: study.get_trials(deepcopy=False), definition.url))


def run_workers(
    study: optuna.Study, definition: Definition, total: int, slots: Sequence[Slot]
) -> bool:
    """Work until the total is reached; return False where Ctrl-C or SIGTERM came first.

    Raises:
        StudyError: All workers ended before the total was reached.
        StorageError: The storage does not answer.
    """
    if tally_of(study, definition).finished >= total:
        return True
    watching = StudyWatcher(study, definition, total)
    with watching.bar:
        watching.retry(workers_of(definition.folder), "its worker is gone")
        jobs = [worker_job(definition, total, number) for number in range(len(slots))]
        try:
            failures = Pool(slots, watching, restarts=RESTARTS).run(jobs)
        except KeyboardInterrupt:
            watching.retry(workers_of(definition.folder), "interrupted")
            return False
    finished = tally_of(study, definition).finished
    if finished < total:
        reasons = dict.fromkeys(reason.rstrip(".") for _, reason in failures)
        raise StudyError(
            f"The workers ended with {finished} of {total} trials finished: "
            f"{'; '.join(reasons) or 'they were ended from outside'}. "
            f"What they said is in {definition.folder / 'workers'}; the same command goes on."
        )
    return True


def worker_job(definition: Definition, total: int, number: int) -> Job:
    """Return the job of a worker, whose state is the study's."""
    told = (definition.name, str(definition.folder), str(total), str(number))
    return Job(
        f"workers/{number}",
        Path(workers_of(definition.folder, number)),
        ("-m", "vocalsketch.sweep.worker", *told),
        environment={**QUICK_START, STORAGE_VARIABLE: definition.url},
    )


class StudyWatcher(Watcher):
    """Shows how far a study is, and puts back the trials of workers that were killed."""

    def __init__(self, study: optuna.Study, definition: Definition, total: int) -> None:
        super().__init__(total, tally_of(study, definition).finished, unit="trial")
        self.study = study
        self.definition = definition
        self.total = total
        self._looked = time.monotonic()

    def started(self, job: Job, slot: Slot) -> None:
        """Say nothing of it: trials count."""

    def ended(self, job: Job, end: End, reason: str) -> None:
        """Say what became of a worker; put the trial of a killed one back."""
        number = job.name.rpartition("/")[2]
        if reason.startswith("ended by"):
            self.say(f"Worker {number} was {reason}.")
            self.retry(str(job.folder), "its worker was killed")
        if end == "killed":
            self.say(f"Another worker takes place {number}.")

    def waited(self) -> None:
        """Show how far the study is, once a second."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        tally = tally_of(self.study, self.definition)
        self.bar.n = min(tally.finished, self.total)
        counts = {state: getattr(tally, state) for state in SHOWN}
        self.bar.set_postfix_str(", ".join(f"{n} {state}" for state, n in counts.items() if n))

    def retry(self, workers: str, why: str) -> None:
        """Put the trials of dead workers, whose names so begin, back into the queue."""
        for number in patiently(lambda: retry_running(self.study, workers), self.definition.url):
            self.say(f"Trial {number} is tried again: {why}.")
