"""Where something sounds in a recording, whatever the microphone brought beside it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.audio import clip_of, read_audio
from vocalsketch.features.contours import ContourFeatures
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.level import KEPT_AFTER, KEPT_BEFORE, frame_levels, gain, sounding

RATE = 16_000
LEAD = 2.0  # seconds before the sound, and after it
Signal = np.ndarray


def voice(seconds: float = 0.6) -> Signal:
    """A soft vowel of a deep voice: harmonics of 100 Hz, peak 0.1."""
    time = np.arange(round(seconds * RATE)) / RATE
    harmonics = sum(np.sin(2 * np.pi * 100 * n * time) / n for n in range(1, 20))
    return 0.1 * harmonics / np.abs(harmonics).max()


def recording() -> Signal:
    silence = np.zeros(round(LEAD * RATE))
    return np.concatenate([silence, voice(), silence])


def pulses(*moments: float, height: float = 0.1) -> Signal:
    """Clicks of 4 ms."""
    signal = np.zeros(len(recording()))
    for moment in moments:
        signal[round(moment * RATE) :][: round(0.004 * RATE)] = height
    return signal


def tone(frequency: float) -> Signal:
    return 0.01 * np.sin(2 * np.pi * frequency * np.arange(len(recording())) / RATE)


def noise(level: float, highest: float = RATE / 2) -> Signal:
    drawn = np.random.default_rng(0).standard_normal(len(recording()))
    spectrum = np.fft.rfft(drawn)
    spectrum[round(highest * len(drawn) / RATE) :] = 0
    made = np.fft.irfft(spectrum, len(drawn))
    return level * made / made.std()


def before(disturbance: Signal) -> Signal:
    return disturbance * (np.arange(len(disturbance)) < LEAD * RATE)


DISTURBANCES: dict[str, Callable[[], Signal]] = {
    "none": lambda: np.zeros(1),
    "click": lambda: pulses(1.0),
    "click at the first sample": lambda: pulses(0.0),
    "clicks, louder than all": lambda: pulses(0.5, 1.0, 1.7, 4.0, height=-0.9),
    "offset": lambda: np.full(1, 0.005),
    "great offset": lambda: np.full(1, 0.3),
    "offset before": lambda: before(np.full(len(recording()), 0.005)),
    "hum of 50 Hz": lambda: tone(50),
    "hum of 60 Hz": lambda: tone(60),
    "hum before": lambda: before(tone(60)),
    "faint noise": lambda: noise(0.002),
    "faint noise before": lambda: before(noise(0.002)),
    "rumble": lambda: noise(0.01, highest=30),
    "click and hum": lambda: pulses(1.0) + tone(50),
}


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("name", DISTURBANCES)
def test_what_a_microphone_brings_is_no_sound(name: str, rate: int) -> None:
    signal = recording() + DISTURBANCES[name]()
    places = np.arange(round(len(signal) * rate / RATE)) * RATE / rate
    kept = sounding(np.interp(places, np.arange(len(signal)), signal).astype(np.float32), rate)
    assert kept.start / rate == pytest.approx(LEAD - KEPT_BEFORE, abs=0.03)
    assert kept.stop / rate == pytest.approx(LEAD + 0.6 + KEPT_AFTER, abs=0.03)


@pytest.mark.parametrize("name", ["lead_clean.wav", "lead_click_0.1.wav", "lead_dc_0.01.wav"])
def test_recordings_of_these_faults_are_trimmed_alike(shared: Path, name: str) -> None:
    waveform, rate = read_audio(shared / "cases/trim" / name)
    clean, _ = read_audio(shared / "cases/trim/lead_clean.wav")
    assert sounding(waveform, rate) == sounding(clean, rate)
    assert sounding(clean, rate).start / rate == pytest.approx(2.05, abs=0.02)


def test_clicks_are_the_sound_where_there_is_nothing_else() -> None:
    kept = sounding(pulses(1.0, 2.0, 3.0).astype(np.float32), RATE)
    assert kept.start / RATE == pytest.approx(1.0 - KEPT_BEFORE, abs=0.02)
    assert kept.stop / RATE == pytest.approx(3.0 + KEPT_AFTER, abs=0.02)


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(1),
        np.zeros(RATE),
        np.full(RATE, 0.3),
        voice(),
        np.random.default_rng(0).standard_normal(RATE),
        np.sin(np.arange(RATE)) * np.linspace(0.3, 1, RATE),
    ],
)
def test_what_has_no_silence_at_its_ends_is_kept_whole(signal: Signal) -> None:
    assert sounding(signal.astype(np.float32), RATE) == slice(0, len(signal))


@pytest.mark.parametrize("gain", [1e-6, 1e-3, 100.0])
def test_how_loud_it_is_makes_no_difference(gain: float) -> None:
    signal = (recording() + tone(50)).astype(np.float32)
    assert sounding(signal * np.float32(gain), RATE) == sounding(signal, RATE)


@pytest.mark.parametrize(("frequency", "decibels"), [(50.0, -28.0), (200.0, -6.0), (2_000.0, 0.0)])
def test_deep_sounds_are_measured_as_softer(frequency: float, decibels: float) -> None:
    """A sine of amplitude 1 has a level of -3 dB."""
    signal = np.cos(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)
    power = (10 ** (frame_levels(signal, RATE) / 10)).mean()
    assert 10 * np.log10(power) == pytest.approx(decibels - 3, abs=1.5)


@pytest.mark.parametrize("front_end", [AudibleMel(), ContourFeatures()])
@pytest.mark.parametrize("name", ["none", "click", "clicks, louder than all"])
def test_a_front_end_that_trims_hears_the_same_after_a_silence(
    front_end: FrontEnd, name: str
) -> None:
    def heard(signal: Signal) -> np.ndarray:
        clip = clip_of(signal.astype(np.float32), RATE, front_end)
        return front_end(torch.from_numpy(clip)[None]).numpy().ravel()

    with_silence = heard(recording() + DISTURBANCES[name]())
    assert np.corrcoef(with_silence, heard(voice()))[0, 1] > 0.98


def test_a_front_end_that_does_not_trim_hears_from_the_beginning() -> None:
    clip = clip_of(recording().astype(np.float32), RATE, CQT())
    np.testing.assert_array_equal(clip[: round(LEAD * RATE)], 0)


def test_levels_are_set_by_powers_of_two() -> None:
    assert gain(2**-8) == 2**7
    assert gain(0.3, exactly=True) * np.float32(0.3) == np.float32(0.7)
    assert gain(1e-44) == np.float32(2**127)  # the most that a float can hold
    assert gain(0.0) == 1
