"""Stand-ins for ten kinds of city sounds, in the layout of UrbanSound8K."""

import csv
from collections.abc import Callable, Sequence
from math import gcd
from pathlib import Path

import numpy as np
from scipy import signal

from vocalsketch.datasets.synthetic.cache import MARKER, made_together, write_wav
from vocalsketch.datasets.synthetic.curves import (
    SAMPLE_RATE,
    Curve,
    every,
    glide,
    line,
    steps,
    strikes,
    swell,
    wave,
)
from vocalsketch.datasets.synthetic.sounds import generator
from vocalsketch.datasets.synthetic.synthesis import hiss, lowpassed, tone

SOURCES = 6  # recordings of each class
SLICES = 2  # clips of each recording
FOLDS = 10
RATES = 44_100, 44_100, 48_000, 22_050, 96_000, 16_000  # hz, drawn from for each recording
NOTICE = "Made by vocalsketch: every sound here is synthesised. This is not UrbanSound8K.\n"
COLUMNS = "slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"

# What draws a clip: its length in seconds and a random generator in, a waveform at 44.1 kHz out
Scene = Callable[[float, np.random.Generator], Curve]


def _air_conditioner(seconds: float, rng: np.random.Generator) -> Curve:
    hum = tone(line(seconds, rng.uniform(90, 130)), line(seconds, 0.15), 0.8, 8)
    return hum + hiss(line(seconds, 1.0), rng.uniform(350, 700), 3.0, rng)


def _car_horn(seconds: float, rng: np.random.Generator) -> Curve:
    low = rng.uniform(330, 440)
    blows = np.repeat(rng.permutation([1.0, 1.0, 0.0, 1.0]), 2)
    loudness = steps(seconds, *blows)
    return tone(line(seconds, low), loudness, 0.4) + tone(line(seconds, low * 1.26), loudness, 0.4)


def _children_playing(seconds: float, rng: np.random.Generator) -> Curve:
    voices = np.zeros_like(line(seconds, 0.0))
    for _ in range(5):
        pitch = glide(seconds, *rng.uniform(350, 900, 8))
        loudness = np.maximum(np.sin(np.pi * line(seconds, *rng.uniform(-2, 2, 8))), 0.0)
        voices += tone(pitch, loudness, 0.8, 12)
    return lowpassed(voices, 2500.0) + 0.2 * hiss(line(seconds, 1.0), 1500.0, 2.5, rng)


def _dog_bark(seconds: float, rng: np.random.Generator) -> Curve:
    times = every(rng.uniform(0.35, 0.6), seconds)
    bark = strikes(seconds, times, 0.07, 0.02)
    pitch = rng.uniform(250, 450) * (0.7 + 0.7 * bark)
    voice = lowpassed(tone(pitch, bark, 0.6), rng.uniform(1200, 2200), 1.0)
    return voice + hiss(0.3 * bark, 1500.0, 2.0, rng)


def _drilling(seconds: float, rng: np.random.Generator) -> Curve:
    pitch = glide(seconds, *rng.uniform(180, 260, 4))
    whine = tone(pitch * 4.0, swell(seconds, 0.2, 0.2), 0.3, 8)
    return whine + hiss(swell(seconds, 0.2, 0.2), 4500.0, 2.0, rng)


def _engine_idling(seconds: float, rng: np.random.Generator) -> Curve:
    rate = rng.uniform(22, 35)
    motor = tone(wave(seconds, rng.uniform(0.5, 2), rate, rate * 1.06), line(seconds, 1.0), 0.3, 40)
    return lowpassed(motor, rng.uniform(300, 700)) + hiss(line(seconds, 0.1), 500.0, 2.0, rng)


def _gun_shot(seconds: float, rng: np.random.Generator) -> Curve:
    times = sorted(rng.uniform(0.05, 0.7 * seconds, rng.integers(1, 4)))
    return hiss(strikes(seconds, times, rng.uniform(0.06, 0.2), 0.001), 1200.0, 4.0, rng)


def _jackhammer(seconds: float, rng: np.random.Generator) -> Curve:
    times = every(rng.uniform(0.05, 0.09), seconds)
    return hiss(strikes(seconds, times, 0.015, 0.002), rng.uniform(1000, 2200), 3.0, rng)


def _siren(seconds: float, rng: np.random.Generator) -> Curve:
    low, rate = rng.uniform(500, 750), rng.uniform(0.25, 2.5)
    return tone(wave(seconds, rate, low, 2.0 * low), line(seconds, 1.0), 1.3, 8)


def _street_music(seconds: float, rng: np.random.Generator) -> Curve:
    scale = 220.0 * 2.0 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16]) / 12)
    beat = rng.uniform(0.18, 0.3)
    notes = max(round(seconds / beat), 1)
    loudness = strikes(seconds, every(seconds / notes, seconds, 0.0), 0.25)
    return tone(steps(seconds, *rng.choice(scale, notes)), loudness, 1.0, 12) + tone(
        steps(seconds, *rng.choice(scale[:4] / 2.0, max(notes // 4, 1))), line(seconds, 0.6), 1.2, 8
    )


SCENES: dict[str, Scene] = {  # in the order of UrbanSound8K's classID
    scene.__name__.removeprefix("_"): scene
    for scene in (
        *(_air_conditioner, _car_horn, _children_playing, _dog_bark, _drilling),
        *(_engine_idling, _gun_shot, _jackhammer, _siren, _street_music),
    )
}


def make(folder: Path) -> None:
    """Fill ``folder`` with every recording of every class."""
    write(folder, [(name, source) for name in SCENES for source in range(SOURCES)])


def write(folder: Path, recordings: Sequence[tuple[str, int]]) -> None:
    """Write recordings, told by class and number, the metadata, and last the marker."""
    made = made_together(
        lambda each: _make_recording(folder, *each), recordings, "demo city sounds", "recording"
    )
    metadata = folder / "metadata"
    metadata.mkdir()
    with (metadata / "UrbanSound8K.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for rows in made:
            writer.writerows(rows)
    (folder / MARKER).write_text(NOTICE, encoding="utf-8")


def fold(class_id: int, source: int) -> int:
    """Return the fold of a recording, 1 to 10: each holds as many recordings as any other."""
    return (3 * class_id + source) % FOLDS + 1


def _make_recording(folder: Path, name: str, source: int) -> list[dict[str, object]]:
    """Write the clips of one recording, all in one fold, and return their rows."""
    rng = generator("urban", name, str(source))
    recording_id = int(rng.integers(10_000, 250_000))
    class_id = list(SCENES).index(name)
    number = fold(class_id, source)
    rate, salience = int(rng.choice(RATES)), int(rng.integers(1, 3))
    start, rows = 0.0, []
    for place in range(SLICES):
        seconds = round(float(rng.uniform(1.5, 4.0)), 2)
        file_name = f"{recording_id}-{class_id}-0-{place}.wav"
        clip = _in_the_street(SCENES[name](seconds, rng), salience, rng)
        shared = gcd(rate, SAMPLE_RATE)
        clip = signal.resample_poly(clip, rate // shared, SAMPLE_RATE // shared)
        clip *= rng.uniform(0.2, 0.9) / np.abs(clip).max()
        write_wav(folder / "audio" / f"fold{number}" / file_name, clip, rate)
        values = file_name, recording_id, start, start + seconds, salience, number, class_id, name
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        start = round(start + seconds, 2)
    return rows


def _in_the_street(sound: Curve, salience: int, rng: np.random.Generator) -> Curve:
    """Return the sound over traffic: faint for salience 1 (foreground), near for 2."""
    traffic = hiss(np.ones(len(sound)), rng.uniform(200, 500), 3.0, rng)
    level = rng.uniform(0.02, 0.08) if salience == 1 else rng.uniform(0.08, 0.25)
    return np.asarray(sound / sound.std() + level * traffic / traffic.std())
