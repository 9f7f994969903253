"""Workers: together they finish exactly as many trials as were asked for."""

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from standins import Runs

from vocalsketch.errors import AudioError, ConfigError
from vocalsketch.sweep.definition import Definition, StudyError, open_study
from vocalsketch.sweep.storage import open_storage, take_tally, workers_of
from vocalsketch.sweep.worker import MAX_FAILURES, Worker


@pytest.fixture
def worker(definition: Definition, tmp_path: Path) -> Callable[..., Worker]:
    """Make a worker of a study of ``total`` trials, each ending as the runs say."""

    def make(runs: Runs, total: int) -> Worker:
        own = dataclasses.replace(definition, folder=tmp_path)
        told = (own, total, workers_of(tmp_path, 0), runs, lambda seconds: time.sleep(0.01))
        return Worker(open_study(own), *told)

    return make


def states(worker: Worker) -> list[TrialState]:
    return [trial.state for trial in worker.study.get_trials()]


def test_many_workers_at_once_finish_exactly_the_total(
    worker: Callable[..., Worker],
) -> None:
    workers = [worker(Runs(), total=7) for _ in range(4)]  # each has a connection of its own
    threads = [threading.Thread(target=each.run) for each in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states(workers[0]).count(TrialState.COMPLETE) == 7
    assert sum(len(each.train.arguments) for each in workers) == 7


def test_a_larger_total_goes_on_and_a_reached_one_does_nothing(
    worker: Callable[..., Worker],
) -> None:
    assert worker(Runs(), total=2).run()
    assert worker(Runs(), total=3).run()
    last = worker(Runs(), total=3)
    assert last.run()
    assert last.train.arguments == []
    assert states(last) == [TrialState.COMPLETE] * 3


def test_impossible_geometries_count_and_failed_trials_do_not(
    worker: Callable[..., Worker],
) -> None:
    one = worker(Runs(0.5, ConfigError("does not fit"), MemoryError(), 0.25), total=3)
    assert one.run()
    tally = take_tally(one.study.get_trials())
    assert (tally.complete, tally.pruned, tally.failed) == (2, 1, 1)


def test_an_interrupted_trial_waits_and_the_next_worker_finishes_it(
    worker: Callable[..., Worker],
) -> None:
    first = worker(Runs(0.5, KeyboardInterrupt()), total=2)
    assert not first.run()
    assert states(first) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING]

    second = worker(Runs(0.25), total=2)
    assert second.run()
    assert states(second) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    again = second.study.get_trials()
    assert again[2].params == again[1].params


def test_bad_data_ends_the_worker_and_costs_no_trial(worker: Callable[..., Worker]) -> None:
    one = worker(Runs(AudioError("bad.wav cannot be read")), total=1)
    with pytest.raises(AudioError, match=r"bad\.wav"):
        one.run()
    assert states(one) == [TrialState.FAIL, TrialState.WAITING]


def test_a_study_whose_every_trial_fails_is_ended_with_the_reason(
    worker: Callable[..., Worker],
) -> None:
    one = worker(Runs(*[ValueError("a bug")] * (MAX_FAILURES + 5)), total=3)
    with pytest.raises(StudyError, match="10 trials failed one after the other.*a bug"):
        one.run()
    assert len(one.train.arguments) == MAX_FAILURES


def test_failures_between_successes_end_nothing(worker: Callable[..., Worker]) -> None:
    ends = ([ValueError("now and then")] * (MAX_FAILURES - 1) + [0.5]) * 2
    assert worker(Runs(*ends), total=2).run()


def test_a_trial_that_another_worker_took_over_meanwhile_is_left_to_it(
    worker: Callable[..., Worker],
) -> None:
    one = worker(Runs(), total=1)

    class TakenOver(Runs):
        def __call__(self, *args: object, **options: object) -> object:
            if not self.arguments:  # as after a heartbeat that did not come in time
                one.study.tell(0, state=TrialState.FAIL)
            return super().__call__(*args, **options)

    one.train = TakenOver()
    assert one.run()
    assert states(one) == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_stale_trial_of_another_machine_is_retried(
    definition: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with monkeypatch.context() as quick:
        quick.setattr("vocalsketch.sweep.storage.HEARTBEAT", 1)
        quick.setattr("vocalsketch.sweep.storage.GRACE", 1)
        storage = open_storage(url)
    definition = dataclasses.replace(definition, folder=tmp_path)
    study = open_study(definition)
    with pytest.warns(UserWarning, match="Heartbeat"):
        trial = study.ask()
    storage.record_heartbeat(trial._trial_id)
    study = optuna.load_study(study_name=definition.name, storage=storage)
    one = Worker(study, definition, 1, train=Runs())
    assert one.run()  # waits until no sign of life came for a second
    assert states(one) == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_study_of_another_space_is_refused(definition: Definition, tmp_path: Path) -> None:
    definition = dataclasses.replace(definition, folder=tmp_path)
    open_study(definition)
    other = dataclasses.replace(definition, space={"filters": definition.space["filters"]})
    with pytest.raises(ConfigError, match=r"exists with another space"):
        open_study(other)
