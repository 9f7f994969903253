"""Sounds as windows."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from small_networks import RATE, chirp

from vocalsketch.errors import AudioError
from vocalsketch.features.audio import load_clip
from vocalsketch.features.cqt import CQT
from vocalsketch.search import embedding
from vocalsketch.search.embedding import WINDOW, window_count, windows_of


def stream_of(waveform: np.ndarray, rate: int = RATE) -> io.BytesIO:
    stream = io.BytesIO()
    soundfile.write(stream, waveform, rate, format="WAV", subtype="FLOAT")
    stream.seek(0)
    return stream


@given(st.floats(0.02, 500.0))
def test_windows_cover_a_sound_and_none_is_superfluous(duration: float) -> None:
    starts = [WINDOW / 2 * number for number in range(window_count(duration))]
    assert starts[-1] + WINDOW >= duration - 1e-6
    assert len(starts) == 1 or starts[-2] + WINDOW < duration


def test_the_first_window_is_the_clip_that_training_sees() -> None:
    front_end = CQT()
    stream = stream_of(np.random.default_rng(0).uniform(-1, 1, 44_100 * 5), 44_100)
    _, clip = next(windows_of(stream, front_end, "noise"))
    stream.seek(0)
    np.testing.assert_array_equal(clip, load_clip(stream, front_end))


def test_a_long_sound_is_read_piece_by_piece_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waveform = np.random.default_rng(0).uniform(-1, 1, 13 * RATE)
    front_end = CQT(seconds=1.05)
    whole = list(windows_of(stream_of(waveform), front_end, "noise"))
    monkeypatch.setattr(embedding, "WINDOWS_AT_ONCE", 2)
    pieces_read = list(windows_of(stream_of(waveform), front_end, "noise"))
    assert {where["duration"] for where, _ in pieces_read} == {13.0}
    assert [(where["start"], where["end"]) for where, _ in pieces_read] == [
        (0.0, 4.0),
        (2.0, 6.0),
        (4.0, 8.0),
        (6.0, 10.0),
        (8.0, 12.0),
        (10.0, 13.0),
    ]
    for (_, one), (_, other) in zip(whole, pieces_read, strict=True):
        np.testing.assert_array_equal(one, other)


def test_silent_windows_are_left_out() -> None:
    waveform = np.concatenate([chirp(0, 1.0), np.zeros(9 * RATE), chirp(1, 1.0)])
    sounding = windows_of(stream_of(waveform), CQT(), "gap")
    assert [where["start"] for where, _ in sounding] == [0.0, 8.0]


def test_a_silent_sound_is_refused() -> None:
    sounding = windows_of(stream_of(np.zeros(RATE)), CQT(), "nothing.wav")
    with pytest.raises(AudioError, match=r"nothing.wav: nothing but silence"):
        list(sounding)


def test_a_front_end_that_looks_at_more_has_longer_windows() -> None:
    sounding = windows_of(stream_of(chirp(0, 19.0)), CQT(seconds=8.0), "long")
    assert [(where["start"], where["end"]) for where, _ in sounding] == [
        (0.0, 8.0),
        (4.0, 12.0),
        (8.0, 16.0),
        (12.0, 19.0),
    ]
