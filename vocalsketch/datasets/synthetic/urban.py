"""Stand-ins for ten kinds of city sounds, in the layout of UrbanSound8K."""

from collections.abc import Sequence
from math import gcd
from pathlib import Path

import numpy as np
from scipy import signal

from vocalsketch.datasets.synthetic.cache import MARKER, made_together, write_wav
from vocalsketch.datasets.synthetic.sounds import SCENES, generator, made
from vocalsketch.datasets.synthetic.synthesis import SAMPLE_RATE, Curve, hiss
from vocalsketch.files import write_table

SOURCES = 6  # recordings of each class
SLICES = 2  # clips of each recording
FOLDS = 10
RATES = 44_100, 44_100, 48_000, 22_050, 96_000, 16_000  # hz, drawn from for each recording
NOTICE = "Made by vocalsketch: every sound here is synthesised. This is not UrbanSound8K.\n"
COLUMNS = "slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"


def write(folder: Path, recordings: Sequence[tuple[str, int]] | None = None) -> None:
    """Write recordings, told by class and number (all if left out), the table, and a marker."""
    if recordings is None:
        recordings = [(name, source) for name in SCENES for source in range(SOURCES)]
    together = made_together(
        lambda each: _make_recording(folder, *each), recordings, "demo city sounds", "recording"
    )
    rows = [row for own in together for row in own]
    write_table(folder / "metadata" / "UrbanSound8K.csv", COLUMNS, rows)
    (folder / MARKER).write_text(NOTICE, encoding="utf-8")


def fold(class_id: int, source: int) -> int:
    """Return the fold of a recording, 1 to 10: each holds as many recordings as any other."""
    return (3 * class_id + source) % FOLDS + 1


def _make_recording(folder: Path, name: str, source: int) -> list[tuple[object, ...]]:
    """Write the clips of one recording, all in one fold, and return their rows."""
    rng = generator("urban", name, str(source))
    recording_id = int(rng.integers(10_000, 250_000))
    class_id = list(SCENES).index(name)
    number = fold(class_id, source)
    rate, salience = int(rng.choice(RATES)), int(rng.integers(1, 3))
    start = 0.0
    rows: list[tuple[object, ...]] = []
    for place in range(SLICES):
        seconds = round(float(rng.uniform(1.5, 4.0)), 2)
        file_name = f"{recording_id}-{class_id}-0-{place}.wav"
        clip = _in_the_street(made(SCENES[name], rng, seconds=seconds), salience, rng)
        shared = gcd(rate, SAMPLE_RATE)
        clip = signal.resample_poly(clip, rate // shared, SAMPLE_RATE // shared)
        clip *= rng.uniform(0.2, 0.9) / np.abs(clip).max()
        write_wav(folder / "audio" / f"fold{number}" / file_name, clip, rate)
        end = start + seconds
        rows.append((file_name, recording_id, start, end, salience, number, class_id, name))
        start = round(end, 2)
    return rows


def _in_the_street(sound: Curve, salience: int, rng: np.random.Generator) -> Curve:
    """Return the sound over traffic: faint for salience 1 (foreground), near for 2."""
    traffic = hiss(np.ones(len(sound)), rng.uniform(200, 500), 3.0, rng)
    level = rng.uniform(0.02, 0.08) if salience == 1 else rng.uniform(0.08, 0.25)
    return np.asarray(sound / sound.std() + level * traffic / traffic.std())
