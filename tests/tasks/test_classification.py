"""Pre-training of a tower, through the Trainer as `vocalsketch fit` runs it."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from labelled_corpora import write_classification_config, write_languages, write_urban

from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.experiment import Outcome, run_experiment
from vocalsketch.systems.checkpoints import read_checkpoint


def fit(config: Path, run_dir: Path, *options: str) -> Outcome:
    return run_experiment("fit", ["--config", str(config), "--run_dir", str(run_dir), *options])


@pytest.fixture
def languages_config(tmp_path: Path) -> Path:
    root = write_languages(tmp_path / "speech")
    return write_classification_config(
        tmp_path / "towers.yaml", "LanguageDataModule", root, epochs=8, validation_share=0.34
    )


def test_held_out_speakers_are_told_apart_and_the_figures_agree(
    languages_config: Path, tmp_path: Path
) -> None:
    """Two languages an octave and more apart: a tower that learns anything tells them apart."""
    outcome = fit(languages_config, tmp_path / "run")
    confusion = outcome.confusions["test"]
    assert confusion.classes == ("en", "nl")
    assert confusion.clips == 4
    assert confusion.accuracy == 1.0
    assert outcome.metrics["test/accuracy"] == confusion.accuracy
    assert outcome.metrics["test/accuracy/nl"] == confusion.per_class["nl"]
    assert outcome.metrics["val/accuracy"] == outcome.confusions["validation"].accuracy
    assert outcome.metrics["train/loss"] < 0.5

    written = json.loads((tmp_path / "run" / "accuracy_test.json").read_text())
    assert written["accuracy"] == 1.0
    assert written["confusion"] == [[2, 0], [0, 2]]
    assert written["corpus"] == "voxforge"
    rows = (tmp_path / "run" / "confusion_test.csv").read_text().split()
    assert rows == ["true", "class,en,nl", "en,2,0", "nl,0,2"]
    assert (tmp_path / "run" / "confusion_test.png").read_bytes().startswith(b"\x89PNG")


def test_a_checkpoint_holds_plain_values_and_tests_again_to_the_same(
    languages_config: Path, tmp_path: Path
) -> None:
    first = fit(languages_config, tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    made = read_checkpoint(path)["vocalsketch"]["description"]  # reads with weights_only=True
    assert made["system"] == "classifier"
    assert made["classes"] == ["en", "nl"]
    assert made["front_end"]["class"] == "ImitationLogMel"
    assert made["tower"]["stages"][0]["filters"] == 2
    again = run_experiment(
        "test",
        [
            *("--config", str(languages_config)),
            *("--run_dir", str(tmp_path / "2")),
            *("--ckpt_path", str(path)),
        ],
    )
    assert again.confusions["test"].counts.tolist() == first.confusions["test"].counts.tolist()
    assert again.metrics["test/loss"] == pytest.approx(first.metrics["test/loss"], rel=1e-6)


@pytest.mark.parametrize("precision", ["bf16-mixed"])
@pytest.mark.parametrize("loss", ["softmax", "sum_normalised_sigmoid"])
def test_both_losses_learn_in_half_precision_too(
    languages_config: Path, tmp_path: Path, loss: str, precision: str
) -> None:
    outcome = fit(
        languages_config,
        tmp_path / "run",
        *("--model.init_args.loss", loss),
        *("--trainer.precision", precision),
        *("--trainer.max_epochs", "16"),
    )
    assert outcome.confusions["test"].accuracy == 1.0


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    languages_config: Path, tmp_path: Path
) -> None:
    fit(languages_config, tmp_path / "whole")
    fit(languages_config, tmp_path / "parts", "--trainer.max_epochs", "3")
    fit(languages_config, tmp_path / "parts", "--ckpt_path", "last")
    whole, parts = (
        read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"]
        for name in ("whole", "parts")
    )
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-5, atol=1e-7, msg=name)


def test_the_checkpoint_of_another_tower_is_refused(languages_config: Path, tmp_path: Path) -> None:
    fit(languages_config, tmp_path / "run")
    config = yaml.safe_load(languages_config.read_text())
    config["model"]["init_args"]["tower"]["stages"][0]["filters"] = 5
    languages_config.write_text(yaml.safe_dump(config))
    checkpoint = str(tmp_path / "run" / "checkpoints" / "last.ckpt")
    with pytest.raises(CheckpointError, match="another architecture: network.tower.stages.0"):
        run_experiment("test", ["--config", str(languages_config), "--ckpt_path", checkpoint])


@pytest.mark.parametrize(
    ("command", "message"),
    [("validate", "No clips are kept for validation"), ("predict", "a classifier has none")],
)
def test_what_cannot_be_evaluated_is_refused(tmp_path: Path, command: str, message: str) -> None:
    root = write_urban(tmp_path / "urban")
    config = write_classification_config(
        tmp_path / "tower.yaml", "UrbanSoundDataModule", root, epochs=1
    )
    fit(config, tmp_path / "run", "--test_after_fit", "false")
    assert not (tmp_path / "run" / "accuracy_test.json").exists()
    checkpoint = str(tmp_path / "run" / "checkpoints" / "last.ckpt")
    with pytest.raises(ConfigError, match=message):
        run_experiment(command, ["--config", str(config), "--ckpt_path", checkpoint])
