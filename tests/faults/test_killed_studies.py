"""Studies, whose trainings are processes of their own, killed whole or in part and resumed."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import yaml
from corpora import write_config
from mortal import PATIENCE, THOROUGH, Mortal, files_in, leftovers_in, started_by, until_gone
from optuna.trial import TrialState


def kill_when(mortal: Mortal, seen: Callable[[], bool], *, with_all_it_started: bool) -> bool:
    """Kill a command as soon as something is seen; return False where it ended before."""
    process = mortal.begin()
    end = time.monotonic() + PATIENCE
    while process.is_alive() and not seen() and time.monotonic() < end:
        time.sleep(0.01)
    started = started_by(mortal, process.pid or 0) if with_all_it_started else []
    process.kill()
    for each in started:
        os.kill(each, signal.SIGKILL)
    process.join()
    # what is left ends by itself when it sees that it is alone
    assert not until_gone(mortal, process.pid or 0, PATIENCE)
    return process.exitcode == -signal.SIGKILL


def some_time(draw: random.Random, seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + draw.uniform(0, seconds)
    return lambda: time.monotonic() > until


def disturb(mortal: Mortal, seen: list[Callable[[], bool]], seconds: float) -> None:
    """Kill a command at what is seen, and at random as often as asked for; bring it to its end."""
    for number, condition in enumerate(seen):
        assert kill_when(mortal, condition, with_all_it_started=bool(number % 2)), mortal.said()
    draw = random.Random(7)
    for number in range(THOROUGH):
        kill_when(mortal, some_time(draw, seconds), with_all_it_started=bool(number % 2))
    end = mortal.run()
    assert end.status == 0, end.said


def timed(mortal: Mortal) -> float:
    """Run a command to its end and return how many seconds it took."""
    began = time.monotonic()
    end = mortal.run()
    assert end.status == 0, end.said
    return time.monotonic() - began


def test_a_killed_table_ends_as_one_that_was_not(folder_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    write_config(tmp_path / "conf" / "iminet_tied.yaml", folder_corpus, max_epochs=6)
    command = ("reproduce", "table1", "--root", str(folder_corpus), "--out", "table")
    command += ("--conf", str(tmp_path / "conf"), "--rows", "iminet_tied", "--seeds", "1")
    command += ("--devices", "cpu", "--jobs", "1")
    whole, killed = (Mortal(tmp_path / name, command) for name in ("whole", "killed"))
    seconds = timed(whole)
    cell = killed.folder / "table" / "cells" / "iminet_tied" / "seed0"
    disturb(
        killed,
        [
            lambda: any(cell.glob("checkpoints/last.ckpt")),
            lambda: any(cell.glob("scores_test.npz")),
        ],
        seconds,
    )
    one, other = whole.folder / "table", killed.folder / "table"
    assert files_in(one) == files_in(other)
    run = Path("cells") / "iminet_tied" / "seed0"
    for name in ("results_test.json", "queries_test.csv", "scores_test.npz"):
        assert (one / run / name).read_bytes() == (other / run / name).read_bytes(), name
    assert (one / "table1.csv").read_bytes() == (other / "table1.csv").read_bytes()


def test_a_killed_sweep_has_the_trials_of_one_that_was_not(
    folder_corpus: Path, tmp_path: Path
) -> None:
    write_config(tmp_path / "tiny.yaml", folder_corpus, max_epochs=6)
    rate = {"key": "model.init_args.optimizer.init_args.lr", "type": "float", "log": True}
    space = {"rate": {**rate, "low": 1e-4, "high": 1e-2}}
    study: dict[str, object] = {"name": "tiny", "config": "tiny.yaml", "space": space}
    study["objective"] = {"metric": "val/loss", "direction": "minimize"}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    command = ("sweep", "run", str(tmp_path / "study.yaml"), "--folder", "study")
    command += ("--trials", "2", "--workers", "1")
    whole, killed = (Mortal(tmp_path / name, command) for name in ("whole", "killed"))
    seconds = timed(whole)
    trials = killed.folder / "study" / "trials"
    disturb(
        killed,
        [
            lambda: any(trials.glob("00000/seed_*/checkpoints/last.ckpt")),
            lambda: any(trials.glob("00001/seed_*/checkpoints/last.ckpt")),
        ],
        seconds,
    )
    one, other = finished(whole), finished(killed)
    assert len(one) == len(other) == 2
    # a retry keeps its parameters; a trial that is begun after one has another number, and others
    common = one.keys() & other.keys()
    assert len(common) == 2 or (THOROUGH and common)
    assert {rate: one[rate] for rate in common} == {rate: other[rate] for rate in common}
    assert not leftovers_in(killed.folder / "study")


def finished(mortal: Mortal) -> dict[float, float]:
    """Return the value of each finished trial by its rate; none runs or waits any more."""
    storage = f"sqlite:///{mortal.folder / 'study' / 'study.db'}"
    trials = optuna.load_study(study_name="tiny", storage=storage).get_trials()
    states = {trial.state for trial in trials}
    assert states <= {TrialState.COMPLETE, TrialState.FAIL}
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return {trial.params["rate"]: float(trial.value or 0) for trial in complete}
