"""A worker: one process that runs trial after trial until the study is complete."""

import copy
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from vocalsketch.errors import VocalSketchError
from vocalsketch.jobs.run import as_process
from vocalsketch.sweep.definition import StudyError, load_study
from vocalsketch.sweep.storage import STORAGE_FAULTS, Answer, patiently
from vocalsketch.sweep.trial import Objective, TrialFailedError
from vocalsketch.sweep.trials import (
    REASON,
    SURPLUS,
    experimental,
    requeue,
    retry_running,
    take_tally,
    workers_of,
)

STORAGE_VARIABLE = "VOCALSKETCH_SWEEP_STORAGE"  # in the environment: a url may hold a password
MAX_FAILURES = 10  # one after the other: then it is not the trials that fail
POLL = 1.0  # seconds between looks at a study whose last trials others run


class Worker:
    """Runs trials of a study in this process."""

    def __init__(
        self,
        study: optuna.Study,
        objective: Objective,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.study = study
        self.objective = objective
        self.sleep = sleep
        self.interrupted = False
        self.failures = 0

    def run(self) -> bool:
        """Run trials until the total is reached; return False where Ctrl-C came first."""
        total = self.objective.total
        while not self.interrupted:
            with experimental():
                self._ask(lambda: optuna.storages.fail_stale_trials(self.study))
            tally = take_tally(self._trials())
            if tally.finished >= total:
                return True
            if tally.finished + tally.running >= total:
                self.sleep(POLL)  # one of those may fail
            else:
                self._run_trial()
        return False

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Handle SIGINT: end a training at once, anything else when it is done."""
        self.interrupted = True
        if self.objective.training:
            raise KeyboardInterrupt

    def _ask(self, ask: Callable[[], Answer]) -> Answer:
        return patiently(ask, self.objective.definition.url, self.sleep)

    def _trials(self) -> list[FrozenTrial]:
        return self._ask(lambda: self.study.get_trials(deepcopy=False))

    def _run_trial(self) -> None:
        try:
            self.study.optimize(self.objective, n_trials=1, catch=(TrialFailedError,))
        except KeyboardInterrupt:
            self._give_back()
            self.interrupted = True
        except VocalSketchError:
            self._give_back()
            raise
        except STORAGE_FAULTS as error:
            print(f"The storage failed during a trial: {error}", flush=True)
            self._give_back()
        except (UpdateFinishedTrialError, ValueError):
            trial = self._own_trial()
            if trial is None or not trial.state.is_finished():
                raise
            print(f"Trial {trial.number} was taken over by another worker.", flush=True)
        else:
            self._count_failures()

    def _own_trial(self) -> FrozenTrial | None:
        """Return the trial that this process ran last, as the storage has it."""
        number = self.objective.number
        return None if number is None else self._trials()[number]

    def _give_back(self) -> None:
        """Queue the trial that broke off, to go on from its checkpoint; not its fault."""
        trial = self._own_trial()
        if trial is not None and trial.state == TrialState.FAIL:
            requeue(self.study, copy.deepcopy(trial), max_retry=None)
        self._ask(lambda: retry_running(self.study, self.objective.worker, max_retry=None))

    def _count_failures(self) -> None:
        trial = self._own_trial()
        if trial is None or trial.state != TrialState.FAIL:
            self.failures = 0
        elif not trial.user_attrs.get(SURPLUS):
            self.failures += 1
        if self.failures >= MAX_FAILURES and trial is not None:
            raise StudyError(
                f"{MAX_FAILURES} trials failed one after the other, the last one by: "
                f"{trial.user_attrs.get(REASON)}. Mend that and run the same command again."
            )


def main(name: str, folder: str, total: str, number: str) -> None:
    """Run a worker, as `vocalsketch sweep run` starts it, until the study is complete."""
    study, definition = load_study(name, os.environ[STORAGE_VARIABLE], Path(folder))
    worker = workers_of(definition.folder, int(number))
    running = Worker(study, Objective(definition, int(total), worker))
    signal.signal(signal.SIGINT, running.interrupt)
    if not running.run():
        raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(as_process(lambda: main(*sys.argv[1:])))
