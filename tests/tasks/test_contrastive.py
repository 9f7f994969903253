"""Training by contrast: on one process and on two, interrupted and not, and what it refuses."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import soundfile
import torch
import yaml
from corpora import RATE, tone, write_config
from mortal import Mortal

from vocalsketch.datamodules.contrastive import ContrastiveBatch
from vocalsketch.errors import CheckpointError, ConfigError, DatasetError
from vocalsketch.experiment import run_experiment
from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.mel import PreemphasisedMel
from vocalsketch.models import encoder
from vocalsketch.models.encoder import EncoderGeometry, MobileNet
from vocalsketch.systems.dual_encoder import DualEncoder
from vocalsketch.tasks import ContrastiveTask

CONFIGS = [
    path
    for path in sorted((Path(__file__).resolve().parents[2] / "conf").glob("*.yaml"))
    if "ContrastiveTask" in path.read_text()
]


def contrastive_config(path: Path, root: Path, **model: object) -> Path:
    """Write a config of an encoder small enough to train in a second."""
    settings = yaml.safe_load(write_config(path, root).read_text())
    front_end = {
        "class_path": "vocalsketch.features.audible_mel.AudibleMel",
        "init_args": {"seconds": 0.5, "bands": 16},
    }
    settings["data"] = {
        "class_path": "vocalsketch.datamodules.ContrastiveDataModule",
        "init_args": {
            "root": str(root),
            "imitation_front_end": front_end,
            "recording_front_end": front_end,
            "batch_size": 4,
            "imitations": 2,
            "jobs": 1,
        },
    }
    encoder = {"filters": [4, 6], "places": 4, "width": 8, "batch_norm": False}
    settings["model"] = {
        "class_path": "vocalsketch.tasks.ContrastiveTask",
        "init_args": {"encoder": encoder, "frames": 20, **model},
    }
    callbacks = settings["trainer"]["callbacks"]
    callbacks[1]["init_args"] |= {"monitor": "val/mrr", "mode": "max"}
    average = "pytorch_lightning.callbacks.EMAWeightAveraging"
    callbacks.append({"class_path": average, "init_args": {"decay": 0.5}})
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def config(tmp_path: Path, folder_corpus: Path) -> Path:
    return contrastive_config(tmp_path / "contrast.yaml", folder_corpus)


def fit(config: Path, folder: Path, *more: str) -> dict:
    arguments = ["--config", str(config), "--run_dir", str(folder), *more]
    return run_experiment("fit", arguments).results


def checkpoint(folder: Path, name: str = "last") -> dict:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def test_two_processes_take_the_same_steps_as_one(config: Path, tmp_path: Path) -> None:
    """Two sounds on each of two processes are a batch of four: rivals are gathered."""
    more = ["--model.init_args.triplet", "0.5", "--model.init_args.learn_temperature", "true"]
    more += ["--trainer.max_epochs", "4"]
    fit(config, tmp_path / "1", *more)
    more += ["--run_dir", str(tmp_path / "2"), "--data.init_args.batch_size", "2"]
    more += ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    Mortal(tmp_path / "life", ("fit", "--config", str(config), *more)).complete()
    one, two = checkpoint(tmp_path / "1"), checkpoint(tmp_path / "2")
    assert one["global_step"] == two["global_step"] == 4
    for name, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], value, rtol=1e-4, atol=1e-6, msg=name)
    results = [(tmp_path / name / "results_test.json").read_text() for name in "12"]
    assert yaml.safe_load(results[0])["categories"] == yaml.safe_load(results[1])["categories"]


def assert_alike(one: object, other: object, where: str = "") -> None:
    """Hold two checkpoints against each other, bit for bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_alike(value, other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_alike(*pair, f"{where}.{number}")


def test_seeds_of_a_training_have_the_same_imitations(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are made once; another synthesis has its own."""
    monkeypatch.setenv("VOCALSKETCH_CACHE", str(tmp_path / "cache"))
    made = ["--data.init_args.procedural", "4", "--data.init_args.people", "1"]
    made += ["--trainer.max_epochs", "1", "--test_after_fit", "false"]
    told = []
    for seed, synthesis, sets in (("0", "0", 1), ("1", "0", 1), ("0", "1", 2)):
        more = ["--seed_everything", seed, "--data.init_args.synthesis_seed", synthesis]
        told.append(fit(config, tmp_path / (seed + synthesis), *made, *more)["validation"])
        assert len(list((tmp_path / "cache" / "imitated").glob("*/imitations.csv"))) == sets
    assert told[0] != told[1] != told[2]


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a corpus this small is advised against
@pytest.mark.parametrize("shipped", CONFIGS, ids=lambda path: path.stem)
def test_every_config_goes_on_bit_for_bit(
    shipped: Path, folder_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, their running average, the optimizer and the rate; what it started from is kept."""
    root = str(folder_corpus)
    for variable in ("VOCALSKETCH_ROOT", "VIMSKETCH_ROOT", "QVIM_ROOT"):
        monkeypatch.setenv(variable, root)
    settings = yaml.safe_load(shipped.read_text().replace("mn10", "mn01"))
    monkeypatch.setattr(encoder, "CNN9_FILTERS", (2, 2, 2, 2))
    settings["data"]["init_args"] |= {"batch_size": 2, "split": "paper", "jobs": 1}
    settings["data"]["init_args"].pop("test_root", None)
    if "mn" in shipped.stem:  # as published they hear 10 s
        settings["data"]["init_args"]["imitation_front_end"]["init_args"] = {"seconds": 1.5}
        settings["model"]["init_args"]["frames"] = 150
    settings["trainer"] |= {"max_epochs": 2, "logger": False, "enable_progress_bar": False}
    if "procedural" in settings["data"]["init_args"]:
        settings["data"]["init_args"] |= {"procedural": 4, "people": 1}
    start = settings["model"]["init_args"].pop("start", None)
    config = tmp_path / shipped.name
    config.write_text(yaml.safe_dump(settings))
    if start:
        fit(config, tmp_path / "first", "--trainer.max_epochs", "1", "--test_after_fit", "false")
        settings["model"]["init_args"]["start"] = f"{tmp_path}/first/checkpoints/best.ckpt"
        config.write_text(yaml.safe_dump(settings))
    once = ["--test_after_fit", "false"]
    whole = fit(config, tmp_path / "whole", *once)

    class CtrlC(pl.Callback):
        def on_train_epoch_start(self, trainer: pl.Trainer, *_: object) -> None:
            if trainer.current_epoch == 1:
                raise KeyboardInterrupt

    run = ["--config", str(config), "--run_dir", str(tmp_path / "parts"), *once]
    with pytest.raises(KeyboardInterrupt):
        run_experiment("fit", run, [CtrlC()])
    if start:
        shutil.rmtree(tmp_path / "first")  # what it began from is not needed any more
    assert fit(config, tmp_path / "parts", *once, "--ckpt_path", "last") == whole
    one, other = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "parts")
    averaged = {"current_model_state", "averaging_state"} if "EMA" in shipped.read_text() else set()
    for part in averaged | {"state_dict", "optimizer_states", "lr_schedulers"}:
        assert_alike(one[part], other[part], part)
    assert one["vocalsketch"] == other["vocalsketch"]
    assert ("started_from" in other["vocalsketch"]["provenance"]) == bool(start)


def test_fit_ranks_the_averaged_weights_as_test_does(config: Path, tmp_path: Path) -> None:
    """Both halves are ranked with the weights that the best checkpoint is to be used with."""

    class Spoil(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            with torch.no_grad():  # what is trained ranks all alike, its average does not
                module.system.encoders["imitation"].projection.weight.zero_()

    arguments = ["--config", str(config), "--run_dir", str(tmp_path / "run")]
    fitted = run_experiment("fit", arguments, [Spoil()]).results
    for command, half in (("validate", "validation"), ("test", "test")):
        results = run_experiment(command, [*arguments, "--ckpt_path", "best"]).results
        assert results[half] == fitted[half]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.001}, "temperature is 0.001: give 0.01 or more"),
        ({"temperature": -1.0}, "temperature is -1.0: give 0.01 or more"),
        ({"warm_up": 1.0}, "warm_up is 1.0: give more than 0 and less than 1"),
        ({"triplet": -1.0}, "triplet is -1.0"),
    ],
)
def test_values_out_of_range_are_refused(change: dict, message: str) -> None:
    from vocalsketch.models.encoder import EncoderGeometry

    with pytest.raises(ConfigError, match=message):
        ContrastiveTask(EncoderGeometry(), **change)


def test_a_training_that_diverges_says_so_and_keeps_what_was_trained(
    config: Path, tmp_path: Path
) -> None:
    """A learned temperature cannot fall below 0.01, but weights can leave the numbers."""

    class Diverge(pl.Callback):
        def on_train_epoch_start(self, trainer: pl.Trainer, module: ContrastiveTask) -> None:
            if trainer.current_epoch == 1:
                module.log_heat.data.fill_(torch.nan)

    arguments = ["--config", str(config), "--run_dir", str(tmp_path / "run")]
    with pytest.raises(ConfigError, match="The loss became nan at step 1: lower the learning rate"):
        run_experiment("fit", arguments, [Diverge()])
    assert checkpoint(tmp_path / "run")["epoch"] == 0
    assert set(fit(config, tmp_path / "run", "--ckpt_path", "last")) == {"validation", "test"}


def test_a_start_that_does_not_fit_is_refused_before_anything_is_computed(
    config: Path, folder_corpus: Path, tmp_path: Path
) -> None:
    other = contrastive_config(tmp_path / "other.yaml", folder_corpus, view="own")
    fit(other, tmp_path / "other", "--trainer.max_epochs", "1", "--test_after_fit", "false")
    best = tmp_path / "other" / "checkpoints" / "best.ckpt"
    renamed = torch.load(best, weights_only=True)
    renamed["state_dict"] = {f"net.{key}": value for key, value in renamed["state_dict"].items()}
    torch.save(renamed, tmp_path / "renamed.ckpt")
    for start, message in (
        (best, "view is 'own' there and 'absolute' here"),
        (tmp_path / "renamed.ckpt", "renamed.ckpt is of another architecture: .* is missing there"),
        (tmp_path / "nowhere.ckpt", "No system at .*nowhere.ckpt"),
        ("contours", "system is 'contours' there and 'dual_encoder' here"),
    ):
        with pytest.raises(CheckpointError, match=message):
            fit(config, tmp_path / "run", "--model.init_args.start", str(start))
        assert not list((tmp_path / "run").glob("*.yaml"))


def test_one_sound_a_category_cannot_be_told_apart(config: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("bell", "horn"):
        for path in (f"sounds/{name}s/{name}.wav", f"imitations/{name}/1.wav"):
            (tmp_path / "corpus" / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / "corpus" / path, tone(300, generator), RATE)
    with pytest.raises(DatasetError, match="Category 'bells', 'horns' of .* has one sound"):
        fit(config, tmp_path / "run", "--data.init_args.root", str(tmp_path / "corpus"))


def test_folders_without_sounds_and_silence_cannot_be_trained_on(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="No sound lies in .*empty: give other folders"):
        fit(config, tmp_path / "run", "--data.init_args.sounds", f"[{tmp_path / 'empty'}]")
    soundfile.write(tmp_path / "empty" / "silence.wav", np.zeros(RATE), RATE)
    with pytest.raises(DatasetError, match="None of 1 sounds can be imitated.*it is silent"):
        fit(config, tmp_path / "run", "--data.init_args.sounds", f"[{tmp_path / 'empty'}]")
    with pytest.raises(DatasetError, match="nowhere"):
        fit(config, tmp_path / "run", "--data.init_args.sounds", f"[{tmp_path / 'nowhere'}]")


def batch_of(system: DualEncoder, classes: list[int]) -> ContrastiveBatch:
    """A batch of as many sounds, an imitation of each."""
    torch.manual_seed(0)
    numbers, kinds = torch.arange(len(classes)), torch.tensor(classes)
    bins, frames = system.front_ends["imitation"].shape
    clips = torch.rand(2, len(classes), bins, frames) * 80
    return ContrastiveBatch(clips[0], clips[1], numbers, numbers, kinds, kinds)


def task_of(**options: object) -> ContrastiveTask:
    torch.manual_seed(0)
    front_end = AudibleMel(seconds=0.5, bands=16)
    geometry = EncoderGeometry(filters=(4, 6), places=4, width=8, batch_norm=False)
    task = ContrastiveTask(
        geometry, imitation_front_end=front_end, recording_front_end=front_end, **options
    )
    task.trainer = pl.Trainer(logger=False, enable_checkpointing=False)
    task.log = lambda *_, **__: None
    return task


def test_sounds_of_the_targets_class_are_no_rivals_where_that_is_asked() -> None:
    task = task_of(mask_classes=True, symmetric=False)
    batch = batch_of(task.system, [0, 0, 1, 1])
    embedded = [task.system.embed("imitation", batch.imitations)]
    embedded.append(task.system.embed("recording", batch.recordings))
    similarities = (embedded[0] @ embedded[1].T / 0.07).exp()
    losses = []
    for row, rivals in enumerate(([2, 3], [2, 3], [0, 1], [0, 1])):
        own = similarities[row, row]
        losses.append(-(own / (own + similarities[row, rivals].sum())).log())
    torch.testing.assert_close(task.training_step(batch), torch.stack(losses).mean())
    unmasked = task_of(symmetric=False).training_step(batch)
    assert unmasked.detach() > task.training_step(batch).detach()


def test_the_rate_rises_and_comes_down_to_its_last_share() -> None:
    task = task_of(warm_up=0.25, last_rate=0.1)
    task.trainer = SimpleNamespace(estimated_stepping_batches=8)
    schedule = task.configure_optimizers()["lr_scheduler"]["scheduler"].lr_lambdas[0]
    rates = [schedule(step) for step in range(9)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[5] == pytest.approx(0.55)
    assert rates[8] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last_rate": 1.5}, "last_rate is 1.5"),
        ({"backbone_weights": "x.pt"}, "backbone_weights needs encoder.backbone"),
        (
            {"freeze_backbone": True},
            "freeze_backbone needs encoder.backbone, such as mn10 or aisfx",
        ),
    ],
)
def test_what_makes_no_recipe_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task_of(**options)


def test_a_backbone_begins_with_its_weights_or_says_that_it_does_not(tmp_path: Path) -> None:
    front_end = PreemphasisedMel(seconds=0.5)
    ends = {"imitation_front_end": front_end, "recording_front_end": front_end}
    geometry = EncoderGeometry(backbone="mn01", places=1, width=None)
    with pytest.warns(UserWarning, match="mn01 begins with random weights.*data download mn01"):
        ContrastiveTask(geometry, **ends).begin_training()
    released = {f"features.{name}": v for name, v in MobileNet("mn01").state_dict().items()}
    torch.save(released, tmp_path / "mn01.pt")
    task = ContrastiveTask(geometry, backbone_weights=str(tmp_path / "mn01.pt"), **ends)
    first = task.system.state_dict()["encoders.recording.convolutions.0.0.weight"].clone()
    task.begin_training()
    began = task.system.state_dict()
    assert not torch.equal(began["encoders.recording.convolutions.0.0.weight"], first)
    for side in ("imitation", "recording"):
        for name, value in released.items():
            own = name.replace("features", f"encoders.{side}.convolutions")
            torch.testing.assert_close(began[own], value)


def test_a_frozen_backbone_stays_and_is_credited(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and running means stay those of the release; the projection learns."""
    monkeypatch.setattr(encoder, "CNN9_FILTERS", (2, 2, 2, 2))
    released = {
        f"embedding_net.conv_block{block}.{kind}{number}.{name}": value
        for block, maps in enumerate(encoder.Cnn9(), start=1)
        for number, pair in enumerate(maps[:2], start=1)
        for kind, layer in (("conv", pair[0]), ("bn", pair[1]))
        for name, value in layer.state_dict().items()
    }
    torch.save(released, tmp_path / "aisfx.pt")
    settings = yaml.safe_load(config.read_text())
    settings["model"]["init_args"] |= {
        "encoder": {"backbone": "aisfx", "places": 2, "width": 8},
        "backbone_weights": str(tmp_path / "aisfx.pt"),
        "freeze_backbone": True,
    }
    config.write_text(yaml.safe_dump(settings))
    fit(config, tmp_path / "run", "--trainer.max_epochs", "2", "--test_after_fit", "false")
    held = checkpoint(tmp_path / "run")
    prefix = "system.encoders.recording.convolutions."
    found = {
        name.removeprefix(prefix): value
        for name, value in held["state_dict"].items()
        if name.startswith(prefix)
    }
    assert_alike(found, encoder.Cnn9.released(released))
    assert len(held["optimizer_states"][0]["state"]) == 4  # weight and bias of two projections
    assert "Ma and Lerch" in held["vocalsketch"]["provenance"]["licence"]
