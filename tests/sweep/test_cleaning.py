"""Clearing up after failed trials."""

from pathlib import Path

import optuna
from optuna.trial import TrialState

from vocalsketch.sweep.storage import WORKER, prune_failed, requeue, trial_folder


def test_folders_of_failed_trials_go_and_those_still_needed_stay(
    study: optuna.Study, tmp_path: Path
) -> None:
    for number in range(4):
        study.ask()
        folder = trial_folder(tmp_path, number)
        folder.mkdir(parents=True)
        (folder / "last.ckpt").write_bytes(b"x" * 100)
    study.tell(0, 0.5)
    study.tell(1, state=TrialState.FAIL)
    study.tell(2, state=TrialState.FAIL)
    requeue(study, study.get_trials()[2])  # goes on in the folder of its first attempt
    study.ask()
    study.tell(4, 0.25)
    running = optuna.trial.Trial(study, study.get_trials()[3]._trial_id)
    running.set_user_attr(WORKER, "another-host/1/1")

    assert prune_failed(study, tmp_path) == [trial_folder(tmp_path, 1)]
    assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == [
        "00000",
        "00002",
        "00003",
    ]
