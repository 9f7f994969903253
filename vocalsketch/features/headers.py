"""What the headers of audio files say: length, sample rate, channels."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from vocalsketch.datasets.inventory import Inventory
from vocalsketch.errors import AudioError
from vocalsketch.features.audio import opened_audio


@dataclass
class Headers:
    """The headers of several files."""

    files: int = 0  # unreadable ones included
    seconds: float = 0.0  # in all
    sample_rates: Counter[int] = field(default_factory=Counter)  # hertz -> number of files
    channels: Counter[int] = field(default_factory=Counter)  # number of channels -> of files
    unreadable: list[str] = field(default_factory=list)  # ids of those whose header cannot be read

    def read(self, name: str, file: Path | BinaryIO) -> None:
        """Add the header of one more file."""
        self.files += 1
        try:
            with opened_audio(file, name) as audio:
                self.seconds += audio.frames / audio.samplerate
                self.sample_rates[audio.samplerate] += 1
                self.channels[audio.channels] += 1
        except AudioError:
            self.unreadable.append(name)

    def __add__(self, other: "Headers") -> "Headers":
        return Headers(
            self.files + other.files,
            self.seconds + other.seconds,
            self.sample_rates + other.sample_rates,
            self.channels + other.channels,
            self.unreadable + other.unreadable,
        )


def read_headers(inventory: Inventory) -> dict[tuple[str, str], Headers]:
    """Return the headers of each (group, kind) of an inventory."""
    headers: dict[tuple[str, str], Headers] = {}
    with tqdm(total=len(inventory.files), desc="headers", unit="file", leave=False) as progress:
        for group, kinds in inventory.groups.items():
            for kind, records in kinds.items():
                headers[group, kind] = Headers()
                for record in records:
                    headers[group, kind].read(record.id, record.path)
                    progress.update()
    return headers
