"""Preparing a query."""

import numpy as np
import pytest
from small_networks import RATE, chirp

from vocalsketch.errors import AudioError
from vocalsketch.search.query import KEPT_BEFORE, PEAK, prepared


def test_silence_before_the_first_sound_is_cut_up_to_a_margin() -> None:
    sound = chirp(0)
    hushed = np.concatenate([np.full(RATE, 1e-4), sound])
    trimmed = prepared(hushed, RATE)
    margin = len(trimmed) - len(sound)
    assert KEPT_BEFORE * RATE <= margin <= (KEPT_BEFORE + 0.01) * RATE
    np.testing.assert_allclose(trimmed[margin:], prepared(sound, RATE), atol=1e-6)


def test_a_query_that_begins_at_once_is_kept_whole_and_so_is_one_not_to_be_trimmed() -> None:
    late = np.concatenate([np.zeros(RATE), chirp(0)])
    assert len(prepared(chirp(0), RATE)) == len(chirp(0))
    assert len(prepared(late, RATE, trim=False)) == len(late)


@pytest.mark.parametrize("level", [1e-3, 1.0, 30.0])
def test_every_level_becomes_the_same(level: float) -> None:
    loud = prepared(level * chirp(0), RATE)
    assert np.abs(loud).max() == pytest.approx(PEAK)
    np.testing.assert_allclose(loud, prepared(chirp(0), RATE), atol=1e-6)


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
