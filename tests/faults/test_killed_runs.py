"""Trainings that are killed ten times, or at ten moments, end as those that never were."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml
from corpora import write_config
from labelled_corpora import (
    write_classification_config,
    write_languages,
    write_transfer_config,
    write_urban,
)
from mortal import LIVES, PATIENCE, THOROUGH, Mortal, files_in, leftovers_in, moments

from vocalsketch.experiment import run_experiment
from vocalsketch.systems.checkpoints import read_checkpoint

Command = tuple[str, ...]


def iminet(tmp_path: Path, corpus: Path) -> Command:
    """A training that stops early, after two of many epochs."""
    path = write_config(tmp_path / "iminet.yaml", corpus, max_epochs=40)
    content = yaml.safe_load(path.read_text())
    stop = {"monitor": "val/loss", "patience": 1, "min_delta": 100.0}
    early = {"class_path": "pytorch_lightning.callbacks.EarlyStopping", "init_args": stop}
    content["trainer"]["callbacks"].insert(0, early)
    path.write_text(yaml.safe_dump(content))
    return ("fit", "--config", str(path), "--run_dir", "run", "--ckpt_path", "last")


def tl_iminet(tmp_path: Path, corpus: Path) -> Command:
    """A training that starts from two pre-trained towers."""
    checkpoints = []
    for name, data, root in (
        ("speech", "LanguageDataModule", write_languages(tmp_path / "voxforge")),
        ("urban", "UrbanSoundDataModule", write_urban(tmp_path / "urbansound8k")),
    ):
        config = write_classification_config(tmp_path / f"{name}.yaml", data, root, epochs=1)
        run = ["--config", str(config), "--run_dir", str(tmp_path / name)]
        run_experiment("fit", [*run, "--test_after_fit", "false"])
        checkpoints.append(tmp_path / name / "checkpoints" / "last.ckpt")
    path = write_transfer_config(tmp_path / "tl.yaml", corpus, *checkpoints)
    return ("fit", "--config", str(path), "--run_dir", "run", "--ckpt_path", "last")


def cross_validation(tmp_path: Path, corpus: Path) -> Command:
    """Two folds of two epochs."""
    root = write_urban(tmp_path / "urban")
    config = write_classification_config(tmp_path / "tower.yaml", "UrbanSoundDataModule", root)
    return ("crossvalidate", "--config", str(config), "--run_dir", "run", "--folds", "1", "2")


@pytest.mark.parametrize("made", [iminet, tl_iminet, cross_validation])
def test_a_killed_training_ends_as_one_that_was_not(
    made: Callable[[Path, Path], Command], folder_corpus: Path, tmp_path: Path
) -> None:
    command = made(tmp_path, folder_corpus)
    whole, killed = (Mortal(tmp_path / name, command) for name in ("whole", "killed"))
    changes = whole.changes()
    assert killed.killed_and_resumed(changes, seed=1) >= LIVES - 2
    runs_are_the_same(whole.folder, killed.folder)
    for number in moments(len(changes), THOROUGH, seed=2):
        once = Mortal(tmp_path / f"killed{number}", command)
        assert once.run(dies_at=number).status == -9
        once.complete()
        runs_are_the_same(whole.folder, once.folder)


def test_ctrl_c_twice_is_as_good_as_once(folder_corpus: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "tiny.yaml", folder_corpus, max_epochs=100_000)
    command = ("fit", "--config", str(config), "--run_dir", "run", "--ckpt_path", "last")
    mortal = Mortal(tmp_path / "interrupted", command)
    process = mortal.begin()
    last = mortal.folder / "run" / "checkpoints" / "last.ckpt"
    while not last.is_file():
        assert process.is_alive(), mortal.said()
        time.sleep(0.01)
    for _ in range(2):
        with suppress(ProcessLookupError):  # one that ended at the first needs no second
            os.kill(process.pid or 0, signal.SIGINT)
        time.sleep(0.05)
    process.join(PATIENCE)
    assert process.exitcode == 130, mortal.said()
    assert "Interrupted. Go on from the last whole epoch with: --run_dir run" in mortal.said()
    assert "Traceback" not in mortal.said()
    assert read_checkpoint(last)["epoch"] >= 0
    assert not leftovers_in(mortal.folder)


def runs_are_the_same(whole: Path, killed: Path) -> None:
    """Compare two runs file by file; nothing is left over in either."""
    one, other = whole / "run", killed / "run"
    assert files_in(one) == files_in(other)
    for name in sorted(files_in(one)):
        if name.endswith("environment.json"):
            continue  # it names the revision of the sources, which may be committed meanwhile
        if name.endswith("log.txt"):
            continue  # it says how often it was begun
        if name.endswith(".ckpt"):
            weights = [read_checkpoint(folder / name)["state_dict"] for folder in (one, other)]
            assert weights[0].keys() == weights[1].keys()
            for key, value in weights[0].items():
                assert torch.equal(value, weights[1][key]), f"{key} of {name}"
        else:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert files_in(killed / "tmp") <= {".ses"}  # which Lightning writes where it is imported
    # what is half written in the cache is cleared away when it is an hour old
    assert len(leftovers_in(killed / "cache")) <= LIVES
