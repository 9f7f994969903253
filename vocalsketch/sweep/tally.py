"""How far a study is, and who may still run a trial."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from vocalsketch.sweep.retry import HISTORY

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
SURPLUS = "surplus"  # user attribute of a trial that came after the total was reached


@dataclass(frozen=True)
class Tally:
    """Trials of a study by what became of them.

    Attributes:
        complete: Trained and scored.
        pruned: Ended early, or impossible to build.
        running: Being trained.
        waiting: In the queue to be tried again.
        failed: Ended by an error, and not tried again.
        retried: Attempts that broke off; a later trial is their next attempt.
    """

    complete: int
    pruned: int
    running: int
    waiting: int
    failed: int
    retried: int

    @property
    def finished(self) -> int:
        """Trials that count towards the total: complete or pruned."""
        return self.complete + self.pruned


def take_tally(trials: Sequence[FrozenTrial]) -> Tally:
    """Count the trials of a study."""
    states = Counter(trial.state for trial in trials)
    again = {number for trial in trials for number in trial.system_attrs.get(HISTORY, [])}
    failed = [
        trial
        for trial in trials
        if trial.state == TrialState.FAIL and not trial.user_attrs.get(SURPLUS)
    ]
    retried = sum(trial.number in again for trial in failed)
    return Tally(
        complete=states[TrialState.COMPLETE],
        pruned=states[TrialState.PRUNED],
        running=states[TrialState.RUNNING],
        waiting=states[TrialState.WAITING],
        failed=len(failed) - retried,
        retried=retried,
    )


def is_within(trials: Sequence[FrozenTrial], number: int, total: int) -> bool:
    """Return whether trial ``number`` may run in a study of ``total`` finished trials.

    It may if fewer than ``total`` trials before it have not failed. Trials are numbered by the
    storage, one after the other, and a trial that failed stays so; hence no more than ``total``
    can finish however many workers ask at once: the last of ``total + 1`` would have found
    ``total`` before it.
    """
    before = sum(trial.number < number and trial.state != TrialState.FAIL for trial in trials)
    return before < total
