"""Counting trials, and who may still run one."""

import optuna
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from vocalsketch.sweep.storage import SURPLUS, Tally, is_within, take_tally


def trials_of(*states: TrialState) -> list[optuna.trial.FrozenTrial]:
    study = optuna.create_study()
    for state in states:
        value = 1.0 if state == TrialState.COMPLETE else None
        study.add_trial(optuna.create_trial(state=state, value=value))
    return study.get_trials()


def test_finished_are_complete_and_pruned() -> None:
    trials = trials_of(
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.RUNNING,
        TrialState.WAITING,
        TrialState.FAIL,
    )
    tally = take_tally(trials)
    assert tally == Tally(complete=2, pruned=1, running=1, waiting=1, failed=1, retried=0)
    assert tally.finished == 3


def test_an_attempt_that_was_tried_again_did_not_fail() -> None:
    trials = trials_of(TrialState.FAIL, TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE)
    trials[3].system_attrs = {"retry_history": [0, 1]}
    tally = take_tally(trials)
    assert (tally.failed, tally.retried, tally.finished) == (1, 2, 1)


def test_a_surplus_trial_is_not_counted() -> None:
    trials = trials_of(TrialState.COMPLETE, TrialState.FAIL)
    trials[1].user_attrs = {SURPLUS: True}
    assert take_tally(trials).failed == 0


def test_as_many_trials_may_run_as_are_asked_for_and_failed_ones_leave_room() -> None:
    trials = trials_of(TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING, TrialState.RUNNING)
    assert is_within(trials, 2, total=2)
    assert not is_within(trials, 3, total=2)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["ask", "claim", "finish", "fail"]), st.integers(0, 50))),
)
def test_never_more_than_the_total_finish_whatever_the_order_of_events(
    total: int, events: list[tuple[str, int]]
) -> None:
    """Any number of workers: each asks, then claims by ``is_within``, then finishes or fails."""
    trials: list[optuna.trial.FrozenTrial] = []
    claimed: set[int] = set()
    for event, choice in events:
        running = [t for t in trials if t.state == TrialState.RUNNING]
        if event == "ask":
            trial = optuna.create_trial(state=TrialState.RUNNING)
            trial.number = len(trials)
            trials.append(trial)
        elif running:
            trial = running[choice % len(running)]
            if event == "claim" and not is_within(trials, trial.number, total):
                trial.state = TrialState.FAIL
            elif event == "claim":
                claimed.add(trial.number)
            elif event == "fail":
                trial.state = TrialState.FAIL
            elif trial.number in claimed:
                trial.state = TrialState.COMPLETE
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) <= total
