"""The demo's curves, tones and every recipe of its catalogue."""

import numpy as np
import pytest

from vocalsketch.datasets.synthetic import sounds


def strongest(sound: sounds.Curve) -> float:
    """Return the frequency in Hz of the highest bin of the whole sound's spectrum."""
    spectrum = np.abs(np.fft.rfft(sound))
    return float(np.fft.rfftfreq(len(sound), 1 / sounds.SAMPLE_RATE)[spectrum.argmax()])


def test_line_goes_through_its_values() -> None:
    curve = sounds.line(1.0, 0.0, 2.0, 1.0)

    assert len(curve) == 44_100
    assert curve[[0, -1]].tolist() == [0.0, 1.0]
    assert curve.max() == pytest.approx(2.0, abs=1e-4)
    assert sounds.line(0.1, 3.0).tolist() == [3.0] * 4_410


def test_glide_is_even_to_the_ear() -> None:
    assert sounds.glide(1.0, 100, 400)[22_050] == pytest.approx(200.0, rel=1e-3)


def test_steps_last_equally_long() -> None:
    values, counts = np.unique(sounds.steps(1.0, 1, 2, 3, 4), return_counts=True)

    assert values.tolist() == [1, 2, 3, 4]
    assert counts.tolist() == [11_025] * 4


def test_strikes_fall_to_one_over_e() -> None:
    loudness = sounds.strikes(1.0, [0.0], fall=0.2, attack=0.001)

    assert loudness[round(0.2 * 44_100)] == pytest.approx(np.exp(-1.0), rel=1e-3)


def test_speeding_periods_shrink() -> None:
    periods = np.diff(sounds.speeding(0.3, 0.05, 2.0))

    assert (np.diff(periods) < 0.0).all()
    assert periods[0] == pytest.approx(0.3, rel=0.05)


def test_tone_has_its_pitch_and_slope() -> None:
    sound = sounds.tone(sounds.line(1.0, 220.0), sounds.line(1.0, 1.0), slope=1.0)
    spectrum = np.abs(np.fft.rfft(sound))

    assert strongest(sound) == 220.0
    assert spectrum[440] / spectrum[220] == pytest.approx(0.5, rel=1e-3)


def test_odd_tone_lacks_even_harmonics() -> None:
    sound = sounds.tone(sounds.line(1.0, 200.0), sounds.line(1.0, 1.0), odd=True)
    spectrum = np.abs(np.fft.rfft(sound))

    assert spectrum[400] < 1e-6 * spectrum[600]


@pytest.mark.parametrize("frequency", [98.0, 220.0, 440.0])
def test_plucked_string_sounds_at_its_frequency(frequency: float) -> None:
    sound = sounds.plucked(frequency, 1.0, rng=np.random.default_rng(0))

    harmonic = strongest(sound) / frequency
    assert harmonic == pytest.approx(round(harmonic), rel=0.01)


def test_hiss_lies_around_its_centre() -> None:
    sound = sounds.hiss(sounds.line(1.0, 1.0), 2_000.0, 1.0, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(sound)) ** 2
    inside = power[1_000:4_000].sum() / power.sum()

    assert inside > 0.95


def test_lowpass_keeps_below_and_removes_above() -> None:
    low = sounds.tone(sounds.line(0.5, 200.0), sounds.line(0.5, 1.0), partials=1)
    high = sounds.tone(sounds.line(0.5, 4_000.0), sounds.line(0.5, 1.0), partials=1)

    assert sounds.lowpassed(low, 1_000.0).std() == pytest.approx(low.std(), rel=0.02)
    assert sounds.lowpassed(high, 1_000.0).std() < 0.01 * high.std()


def test_mixed_places_and_cuts() -> None:
    sound = sounds.mixed(1.0, (0.5, np.ones(44_100)), (0.75, np.ones(10)))

    assert len(sound) == 44_100
    assert sound[:22_050].sum() == 0.0
    assert sound[22_050:].sum() == 22_050 + 10


@pytest.mark.parametrize("category", sounds.CATALOGUE)
def test_every_recipe_makes_one_to_four_seconds(category: str) -> None:
    for name in list(sounds.CATALOGUE[category])[::4]:
        sound = sounds.recording(category, name)
        assert np.abs(sound).max() == pytest.approx(0.7), name
        assert 1.0 <= len(sound) / sounds.SAMPLE_RATE <= 4.0, name


@pytest.mark.parametrize(
    ("recipe", "value"),
    [
        (["if", ["lt", 1, 2], 3, "unknown"], 3),  # the other is not looked at
        (["case", 1, "unknown", ["add", 1, 1], "unknown"], 2),
        (["sub", ["all", [5, 2]]], 3),
        (["let", {"two": 2}, [["each", {"n": [1, 2, 3]}, ["mul", "two", "n"]]]], [2, 4, 6]),
    ],
)
def test_a_recipe_stands_for_its_value(recipe: list[object], value: object) -> None:
    assert sounds.made(recipe, np.random.default_rng(0)).tolist() == value


def test_a_part_is_drawn_anew_wherever_it_is_named() -> None:
    drawn = sounds.made(["x", "x"], np.random.default_rng(0), x=sounds.Part(["random"]))
    assert drawn.tolist() == np.random.default_rng(0).random(2).tolist()
