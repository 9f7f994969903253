"""Imitations of any recording: they follow its controls, and the same draw gives the same bytes."""

import numpy as np
import pytest
from scipy import signal

from vocalsketch.errors import AudioError
from vocalsketch.voice.imitate import imitate, listen
from vocalsketch.voice.listening import SAMPLE_RATE, heard
from vocalsketch.voice.people import anyone

SEEDS = range(20)


def sweep(first: float, last: float, seconds: float = 1.2) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = signal.chirp(time, first, seconds, last, method="logarithmic")
    saw = wave + 0.5 * signal.chirp(time, 2 * first, seconds, 2 * last, method="logarithmic")
    return np.asarray(saw * np.hanning(len(time)) ** 0.25)


def burst(begin: float, seconds: float = 1.5) -> np.ndarray:
    rng = np.random.default_rng(0)
    sound = np.zeros(round(seconds * SAMPLE_RATE))
    start = round(begin * SAMPLE_RATE)
    length = round(0.08 * SAMPLE_RATE)
    sound[start : start + length] = rng.standard_normal(length) * np.exp(-np.arange(length) / 300)
    return sound


def by(seed: int, sound: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return imitate(listen(sound), anyone(rng), rng)


def slope(imitation: np.ndarray) -> float:
    """Return how pitch, or brightness where nothing is sung, moves over the loud part, octaves."""
    contours = heard(imitation)
    loud = contours.loudness > -25
    sung = loud & (contours.periodicity > 0.6)
    contour, used = (
        (contours.pitch, sung) if sung.sum() > 0.3 * loud.sum() else (contours.brightness, loud)
    )
    places = np.flatnonzero(used)
    return float(np.polyfit(places / len(contour), contour[places], 1)[0])


def test_a_rising_sound_is_imitated_rising_and_a_falling_one_falling() -> None:
    rising = [slope(by(seed, sweep(200, 800))) for seed in SEEDS]
    falling = [slope(by(seed, sweep(800, 200))) for seed in SEEDS]
    assert np.mean(np.array(rising) > 0) >= 0.7  # people simplify and leave out
    assert np.mean(np.array(falling) < 0) >= 0.7
    assert np.median(rising) > 0.3 > -0.3 > np.median(falling)


def test_a_burst_becomes_a_burst() -> None:
    """Its loudness rises from soft to loud within 30 ms."""
    steep = []
    for seed in SEEDS:
        loudness = heard(by(seed, burst(0.4))).loudness
        top = int(loudness.argmax())
        steep.append(loudness[max(0, top - 3) : top + 1].min() < loudness[top] - 6.0)
    assert np.mean(steep) >= 0.7


def test_the_same_draw_gives_the_same_bytes_and_another_does_not() -> None:
    sound = sweep(200, 500)
    assert by(3, sound).tobytes() == by(3, sound).tobytes()
    assert by(3, sound).tobytes() != by(4, sound).tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_a_waveform_of_at_most_four_seconds_within_full_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = rng.standard_normal(round(rng.uniform(0.05, 8.0) * SAMPLE_RATE)) * 0.1
    spoken = by(seed, sound)
    assert np.isfinite(spoken).all()
    assert 0.01 < np.abs(spoken).max() <= 1.0
    assert 0.05 * SAMPLE_RATE < len(spoken) <= 5.0 * SAMPLE_RATE  # with the device's pauses


def test_the_rate_of_the_recording_makes_no_difference() -> None:
    faster = signal.resample_poly(sweep(200, 400), 3, 1)
    here, there = listen(sweep(200, 400)), listen(faster, 3 * SAMPLE_RATE)
    loud = (here.loudness > -20)[2:-2]
    length = min(len(here.pitch), len(there.pitch)) - 4
    difference = np.abs(here.pitch[2:-2] - there.pitch[2:-2][: len(loud)])[:length]
    assert np.median(difference[loud[:length]]) < 0.02


@pytest.mark.parametrize(
    "sound", [np.zeros(8000), np.zeros(0), np.full(8000, np.nan), np.full(8000, 1e-7)]
)
def test_silence_cannot_be_imitated(sound: np.ndarray) -> None:
    with pytest.raises(AudioError, match="Nothing can be imitated"):
        by(0, sound)


def test_a_short_sound_is_mostly_imitated_brighter_than_it_is() -> None:
    thump = np.zeros(SAMPLE_RATE // 2)
    time = np.arange(2_400) / SAMPLE_RATE
    thump[800:3_200] = np.sin(2 * np.pi * 120 * time) * np.exp(-time / 0.03)

    def brightness(sound: np.ndarray) -> float:
        contours = heard(sound)
        return float(np.median(contours.brightness[contours.loudness > -15]))

    brighter = [brightness(by(seed, thump)) > brightness(thump) for seed in SEEDS]
    assert np.mean(brighter) >= 0.7
