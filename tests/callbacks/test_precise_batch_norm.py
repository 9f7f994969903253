"""Batch norm's statistics after a short training."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from labelled_corpora import write_classification_config, write_languages

from vocalsketch.callbacks import PreciseBatchNorm
from vocalsketch.callbacks.training import average_over_processes
from vocalsketch.datamodules import LanguageDataModule
from vocalsketch.errors import ConfigError
from vocalsketch.experiment import run_experiment
from vocalsketch.experiment.parser import ExperimentCLI
from vocalsketch.systems.checkpoints import read_checkpoint

CALLBACK = {"class_path": "vocalsketch.callbacks.PreciseBatchNorm"}
WHOLE = 100  # more clips than there are: all of them in one batch


@pytest.fixture
def config(tmp_path: Path) -> dict:
    path = write_classification_config(
        tmp_path / "tower.yaml", "LanguageDataModule", write_languages(tmp_path / "speech")
    )
    values = yaml.safe_load(path.read_text())
    values["model"]["init_args"]["tower"]["batch_norm"] = True
    values["data"]["init_args"]["batch_size"] = WHOLE
    return values


def trained(config: dict, folder: Path, *options: str) -> dict[str, torch.Tensor]:
    folder.mkdir(exist_ok=True)
    path = folder / "tower.yaml"
    path.write_text(yaml.safe_dump(config))
    run_experiment("fit", ["--config", str(path), "--run_dir", str(folder / "run"), *options])
    return read_checkpoint(folder / "run" / "checkpoints" / "last.ckpt")["state_dict"]


def training_clips(config: dict, folder: Path) -> torch.Tensor:
    cli = ExperimentCLI("fit", ["--config", str(folder / "tower.yaml"), "--run_dir", str(folder)])
    assert isinstance(cli.datamodule, LanguageDataModule)
    cli.datamodule.setup("fit")
    (batch,) = cli.datamodule.train_dataloader()
    return batch.features


def test_they_become_those_of_the_training_clips_and_nothing_else_changes(
    config: dict, tmp_path: Path
) -> None:
    plain = trained(config, tmp_path / "plain")
    config["trainer"]["callbacks"].append(CALLBACK)
    precise = trained(config, tmp_path / "precise")
    for name, value in plain.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(precise[name], value, msg=name)

    prefix = "network.tower.stages.0."
    clips = training_clips(config, tmp_path / "precise")
    weight, bias = precise[prefix + "conv.weight"], precise[prefix + "conv.bias"]
    outputs = torch.nn.functional.conv2d(clips[:, None], weight, bias)
    mean, variance = outputs.mean((0, 2, 3)), outputs.var((0, 2, 3))
    torch.testing.assert_close(precise[prefix + "norm.running_mean"], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(precise[prefix + "norm.running_var"], variance, rtol=1e-4, atol=1e-5)
    # two steps with Keras' momentum have hardly left their initial value of 1
    assert (plain[prefix + "norm.running_var"] - 1).abs().max() < 0.02
    assert (variance - 1).abs().max() > 0.3


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    config: dict, tmp_path: Path
) -> None:
    config["trainer"]["callbacks"].append(CALLBACK)
    config["model"]["init_args"]["dropout"] = 0.5  # draws while the statistics are estimated too
    whole = trained(config, tmp_path / "whole")
    trained(config, tmp_path / "parts", "--trainer.max_epochs", "1")
    parts = trained(config, tmp_path / "parts", "--ckpt_path", "last")
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, msg=name)


def test_other_systems_are_refused(tiny_config: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(tiny_config.read_text())
    values["trainer"]["callbacks"].append(CALLBACK)
    tiny_config.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match="pre-training of towers; SiameseTask is none"):
        run_experiment("fit", ["--config", str(tiny_config), "--run_dir", str(tmp_path / "run")])


def test_several_processes_share_the_mean_of_their_statistics() -> None:
    """Each would otherwise evaluate its clips with statistics of its own."""
    norm = torch.nn.BatchNorm2d(2)
    norm.running_mean = torch.tensor([1.0, 2.0])
    norm.running_var = torch.tensor([3.0, 4.0])
    asked = []

    def reduce(value: torch.Tensor, reduce_op: str) -> torch.Tensor:
        asked.append(reduce_op)
        return (value + 2 * value) / 2  # the other process has twice as much

    trainer = SimpleNamespace(strategy=SimpleNamespace(reduce=reduce))
    average_over_processes(trainer, torch.nn.Sequential(norm, torch.nn.ReLU()))
    assert norm.running_mean.tolist() == [1.5, 3.0]
    assert norm.running_var.tolist() == [4.5, 6.0]
    assert asked == ["mean", "mean"]


def test_no_batches_are_refused() -> None:
    with pytest.raises(ConfigError, match="batches is 0"):
        PreciseBatchNorm(0)
