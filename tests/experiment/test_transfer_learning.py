"""The whole chain: pre-train both towers, carry their layers over, train, test."""

from pathlib import Path

import pytest
import torch
from labelled_corpora import (
    write_classification_config,
    write_languages,
    write_transfer_config,
    write_urban,
)

from vocalsketch.callbacks import PreciseBatchNorm
from vocalsketch.errors import CheckpointError
from vocalsketch.experiment import Outcome, run_experiment
from vocalsketch.experiment.parser import ExperimentCLI
from vocalsketch.features.mel import ImitationLogMel, RecordingLogMel
from vocalsketch.systems.checkpoints import load_system, read_checkpoint

CONFIGS = Path(__file__).resolve().parents[2] / "conf"
LAYERS = {"none": None, "conv1": "conv1", "conv12": "conv12", "conv123": "conv123"}


def fit(config: Path, run_dir: Path, *options: str) -> Outcome:
    return run_experiment("fit", ["--config", str(config), "--run_dir", str(run_dir), *options])


@pytest.fixture
def transfer_config(tmp_path: Path, folder_corpus: Path) -> Path:
    """Two towers on two front ends, to be started from ``speech`` and ``urban``."""
    speech, urban = (tmp_path / name / "checkpoints" / "last.ckpt" for name in ("speech", "urban"))
    return write_transfer_config(tmp_path / "tl.yaml", folder_corpus, speech, urban)


def pretrain(tmp_path: Path) -> None:
    speech = write_languages(tmp_path / "voxforge")
    urban = write_urban(tmp_path / "urbansound8k")
    for name, data, root in (
        ("speech", "LanguageDataModule", speech),
        ("urban", "UrbanSoundDataModule", urban),
    ):
        config = write_classification_config(tmp_path / f"{name}.yaml", data, root, epochs=1)
        fit(config, tmp_path / name)


def test_layers_go_from_pre_training_to_a_tested_network(
    transfer_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain(tmp_path)
    run = tmp_path / "tl"
    outcome = fit(transfer_config, run)
    said = capsys.readouterr().out
    for side, name in (("imitation", "speech"), ("recording", "urban")):
        source = tmp_path / name / "checkpoints" / "last.ckpt"
        assert f"{side} conv2 (3x2x3x3, without batch norm) from {source}\n" in said
    assert set(outcome.results["test"]["categories"]) == {"bells", "horns"}

    path = run / "checkpoints" / "best.ckpt"
    report = read_checkpoint(path)["vocalsketch"]["provenance"]["transferred"]
    assert [(line["side"], line["layer"]) for line in report] == [
        *(("imitation", 1), ("imitation", 2)),
        *(("recording", 1), ("recording", 2)),
    ]
    trained = load_system(path)
    for side, name in (("imitation", "speech"), ("recording", "urban")):
        start = read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"]
        stages = getattr(trained, f"{side}_tower").stages
        # conv1 was frozen, conv2 went on from there
        assert torch.equal(stages[0].conv.weight, start["network.tower.stages.0.conv.weight"])
        assert not torch.equal(stages[1].conv.weight, start["network.tower.stages.1.conv.weight"])

    # to resume and to test, the pre-trained checkpoints need not be there any more
    (tmp_path / "speech" / "checkpoints" / "last.ckpt").unlink()
    fit(transfer_config, run, "--ckpt_path", "last", "--trainer.max_epochs", "3")
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["vocalsketch"]["provenance"][
        "transferred"
    ] == (report)
    tested = run_experiment(
        "test", ["--config", str(run / "config.yaml"), "--ckpt_path", str(path)]
    )
    assert tested.results["test"]["macro"] == outcome.results["test"]["macro"]
    with pytest.raises(CheckpointError, match="imitation tower is to start: train it with .*vox"):
        fit(transfer_config, tmp_path / "another")
    assert not (tmp_path / "another" / "config.yaml").exists()  # nothing was begun or computed


@pytest.mark.parametrize("name", LAYERS)
def test_the_shipped_configs_are_the_papers_network(
    name: str, folder_corpus: Path, tmp_path: Path
) -> None:
    options = ["--config", str(CONFIGS / f"tl_iminet_{name}.yaml"), "--trainer.logger", "false"]
    options += ["--data.init_args.root", str(folder_corpus), "--run_dir", str(tmp_path)]
    cli = ExperimentCLI("fit", options)
    assert sum(parameter.numel() for parameter in cli.model.parameters()) in (799_417, 799_945)
    assert (cli.model.transfer.layers if cli.model.transfer else None) == LAYERS[name]
    # each front end is the class's own: nothing is left of another class's defaults
    for side, expected in (("imitation", ImitationLogMel()), ("recording", RecordingLogMel())):
        assert getattr(cli.datamodule, f"{side}_front_end").describe() == expected.describe()
    group = cli.model.optimizer(cli.model.parameters()).param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.01, 0.9, True)
    assert group["weight_decay"] == 0.0
    assert cli.model.learning_rate_decay == 1e-4
    second = cli.model.system.recording_tower.stages[1].conv.weight
    assert second.is_contiguous(memory_format=torch.channels_last)
    assert (cli.trainer.max_epochs, cli.datamodule.batch_size) == (30, 128)
    assert not any("EarlyStopping" in type(each).__name__ for each in cli.trainer.callbacks)
    # what is ranked is what the last epoch leaves
    assert [each.monitor for each in cli.trainer.checkpoint_callbacks] == ["epoch", None]


@pytest.mark.parametrize(
    ("name", "data", "count"),
    [("voxforge", "languages", 845_655), ("urbansound8k", "urban", 241_434)],
)
def test_the_shipped_configs_pre_train_the_papers_towers(
    name: str, data: str, count: int, tmp_path: Path
) -> None:
    root = tmp_path / data
    if data == "languages":
        write_languages(root, ("nl", "en", "fr", "de", "it", "ru", "es"), speakers=1, clips=1)
    else:
        write_urban(root, tuple("abcdefghij"), folds=1)
    options = ["--config", str(CONFIGS / f"pretrain_{name}.yaml"), "--trainer.logger", "false"]
    options += ["--data.init_args.root", str(root), "--run_dir", str(tmp_path / "run")]
    cli = ExperimentCLI("fit", options)
    model = cli.model
    assert any(isinstance(each, PreciseBatchNorm) for each in cli.trainer.callbacks)
    assert model.network.tower.stages[1].conv.weight.is_contiguous(
        memory_format=torch.channels_last
    )
    norms = 2 * sum(stage.filters for stage in model.geometry.stages)
    expected = count + (norms if model.geometry.batch_norm else 0)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
