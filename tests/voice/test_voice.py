"""What is heard in a sound, and how far a person's imitation follows it."""

from dataclasses import replace

import numpy as np
import numpy_listening
import pytest

from vocalsketch.voice import listening
from vocalsketch.voice.people import Articulation, imitation, person, utter

VOICE = replace(
    person(0, np.random.default_rng(0)), tract=1.0, breathiness=0.2, openness=0.6, jitter=0.01
)


def sine(*frequencies: float, seconds: float = 1.0) -> np.ndarray:
    pitch = np.repeat(frequencies, round(seconds * 16_000 / len(frequencies)))
    return np.sin(2.0 * np.pi * np.cumsum(pitch) / 16_000)


def articulation(frames: int, **changed: float) -> Articulation:
    values = {"pitch": 120.0, "level": 0.0, "voicing": 1.0, "vowel": 2.0, "frication": 4000.0}
    return Articulation(**{key: np.full(frames, v) for key, v in (values | changed).items()})


@pytest.mark.parametrize("frequency", [80.0, 220.0, 700.0, 1500.0])
def test_pitch_of_a_sine_is_heard(frequency: float) -> None:
    heard = listening.heard(sine(frequency))

    assert 55.0 * 2.0 ** np.median(heard.pitch) == pytest.approx(frequency, rel=0.01)
    assert np.median(heard.periodicity) > 0.95


def test_noise_is_not_periodic() -> None:
    heard = listening.heard(np.random.default_rng(0).standard_normal(16_000))

    assert np.median(heard.periodicity) < 0.4


def test_brightness_rises_with_frequency_by_octaves() -> None:
    low, high = listening.heard(sine(440.0)), listening.heard(sine(880.0))

    assert np.median(low.brightness) == pytest.approx(3.0, abs=0.05)
    assert np.median(high.brightness - low.brightness) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_heard_is_what_numpy_hears(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = sine(*rng.uniform(80, 900, 4)) * rng.random() + 0.1 * rng.standard_normal(16_000)
    found, expected = listening.heard(sound), numpy_listening.heard(sound)
    for name, contour in vars(expected).items():
        np.testing.assert_allclose(getattr(found, name), contour, atol=1e-9)


def test_silence_is_heard_as_flat() -> None:
    heard = listening.heard(np.zeros(8_000))

    assert set(heard.loudness) == {listening.FLOOR}
    assert not heard.periodicity.any()
    assert np.isfinite(heard.pitch).all()


def test_loudness_is_relative_to_the_loudest() -> None:
    quiet_then_loud = sine(300.0, 300.0) * np.repeat([0.1, 1.0], 8_000)
    heard = listening.heard(quiet_then_loud)

    assert heard.loudness.max() == 0.0
    assert heard.loudness[25] == pytest.approx(-20.0, abs=0.2)


def test_voice_sounds_at_its_pitch() -> None:
    spoken = utter(VOICE, articulation(100, pitch=150.0), np.random.default_rng(0))
    heard = listening.heard(spoken)

    assert 55.0 * 2.0 ** np.median(heard.pitch) == pytest.approx(150.0, rel=0.03)
    assert np.abs(spoken).max() == pytest.approx(1.0)
    assert len(spoken) == 100 * 160


def test_unvoiced_is_noise_around_its_frication() -> None:
    spoken = utter(VOICE, articulation(100, voicing=0.0), np.random.default_rng(0))
    power = np.abs(np.fft.rfft(spoken)) ** 2

    assert np.median(listening.heard(spoken).periodicity) < 0.5
    assert power[2_500:6_500].sum() > 0.8 * power.sum()


def test_vowels_run_from_dark_to_bright() -> None:
    brightness = [
        np.median(
            listening.heard(
                utter(VOICE, articulation(60, vowel=vowel), np.random.default_rng(0))
            ).brightness
        )
        for vowel in (0.0, 1.0, 2.0)
    ]

    assert brightness == sorted(brightness)


@pytest.mark.parametrize("number", range(6))
def test_an_imitation_follows_loudness_and_pitch_within_a_persons_limits(number: int) -> None:
    someone = person(number, np.random.default_rng(number))
    rising = sine(*np.geomspace(300, 800, 50), seconds=2.0)
    dip = np.abs(np.linspace(-1.0, 1.0, len(rising))) < 0.2
    dipping = np.where(dip, 0.03 * rising, rising)  # 30 dB softer for 0.4 s in the middle

    sung = imitation(someone, listening.heard(dipping), np.random.default_rng(100 + number))
    heard = listening.heard(sung)
    seconds = len(sung) / 16_000
    voiced = heard.periodicity > 0.6
    first, second = np.array_split(np.flatnonzero(voiced), 2)

    assert 0.75 * 2.0 <= seconds <= 1.3 * 2.0 + 0.5
    middle = heard.loudness[len(heard.loudness) // 4 : -len(heard.loudness) // 4]
    assert middle.min() < np.median(heard.loudness) - 5.0
    assert np.median(heard.pitch[second]) > np.median(heard.pitch[first]) + 0.2
    top = np.log2(someone.lowest / 55.0) + someone.reach
    assert np.median(heard.pitch[voiced]) < top + 0.5


def test_noise_is_imitated_unvoiced_and_a_tone_voiced() -> None:
    someone = person(1, np.random.default_rng(1))
    noise = listening.heard(np.random.default_rng(0).standard_normal(16_000))
    tone = listening.heard(sine(220.0))

    def voiced_share(sound: listening.Heard) -> float:
        sung = listening.heard(imitation(someone, sound, np.random.default_rng(2)))
        return float((sung.periodicity > 0.7).mean())

    assert voiced_share(noise) < 0.2
    assert voiced_share(tone) > 0.6
