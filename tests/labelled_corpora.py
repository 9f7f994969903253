"""Small stand-ins for VoxForge and UrbanSound8K, and configs that train on them in a second."""

import csv
from pathlib import Path

import numpy as np
import soundfile
import yaml
from corpora import write_config

RATE = 8000  # hz
STAGES = [{"filters": 2, "kernel": [3, 3], "pool": [4, 8]}, {"filters": 3, "kernel": [3, 3]}]


def tone(pitch: float, generator: np.random.Generator, seconds: float = 0.3) -> np.ndarray:
    """A tone with a little noise."""
    time = np.arange(int(RATE * seconds)) / RATE
    noise = 0.01 * generator.standard_normal(len(time))
    return 0.5 * np.sin(2 * np.pi * pitch * time) + noise


def write_languages(
    root: Path, languages: tuple[str, ...] = ("en", "nl"), speakers: int = 4, clips: int = 2
) -> Path:
    """Write submissions of one speaker each; languages differ in pitch."""
    generator = np.random.default_rng(0)
    for number, language in enumerate(languages):
        for speaker in range(speakers):
            folder = root / language / f"{language}person{speaker}-20200101-abc"
            (folder / "wav").mkdir(parents=True)
            (folder / "etc").mkdir()
            (folder / "etc" / "PROMPTS").write_text("a sentence\n")
            for clip in range(clips):
                pitch = 400.0 * 3**number + 10 * speaker + clip
                path = folder / "wav" / f"{clip}.wav"
                soundfile.write(path, tone(pitch, generator), RATE)
    return root


def write_urban(root: Path, classes: tuple[str, ...] = ("hum", "siren"), folds: int = 3) -> Path:
    """Write a clip of each class in each fold; classes differ in pitch."""
    generator = np.random.default_rng(0)
    rows = []
    for fold in range(1, folds + 1):
        for number, name in enumerate(classes):
            for take in range(2):
                file = f"{1000 * fold + take}-{number}-0-{take}.wav"
                path = root / "audio" / f"fold{fold}" / file
                path.parent.mkdir(parents=True, exist_ok=True)
                pitch = 200.0 * 8**number + 5 * fold + take
                soundfile.write(path, tone(pitch, generator), RATE)
                rows.append([file, 1000 * fold + take, 0, 0.3, 1, fold, number, name])
    table = root / "metadata" / "UrbanSound8K.csv"
    table.parent.mkdir()
    with table.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(
            ["slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"]
        )
        writer.writerows(rows)
    return root


def front_end(name: str = "ImitationLogMel") -> dict[str, object]:
    """A front end of 39 bands and 48 frames, 0.4 s."""
    values = {"seconds": 0.4, "window": 133, "frames": 48}
    if name == "RecordingLogMel":
        values |= {"sample_rate": 16_000, "bands": 39, "maximum_frequency": 5_000}
    return {"class_path": f"vocalsketch.features.mel.{name}", "init_args": values}


def write_classification_config(
    path: Path, data: str, root: Path, *, epochs: int = 2, **options: object
) -> Path:
    """Write a config that pre-trains a small tower.

    Args:
        path: Where to.
        data: ``LanguageDataModule`` or ``UrbanSoundDataModule``.
        root: The corpus.
        epochs: How long to train.
        options: Further arguments of the data module.
    """
    side = "ImitationLogMel" if data == "LanguageDataModule" else "RecordingLogMel"
    if data == "LanguageDataModule":
        options = {"languages": ["en", "nl"], **options}
    config = {
        "seed_everything": 1,
        "data": {
            "class_path": f"vocalsketch.datamodules.{data}",
            "init_args": {
                "root": str(root),
                "front_end": front_end(side),
                "batch_size": 4,
                "jobs": 1,
                **options,
            },
        },
        "model": {
            "class_path": "vocalsketch.tasks.ClassificationTask",
            "init_args": {
                "tower": {"stages": STAGES},
                "hidden": [8],
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
            },
        },
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": epochs,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            "enable_model_summary": False,
            "enable_progress_bar": False,
            "logger": False,
            "callbacks": [
                {
                    "class_path": "pytorch_lightning.callbacks.ModelCheckpoint",
                    "init_args": {
                        "filename": "last",
                        "save_on_train_epoch_end": True,
                        "enable_version_counter": False,
                    },
                }
            ],
        },
    }
    path.write_text(yaml.safe_dump(config))
    return path


def write_transfer_config(path: Path, corpus: Path, imitation: Path, recording: Path) -> Path:
    """Write a config of two towers on two front ends that start from pre-trained checkpoints.

    Args:
        path: Where to.
        corpus: Sounds and imitations.
        imitation: Checkpoint of the imitation tower.
        recording: Checkpoint of the recording tower.
    """
    config = yaml.safe_load(write_config(path, corpus).read_text())
    config["data"]["init_args"]["imitation_front_end"] = front_end("ImitationLogMel")
    config["data"]["init_args"]["recording_front_end"] = front_end("RecordingLogMel")
    config["model"]["init_args"] |= {
        "sharing": "untied",
        "imitation_tower": {"stages": STAGES},
        "recording_tower": {"stages": STAGES},
        "freeze": "conv1",
        "transfer": {
            "layers": "conv12",
            "imitation": str(imitation),
            "recording": str(recording),
        },
    }
    path.write_text(yaml.safe_dump(config))
    return path
