"""Untrained networks in checkpoints, and libraries of a few short sounds."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import soundfile
import torch
from torch import Tensor

from vocalsketch.domain import SIDES
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.systems.siamese import Siamese, SiameseGeometry

RATE = 8000  # hz


@dataclass
class Pixels(FrontEnd):
    """Features of any shape: the waveform, cut into rows."""

    VERSION: ClassVar[int] = 1
    standardise = False

    bins: int
    frames: int
    sample_rate: int = 1

    def __post_init__(self) -> None:
        self.seconds = self.bins * self.frames

    @property
    def shape(self) -> tuple[int, int]:
        return self.bins, self.frames

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        return waveforms.view(-1, *self.shape)


def siamese(geometry: SiameseGeometry, front_end: FrontEnd | None = None) -> Siamese:
    """A network whose sides have one front end."""
    return Siamese(dict.fromkeys(SIDES, front_end or CQT()), geometry)


def write_checkpoint(path: Path, hidden: tuple[int, ...] = (8,), seed: int = 0) -> Path:
    """Write a checkpoint as a fit does, of a small network with random weights."""
    front_end = CQT(seconds=1.05)
    stages = [ConvStage(3, (3, 3), (8, 8)), ConvStage(2, (3, 3))]
    tower = TowerGeometry(stages)
    shape = front_end.shape
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = siamese(
            SiameseGeometry(shape, shape, tower, tower, "tied", hidden=hidden), front_end
        )
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    made = {"description": network.description(), "provenance": {"corpus": "folder"}}
    weights = {f"system.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": weights, "vocalsketch": made, "optimizer_states": [1]}, path)
    return path


def chirp(number: int, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    """A different sweep for each number, in noise: its quietest bins are far above rounding."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(number).uniform(-0.05, 0.05, len(time))
    start = 150.0 + 90.0 * number
    return 0.4 * np.sin(2 * np.pi * (start * time + 200.0 * (number % 3) * time**2)) + noise


def write_sound(path: Path, waveform: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform, rate)
    return path


def write_library(root: Path) -> Path:
    """Six sounds in three folders; one of 6.5 s, which has three windows."""
    for number, name in enumerate(
        ("Drums/Kick Drums/deep.wav", "Drums/Snares/tight.flac", "House/CarDoor.wav")
    ):
        write_sound(root / name, chirp(number))
    write_sound(root / "House/outdoor.ogg", chirp(3))
    write_sound(root / "House/door slam.aiff", chirp(4))
    steps = [chirp(number, 1.3) for number in (5, 8, 2, 9, 4)]
    write_sound(root / "long.wav", np.concatenate(steps))
    return root
