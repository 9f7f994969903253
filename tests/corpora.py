"""Small corpora and configs that tests train on, in a second or two."""

from pathlib import Path

import numpy as np
import soundfile
import yaml

SOUNDS, IMITATIONS, RATE = 4, 3, 8000  # per category, per sound, hz


def tone(pitch: float, generator: np.random.Generator, seconds: float = 0.3) -> np.ndarray:
    """A decaying tone with a little noise."""
    time = np.arange(int(RATE * seconds)) / RATE
    noise = 0.01 * generator.standard_normal(len(time))
    return 0.5 * np.sin(2 * np.pi * pitch * time) * np.exp(-3 * time) + noise


def write_folder_corpus(root: Path, categories: tuple[str, ...] = ("bells", "horns")) -> Path:
    """Write tones and imitations of them, an octave down, in the folder layout."""
    generator = np.random.default_rng(0)
    for number, category in enumerate(categories):
        for sound in range(SOUNDS):
            stem, pitch = f"{category}{sound}", 300.0 * 1.3 ** (sound + 2 * number)
            path = root / "sounds" / category / f"{stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(pitch, generator), RATE)
            for take in range(IMITATIONS):
                voice = root / "imitations" / stem / f"{stem}-{take}.wav"
                voice.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(voice, tone(pitch / 2 * (1 + 0.01 * take), generator), RATE)
    return root


def write_config(path: Path, root: Path, **trainer: object) -> Path:
    """Write a config of a network small enough to train in a second."""
    front_end = {"class_path": "vocalsketch.features.cqt.CQT", "init_args": {"seconds": 3.36}}
    stages = [{"filters": 2, "kernel": [3, 3], "pool": [8, 8]}, {"filters": 2, "kernel": [3, 3]}]
    checkpoint = "pytorch_lightning.callbacks.ModelCheckpoint"
    config = {
        "seed_everything": 1,
        "data": {
            "class_path": "vocalsketch.datamodules.PairsDataModule",
            "init_args": {
                "root": str(root),
                "imitation_front_end": front_end,
                "recording_front_end": front_end,
                "batch_size": 8,
                "jobs": 1,
            },
        },
        "model": {
            "class_path": "vocalsketch.tasks.SiameseTask",
            "init_args": {
                "sharing": "tied",
                "imitation_tower": {"stages": stages},
                "hidden": [8, 4],
            },
        },
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": 2,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            "enable_model_summary": False,
            "enable_progress_bar": False,
            "logger": False,
            "callbacks": [
                {"class_path": "vocalsketch.callbacks.MRRPerCategory"},
                {
                    "class_path": checkpoint,
                    "init_args": {
                        "filename": "best",
                        "monitor": "val/loss",
                        "mode": "min",
                        "enable_version_counter": False,
                    },
                },
                {
                    "class_path": checkpoint,
                    "init_args": {
                        "filename": "last",
                        "save_on_train_epoch_end": True,
                        "enable_version_counter": False,
                    },
                },
            ],
            **trainer,
        },
    }
    path.write_text(yaml.safe_dump(config))
    return path
