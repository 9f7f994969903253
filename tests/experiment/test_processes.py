"""Several processes train and evaluate as one does."""

from pathlib import Path

import pytest
import torch
import yaml
from labelled_corpora import write_classification_config, write_languages
from mortal import Mortal

from vocalsketch.experiment import run_experiment
from vocalsketch.systems.checkpoints import read_checkpoint

TWO_PROCESSES = [
    *("--trainer.devices", "2"),
    *("--trainer.accelerator", "cpu"),
    *("--trainer.strategy", "ddp"),
]


def fit_in_two_processes(config: Path, run_dir: Path, *options: str) -> None:
    """Fit with nothing cached before: the first process makes the features."""
    command = ("fit", "--config", str(config), *TWO_PROCESSES, "--run_dir", str(run_dir), *options)
    Mortal(run_dir.with_name("life"), command).complete()


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = (read_checkpoint(path)["state_dict"] for path in (one, other))
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_two_processes_take_the_same_steps_and_rank_the_same_as_one(
    tiny_config: Path, tmp_path: Path
) -> None:
    """Dropout and batch norm apart, a batch of 4 on each of two processes is one of 8."""
    config = yaml.safe_load(tiny_config.read_text())
    config["model"]["init_args"]["dropout"] = 0.0
    tiny_config.write_text(yaml.safe_dump(config))
    alone = run_experiment("fit", ["--config", str(tiny_config), "--run_dir", str(tmp_path / "1")])
    fit_in_two_processes(tiny_config, tmp_path / "2", "--data.init_args.batch_size", "4")

    checkpoints = [tmp_path / name / "checkpoints" / "last.ckpt" for name in "12"]
    assert_same_weights(*checkpoints)
    for half in ("validation", "test"):
        one, two = ((tmp_path / name / f"results_{half}.json").read_text() for name in "12")
        assert yaml.safe_load(two)["categories"] == yaml.safe_load(one)["categories"]
    losses = [
        next(
            float(state["current_score"])
            for name, state in torch.load(path, weights_only=True)["callbacks"].items()
            if "ModelCheckpoint" in name and state.get("monitor") == "val/loss"
        )
        for path in checkpoints
    ]
    assert losses[0] == pytest.approx(alone.metrics["val/loss"], rel=1e-6)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_two_processes_count_each_held_out_clip_once(tmp_path: Path) -> None:
    root = write_languages(tmp_path / "speech", speakers=3, clips=3)
    config = write_classification_config(
        tmp_path / "tower.yaml", "LanguageDataModule", root, epochs=1
    )
    run_experiment("fit", ["--config", str(config), "--run_dir", str(tmp_path / "1")])
    fit_in_two_processes(config, tmp_path / "2", "--data.init_args.batch_size", "2")

    assert_same_weights(*(tmp_path / name / "checkpoints" / "last.ckpt" for name in "12"))
    one, two = ((tmp_path / name / "accuracy_test.json").read_text() for name in "12")
    assert yaml.safe_load(one)["clips"] == 6
    assert two == one
