"""Cross-validation: a fresh model per fold, and folds that are done stay done."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from labelled_corpora import write_classification_config, write_languages, write_urban

from vocalsketch.commands import crossvalidate
from vocalsketch.commands.actions import declare
from vocalsketch.errors import AudioError, ConfigError
from vocalsketch.experiment import run_experiment
from vocalsketch.jobs.cross_validation import cross_validate, figures
from vocalsketch.systems.checkpoints import read_checkpoint
from vocalsketch.tasks.classification import Confusion

pytestmark = pytest.mark.usefixtures("jobs_here")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    root = write_urban(tmp_path / "urban")
    return write_classification_config(tmp_path / "tower.yaml", "UrbanSoundDataModule", root)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]


def test_each_fold_is_what_its_training_alone_would_be(config: Path, tmp_path: Path) -> None:
    """The second fold starts afresh: nothing of the first fold's model is carried over."""
    arguments = ["--config", str(config)]
    result = cross_validate(arguments, tmp_path / "cv", [1, 2, 3])
    alone = run_experiment(
        "fit", [*arguments, "--data.init_args.fold", "2", "--run_dir", str(tmp_path / "alone")]
    )
    assert result[2].counts.tolist() == alone.confusions["test"].counts.tolist()
    for name, value in weights(tmp_path / "alone").items():
        assert torch.equal(weights(tmp_path / "cv" / "fold2")[name], value), name

    written = json.loads((tmp_path / "cv" / "cross_validation.json").read_text())
    accuracies = [confusion.accuracy for confusion in result.values()]
    assert list(written["accuracy"].values()) == accuracies
    assert written["mean"] == pytest.approx(np.mean(accuracies))
    assert written["all"]["clips"] == 12
    assert (tmp_path / "cv" / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_folds_that_are_done_are_not_done_again(config: Path, tmp_path: Path) -> None:
    arguments = ["--config", str(config)]
    first = cross_validate(arguments, tmp_path / "cv", [1, 2])
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cv/*/accuracy_test.json")}
    again = cross_validate(arguments, tmp_path / "cv", [1, 2])
    assert [each.accuracy for each in again.values()] == [e.accuracy for e in first.values()]
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_fold_that_stopped_in_its_first_epoch_is_begun_again(
    config: Path, tmp_path: Path
) -> None:
    arguments = ["--config", str(config)]
    cross_validate(arguments, tmp_path / "cv", [1])
    stopped = tmp_path / "cv" / "fold2" / "config.yaml"
    stopped.parent.mkdir()
    stopped.write_text("seed_everything: 1\n")
    result = cross_validate(arguments, tmp_path / "cv", [1, 2])
    assert list(result) == [1, 2]


def test_a_fold_that_was_interrupted_goes_on_from_its_last_epoch(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--config", str(config)]
    folder = tmp_path / "cv" / "fold2"

    def interrupted(run_dir: Path, given: tuple[str, ...]) -> None:
        stopped = ["--trainer.max_epochs", "1", "--test_after_fit", "false"]
        run_experiment("fit", [*given, "--run_dir", str(run_dir), *stopped])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("vocalsketch.jobs.job.train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(arguments, tmp_path / "cv", [2])
    begun = (folder / "checkpoints" / "last.ckpt").stat().st_ino
    assert read_checkpoint(folder / "checkpoints" / "last.ckpt")["epoch"] == 0
    cross_validate(arguments, tmp_path / "cv", [1, 2])
    assert begun != (folder / "checkpoints" / "last.ckpt").stat().st_ino
    assert not (folder.parent / "replaced").exists()
    fold = ["--data.init_args.fold", "2"]
    run_experiment("fit", [*arguments, *fold, "--run_dir", str(tmp_path / "whole")])
    checkpoints = [
        read_checkpoint(folder / "checkpoints" / "last.ckpt")
        for folder in (tmp_path / "cv" / "fold2", tmp_path / "whole")
    ]
    assert checkpoints[0]["global_step"] == checkpoints[1]["global_step"]
    for name, value in checkpoints[1]["state_dict"].items():
        torch.testing.assert_close(checkpoints[0]["state_dict"][name], value, msg=name)


def test_audio_that_cannot_be_used_is_said_before_any_fold_is_trained(
    config: Path, tmp_path: Path
) -> None:
    arguments = ["--config", str(config)]
    clips = sorted((tmp_path / "urban").rglob("fold2/*.wav"))
    content = clips[0].read_bytes()
    clips[0].write_bytes(b"no audio")
    with pytest.raises(AudioError, match="fold2"):
        cross_validate(arguments, tmp_path / "cv", [1, 2])
    clips[0].write_bytes(content)
    assert list(cross_validate(arguments, tmp_path / "cv", [1, 2])) == [1, 2]


def test_folds_of_another_config_and_what_else_lies_there_are_set_aside(
    config: Path, tmp_path: Path
) -> None:
    arguments, folder = ["--config", str(config)], tmp_path / "cv"
    cross_validate(arguments, folder, [1])
    before = (folder / "fold1" / "config.yaml").read_text()
    (folder / "fold2").mkdir()
    (folder / "fold2" / "precious.txt").write_text("mine")
    cross_validate([*arguments, "--trainer.max_epochs", "1"], folder, [1, 2])
    assert (folder / "replaced" / "fold1-1" / "config.yaml").read_text() == before
    assert (folder / "replaced" / "fold2-1" / "precious.txt").read_text() == "mine"
    assert (
        yaml.safe_load((folder / "fold1" / "config.yaml").read_text())["trainer"]["max_epochs"] == 1
    )


@pytest.mark.parametrize("folds", [[0], [11], [1, 1], []])
def test_folds_that_do_not_exist_are_refused(
    config: Path, tmp_path: Path, folds: list[int]
) -> None:
    with pytest.raises(ConfigError, match="name folds 1 to 10, each once"):
        cross_validate(["--config", str(config)], tmp_path / "cv", folds)


def test_a_config_without_folds_is_refused(tmp_path: Path) -> None:
    root = write_languages(tmp_path / "speech")
    config = write_classification_config(tmp_path / "tower.yaml", "LanguageDataModule", root)
    with pytest.raises(ConfigError, match="LanguageDataModule has no folds"):
        cross_validate(["--config", str(config)], tmp_path / "cv", [1])


def test_mean_and_deviation_by_hand() -> None:
    def fold(right: int, wrong: int) -> Confusion:
        return Confusion(("a", "b"), np.array([[right, wrong], [0, 0]]))

    found = figures({1: fold(1, 1), 2: fold(3, 1), 3: fold(1, 0)})
    assert found["accuracy"] == {"1": 0.5, "2": 0.75, "3": 1.0}
    assert found["mean"] == 0.75
    assert found["standard_deviation"] == 0.25  # sqrt((0.25^2 + 0 + 0.25^2) / 2)
    assert figures({1: fold(1, 1)})["standard_deviation"] == 0.0


def test_the_command_takes_overrides_after_two_dashes(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    declare(parser, crossvalidate)
    arguments = ["--config", str(config), "--run_dir", str(tmp_path / "cv"), "--folds", "3"]
    status = crossvalidate.run(parser.parse_args([*arguments, "--", "--trainer.max_epochs", "1"]))
    assert status == 0
    written = yaml.safe_load((tmp_path / "cv" / "fold3" / "config.yaml").read_text())
    assert written["trainer"]["max_epochs"] == 1
    assert "standard deviation" in capsys.readouterr().out
