"""Studies, whose trainings are processes of their own, killed whole or in part and resumed."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
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


def disturb(mortal: Mortal, seen: list[Callable[[], bool]]) -> None:
    """Kill a command at what is seen, one life after the other, and bring it to its end."""
    for number, condition in enumerate(seen):
        assert kill_when(mortal, condition, with_all_it_started=bool(number % 2)), mortal.said()
    mortal.complete()


def killed_at_random(mortal: Mortal, seconds: float) -> Iterator[Mortal]:
    """Kill a command that takes some seconds as often as asked for; yield it brought to its end.

    First in one folder, one life after the other; then each time in a folder of its own.
    """
    draw = random.Random(7)
    kills = 0
    for number in range(THOROUGH):
        moment = some_time(draw, seconds / 2)
        kills += kill_when(mortal, moment, with_all_it_started=bool(number % 2))
    if THOROUGH:
        mortal.complete()
        yield mortal
    for number in range(THOROUGH):
        once = replace(mortal, folder=mortal.folder.with_name(f"once{number}"))
        moment = some_time(draw, seconds)
        kills += kill_when(once, moment, with_all_it_started=bool(number % 2))
        once.complete()
        yield once
    print(f"{mortal.command[0]}: {kills} of {2 * THOROUGH} kills came before its end")


def an_hour_later(mortal: Mortal, folder: Path) -> None:
    """Run a command again, which is done, when what its killed lives left half written is old."""
    left = leftovers_in(folder)
    assert len(left) <= THOROUGH + 2
    for name in left:
        os.utime(folder / name, (time.time() - 3700,) * 2)
    if left:
        mortal.complete()


def timed(mortal: Mortal) -> float:
    """Run a command to its end and return how many seconds it took."""
    replace(mortal, command=("--version",)).run()  # starts what commands are forked from
    began = time.monotonic()
    mortal.complete()
    return time.monotonic() - began


def test_a_killed_table_ends_as_one_that_was_not(folder_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    write_config(tmp_path / "conf" / "iminet_tied.yaml", folder_corpus, max_epochs=6)
    command = ("reproduce", "table1", "--root", str(folder_corpus), "--out", "table")
    command += ("--conf", str(tmp_path / "conf"), "--rows", "iminet_tied", "--seeds", "1")
    command += ("--devices", "cpu", "--jobs", "1")
    names = ("whole", "seen", "lives")
    whole, seen, lives = (Mortal(tmp_path / name, command) for name in names)
    seconds = timed(whole)
    cell = seen.folder / "table" / "cells" / "iminet_tied" / "seed0"
    disturb(
        seen,
        [
            lambda: any(cell.glob("checkpoints/last.ckpt")),
            lambda: any(cell.glob("scores_test.npz")),
        ],
    )
    for killed in (seen, *killed_at_random(lives, seconds)):
        one, other = whole.folder / "table", killed.folder / "table"
        an_hour_later(killed, other)
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
    study["objective"] = "val/loss"
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    command = ("sweep", "run", str(tmp_path / "study.yaml"), "--folder", "study")
    command += ("--trials", "2", "--workers", "1")
    names = ("whole", "seen", "lives")
    whole, seen, lives = (Mortal(tmp_path / name, command) for name in names)
    seconds = timed(whole)
    trials = seen.folder / "study" / "trials"
    disturb(
        seen,
        [
            lambda: any(trials.glob("00000/seed_*/checkpoints/last.ckpt")),
            lambda: any(trials.glob("0000[1-9]/seed_*/checkpoints/last.ckpt")),
        ],
    )
    one = finished(whole)
    for killed in (seen, *killed_at_random(lives, seconds)):
        an_hour_later(killed, killed.folder / "study")
        other = finished(killed)
        assert len(other) == len(one) == 2
        # a retry keeps its parameters; a trial that is begun after one has another number, and
        # others
        common = one.keys() & other.keys()
        assert common
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
