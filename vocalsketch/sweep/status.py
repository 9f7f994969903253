"""What is going on in a study just now."""

import statistics
from collections.abc import Iterator, Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from vocalsketch.sweep.retry import WORKER
from vocalsketch.sweep.trial import OVERHEAD


def running_lines(trials: Sequence[FrozenTrial], now: datetime | None = None) -> Iterator[str]:
    """Yield a line for each running trial: who runs it, for how long."""
    now = now or datetime.now()
    for trial in trials:
        if trial.state == TrialState.RUNNING and trial.datetime_start is not None:
            minutes = (now - trial.datetime_start).total_seconds() / 60
            worker = trial.user_attrs.get(WORKER, "a worker that has just begun")
            yield f"trial {trial.number} runs for {minutes:.1f} min on {worker}"


def median_overhead(trials: Sequence[FrozenTrial]) -> float | None:
    """Return the median over trials of the seconds beyond training; None of no trial."""
    seconds = [
        float(trial.user_attrs[OVERHEAD])
        for trial in trials
        if trial.state == TrialState.COMPLETE and OVERHEAD in trial.user_attrs
    ]
    return statistics.median(seconds) if seconds else None
