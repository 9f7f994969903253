"""Preparing a query."""

import numpy as np
import pytest
from small_networks import RATE, chirp

from vocalsketch.errors import AudioError
from vocalsketch.features.level import KEPT_BEFORE
from vocalsketch.search.query import PEAK, heard_part, prepared


def late(before: np.ndarray, seconds: float = 1.0) -> np.ndarray:
    """A sound after something else."""
    return np.concatenate([np.resize(before, round(seconds * RATE)), chirp(0)])


def test_silence_before_the_first_sound_is_cut_up_to_a_margin() -> None:
    trimmed = prepared(late(np.full(1, 1e-4)), RATE)
    margin = len(trimmed) - len(chirp(0))
    assert KEPT_BEFORE * RATE - 1 <= margin <= (KEPT_BEFORE + 0.02) * RATE
    np.testing.assert_allclose(trimmed[margin:], prepared(chirp(0), RATE), atol=1e-3)


def test_silence_after_the_last_sound_is_cut_up_to_a_margin() -> None:
    ended = np.concatenate([chirp(0), np.zeros(2 * RATE)])
    assert len(prepared(ended, RATE)) == pytest.approx(len(chirp(0)) + 0.3 * RATE, abs=0.02 * RATE)


def test_a_query_that_begins_at_once_is_kept_whole_and_so_is_one_not_to_be_trimmed() -> None:
    assert len(prepared(chirp(0), RATE)) == len(chirp(0))
    assert len(prepared(late(np.zeros(1)), RATE, trim=False)) == RATE + len(chirp(0))


def test_what_is_heard_is_told() -> None:
    heard = heard_part(late(np.zeros(1), 2.0), RATE)
    start, end = heard.start, heard.end
    assert start == pytest.approx(1.9, abs=0.02)
    assert end == heard.seconds == pytest.approx(2 + len(chirp(0)) / RATE)
    assert heard.note == f"Heard: {start:.2f} to {end:.2f} s of {end:.2f} s (silence was cut)."
    assert heard_part(np.tile(chirp(0, 1.0), 9), RATE, seconds=4).note == (
        "Heard: 0.00 to 4.00 s of 9.00 s (nothing was cut: there is no silence at its ends; "
        "no more than 4 s are looked at)."
    )
    assert (
        "9.00 s (nothing was cut)" in heard_part(np.tile(chirp(0, 1.0), 9), RATE, trim=False).note
    )


@pytest.mark.parametrize("level", [1e-3, 1.0, 30.0])
def test_every_level_becomes_the_same(level: float) -> None:
    loud = prepared(level * chirp(0), RATE)
    assert np.abs(loud).max() == pytest.approx(PEAK)
    np.testing.assert_allclose(loud, prepared(chirp(0), RATE), atol=1e-6)


def test_an_offset_is_taken_away() -> None:
    np.testing.assert_allclose(
        prepared(chirp(0) * 0.01 + 0.5, RATE), prepared(chirp(0), RATE), atol=2e-3
    )


def test_channels_are_averaged() -> None:
    stereo = np.stack([chirp(0), np.zeros(len(chirp(0)))], axis=1)
    np.testing.assert_allclose(prepared(stereo, RATE), prepared(chirp(0), RATE), atol=1e-6)


def test_a_click_at_the_end_leaves_a_query_long_enough() -> None:
    click = np.zeros(RATE)
    click[-1] = 1.0
    assert len(prepared(click, RATE)) >= 0.1 * RATE


@pytest.mark.parametrize(
    ("waveform", "rate", "message"),
    [
        (np.zeros(RATE), RATE, "is silent"),
        (np.full(RATE, 1e-6), RATE, "is silent"),
        (np.full(RATE, 0.01), RATE, "is silent"),
        (chirp(0, 0.05), RATE, r"too short: 0\.050 s"),
        (np.zeros(0), RATE, "too short"),
        (np.zeros((0, 2)), RATE, "too short"),
        (np.full(RATE, np.nan), RATE, "NaN or infinite"),
        (np.full(RATE, np.inf), RATE, "NaN or infinite"),
        (np.ones((2, 2, RATE)), RATE, "of shape"),
        (np.float32(1.0), RATE, "too short"),
        (chirp(0), 0, "sample rate is 0 Hz"),
    ],
)
def test_what_is_no_query_is_refused(waveform: np.ndarray, rate: int, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        prepared(waveform, rate)
