"""IMISOUND: what each epoch trains, and what a clip becomes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from corpora import write_config
from scipy import stats
from scipy.spatial import distance

from vocalsketch.errors import ConfigError
from vocalsketch.experiment import run_experiment
from vocalsketch.features.mel import LogMel
from vocalsketch.models.autoencoder import clip_features
from vocalsketch.tasks.imisound import ImisoundTask


def front_end(bands: int) -> LogMel:
    return LogMel(4_000, 0.21, 40, bands, 0.0, 2_000.0, 21)


@pytest.fixture
def config(tmp_path: Path, folder_corpus: Path) -> Path:
    """A config that trains each of two layers for an epoch, and the whole for two."""
    path = write_config(tmp_path / "imisound.yaml", folder_corpus, max_epochs=4)
    content = yaml.safe_load(path.read_text())
    content["data"]["class_path"] = "vocalsketch.datamodules.ImitationsDataModule"
    content["data"]["init_args"]["batch_size"] = 4
    content["model"] = {
        "class_path": "vocalsketch.tasks.ImisoundTask",
        "init_args": {
            "hidden": [12, 6],
            "layer_epochs": 1,
            "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
        },
    }
    every = {"filename": "{epoch}", "save_top_k": -1, "save_on_train_epoch_end": True}
    checkpoint = "pytorch_lightning.callbacks.ModelCheckpoint"
    content["trainer"]["callbacks"][-1] = {"class_path": checkpoint, "init_args": every}
    path.write_text(yaml.safe_dump(content))
    return path


def fit(config: Path, folder: Path, *more: str):
    return run_experiment("fit", ["--config", str(config), "--run_dir", str(folder), *more])


def weights(folder: Path, epoch: int) -> dict[str, torch.Tensor]:
    path = folder / "checkpoints" / f"epoch={epoch}.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def test_layers_train_one_by_one_and_then_as_a_whole(config, tmp_path):
    fit(config, tmp_path / "run")
    states = [weights(tmp_path / "run", epoch) for epoch in range(4)]

    def moved(before, after):
        return {name.split(".")[3] for name in before if not torch.equal(before[name], after[name])}

    assert moved(states[0], states[1]) == {"1"}
    assert moved(states[1], states[2]) == {"0", "1"}
    assert moved(states[2], states[3]) == {"0", "1"}


def test_the_first_epochs_train_the_layer_nearest_the_spectrogram():
    task = ImisoundTask(hidden=[4, 3], layer_epochs=2)
    epochs = []
    for epoch in range(6):
        task.trainer = type("Trainer", (), {"current_epoch": epoch})()
        epochs.append(task.layer_alone)
    assert epochs == [0, 0, 1, 1, None, None]
    task.layer_epochs = 0
    assert task.layer_alone is None


def test_a_resumed_training_equals_one_that_was_not_interrupted(config, tmp_path):
    fit(config, tmp_path / "whole")
    begun = tmp_path / "whole" / "checkpoints" / "epoch=0.ckpt"
    fit(config, tmp_path / "resumed", "--ckpt_path", str(begun))
    for name, value in weights(tmp_path / "whole", 3).items():
        assert torch.equal(value, weights(tmp_path / "resumed", 3)[name]), name


def test_fit_ranks_both_halves_and_learns_to_reconstruct(config, tmp_path):
    short = fit(config, tmp_path / "short", "--trainer.max_epochs=3")
    long = fit(config, tmp_path / "long", "--trainer.max_epochs=10")
    assert set(long.results) == {"validation", "test"}
    assert long.results["test"]["categories"]["bells"]["queries"] == 6
    assert long.metrics["val/loss"] < 0.85 * short.metrics["val/loss"]


def test_a_clip_becomes_statistics_of_its_codes_and_their_deltas():
    torch.manual_seed(0)
    task = ImisoundTask(
        [5, 3],
        patch_frames=4,
        patch_hop=2,
        imitation_front_end=front_end(3),
        recording_front_end=front_end(3),
    )
    clips = torch.randn(2, 3, 21)
    clips[1, :, 9:] = clips[1].min()  # padding from frame 9 on
    vectors = task.system.embed("imitation", clips).detach().numpy()

    assert vectors.shape == (2, 36)
    starts = {0: range(0, 18, 2), 1: range(0, 10, 2)}
    for clip, begins in starts.items():
        image = clips[clip].double().numpy()
        codes = np.stack([image[:, begin : begin + 4].reshape(-1) for begin in begins])
        for layer in task.system.autoencoder.encoders:
            weight, bias = (value.detach().double().numpy() for value in layer.parameters())
            codes = 1 / (1 + np.exp(-(codes @ weight.T + bias)))
        ends = np.concatenate([codes[:1], codes, codes[-1:]])
        frames = np.concatenate([codes, (ends[2:] - ends[:-2]) / 2], axis=1)
        expected = np.concatenate(
            [
                frames.max(axis=0),
                frames.min(axis=0),
                frames.mean(axis=0),
                np.median(frames, axis=0),
                frames.std(axis=0),
                stats.iqr(frames, axis=0),
            ]
        )
        np.testing.assert_allclose(vectors[clip], expected / np.linalg.norm(expected), atol=1e-6)


def test_default_clips_have_7200_values_and_patches_1440():
    task = ImisoundTask()
    assert task.system.autoencoder.encoders[0].in_features == 1440
    assert task.system.embed("recording", torch.randn(1, 72, 129)).shape == (1, 7200)


def test_scores_are_cosine_similarities():
    system = ImisoundTask([4, 2]).system
    clips = torch.randn(8, 72, 129)
    windows, counts = system.cut(clips)
    features = clip_features(system.autoencoder.encode(windows), counts).detach().numpy()
    expected = 1 - distance.cdist(features[:3], features[3:], "cosine")
    heard = system.embed("imitation", clips[:3]), system.embed("recording", clips[3:])
    np.testing.assert_allclose(system.score(*heard).detach(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recording_front_end": front_end(128)}, "imitations have 72 bins, recordings 128"),
        ({"patch_frames": 130}, "Patches of 130 frames"),
        ({"layer_epochs": -1}, "layer_epochs is -1"),
        ({"hidden": []}, "at least one hidden layer"),
    ],
)
def test_what_cannot_be_used_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ImisoundTask(**arguments)


def test_a_schedule_that_never_trains_the_whole_is_refused(config, tmp_path):
    with pytest.raises(ConfigError, match="give more than 2 epochs"):
        fit(config, tmp_path / "run", "--trainer.max_epochs=2")
