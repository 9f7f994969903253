"""What benchmarks of search are given: networks with random weights, sounds, an index of noise."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile
import yaml

from vocalsketch.features.cqt import CQT
from vocalsketch.features.mel import ImitationLogMel, RecordingLogMel
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.search.segment import (
    EMBEDDING,
    SYSTEM,
    Manifest,
    Part,
    schema_of,
    with_embeddings,
    write_segment,
)
from vocalsketch.systems import System
from vocalsketch.systems.siamese import Siamese, SiameseGeometry

CONFIGS = Path(__file__).resolve().parents[1] / "conf"
FRONT_ENDS = {
    "iminet_tied": (CQT(), CQT()),
    "tl_iminet_none": (ImitationLogMel(), RecordingLogMel()),
}


def random_network(name: str) -> Siamese:
    """Return a config's network with random weights."""
    made = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]["init_args"]
    imitation, recording = FRONT_ENDS[name]
    geometry = SiameseGeometry(
        imitation_shape=imitation.shape,
        recording_shape=recording.shape,
        imitation_tower=tower_of(made["imitation_tower"]),
        recording_tower=tower_of(made.get("recording_tower", made["imitation_tower"])),
        sharing=made["sharing"],
        hidden=tuple(made["hidden"]),
        dropout=made["dropout"],
    )
    return Siamese({"imitation": imitation, "recording": recording}, geometry).eval()


def write_network(folder: Path, name: str) -> Path:
    """Write a checkpoint of a config's network with random weights."""
    file = folder / f"{name}.safetensors"
    random_network(name).save(file, {"corpus": "none: random weights"})
    return file


def tower_of(values: dict) -> TowerGeometry:
    """Return a config's tower."""
    stages = [
        ConvStage(s["filters"], tuple(s["kernel"]), tuple(s["pool"]) if "pool" in s else None)
        for s in values["stages"]
    ]
    return TowerGeometry(stages, values.get("batch_norm", False))


def made_up_sounds(folder: Path, count: int, mixed: bool = False) -> Path:
    """Write harmonic sounds and noise of 0.5 to 4 s, 16 bit.

    They are mono and of 44.1 kHz, as the network wants them, or ``mixed`` as libraries are: of
    four rates, and half of them stereo.
    """
    rng = np.random.default_rng(0)
    for number in range(count):
        rate = (44_100, 48_000, 96_000, 22_050)[number // 2 % 4] if mixed else 44_100
        time_axis = np.arange(int(rate * rng.uniform(0.5, 4))) / rate
        tone = np.sin(2 * np.pi * rng.uniform(80, 2000) * time_axis)
        audio = np.exp(-2 * time_axis) * (0.5 * tone + 0.1 * rng.standard_normal(len(time_axis)))
        file = folder / f"folder {number % 10}" / f"sound {number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, np.stack([audio] * 2, 1) if mixed and number % 2 else audio, rate)
    return folder


def write_random(
    file: Path, width: int, files: list[tuple[str, int, int]], windows: int = 1
) -> None:
    """Write a segment of random embeddings.

    Args:
        file: The segment.
        width: Numbers of an embedding.
        files: Path, size and time of change of each, sorted.
        windows: Of each file.
    """
    rng = np.random.default_rng(0)
    schema = schema_of(width, {})
    at_once = 32_768 // windows

    others = schema.remove(schema.get_field_index(EMBEDDING))

    def blocks() -> Iterator[pa.Table]:
        for start in range(0, len(files), at_once):
            some = [each for each in files[start : start + at_once] for _ in range(windows)]
            count = len(some)
            columns = {
                "path": [path for path, _, _ in some],
                "tags": [[path.split("/")[0]] for path, _, _ in some],
                "content": [f"{n // windows:032x}" for n in range(count)],
                "start": [2.0 * (n % windows) for n in range(count)],
                "end": [2.0 * (n % windows) + 4.0 for n in range(count)],
                "duration": [2.0 * windows + 2.0] * count,
                "sample_rate": [44_100] * count,
                "size": [size for _, size, _ in some],
                "changed": [changed for _, _, changed in some],
            }
            embeddings = rng.standard_normal((count, width), dtype=np.float32)
            yield with_embeddings(pa.table(columns, others), embeddings)

    write_segment(file, schema, blocks())


def named(count: int) -> list[tuple[str, int, int]]:
    """Return path, size and time of change of made-up files, sorted."""
    return sorted((f"folder {n % 100}/sound {n:07}.wav", 0, 0) for n in range(count))


def write_index(
    folder: Path,
    library: Path,
    system: System,
    width: int,
    files: list[tuple[str, int, int]],
    windows: int = 1,
) -> None:
    """Write an index of one segment of random embeddings."""
    folder.mkdir(parents=True)
    system.save(folder / SYSTEM)
    write_random(folder / "1.arrow", width, files, windows)
    rows = len(files) * windows
    Manifest(
        version=1,
        segments=(Part("1.arrow", rows, ""),),
        library=str(library),
        fingerprint=system.fingerprint,
        corpus=system.corpus,
        sounds=len(files),
        windows=rows,
    ).write(folder)
