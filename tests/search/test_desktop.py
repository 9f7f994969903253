"""Recording, playing and showing, with a sound card and a file manager that are made up."""

import os
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from small_networks import RATE, chirp, write_sound

from vocalsketch.errors import AudioError, ConfigError
from vocalsketch.search import Hit, Index, play, record, reveal


class PortAudioError(Exception):
    pass


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A sound card that hears a sweep and remembers what it played."""
    card = ModuleType("sounddevice")
    card.PortAudioError = PortAudioError
    card.played = []
    card.wait = lambda: None
    card.rec = lambda frames, samplerate, channels, dtype: np.tile(
        chirp(0, frames / samplerate, samplerate)[:, None], (1, channels)
    ).astype(dtype)
    card.play = lambda audio, rate: card.played.append((audio, rate))
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    return card


def test_what_was_recorded_can_be_searched_for(card: ModuleType, index: Index) -> None:
    waveform, rate = record(0.5)
    assert waveform.shape == (0.5 * rate,)
    assert len(index.search(waveform, rate, k=3)) == 3


def test_the_window_that_was_found_is_played(card: ModuleType, tmp_path) -> None:
    file = write_sound(tmp_path / "long.wav", np.arange(6 * RATE) / (7 * RATE))
    play(Hit(1, "long.wav", file, 2.0, 6.0, 0.0, 0.5, 6.0, RATE, ()))
    ((audio, rate),) = card.played
    assert (len(audio), rate) == (4 * RATE, RATE)
    assert audio[0] == pytest.approx(2 / 7, abs=1e-3)


def test_without_sounddevice_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match=r"pip install 'vocalsketch\[audio\]'"):
        record(1.0)


def test_without_a_microphone_that_is_said(card: ModuleType) -> None:
    def fail(*args, **options):
        raise PortAudioError("Error querying device -1")

    card.rec = fail
    with pytest.raises(AudioError, match="microphone cannot be used"):
        record(1.0)


def test_that_it_records_is_said_when_it_does(card: ModuleType) -> None:
    order = []
    heard = card.rec

    def rec(*args, **options):
        order.append("rec")
        return heard(*args, **options)

    card.rec, card.wait = rec, lambda: order.append("wait")
    record(0.1, begun=lambda: order.append("said"))
    assert order == ["rec", "said", "wait"]
    with pytest.raises(ConfigError):
        record(99, begun=lambda: order.append("said"))
    assert len(order) == 3


@pytest.mark.parametrize("seconds", [0.0, -1.0, 61.0, float("nan")])
def test_no_more_than_a_minute_is_recorded(card: ModuleType, seconds: float) -> None:
    with pytest.raises(ConfigError, match="cannot be recorded"):
        record(seconds)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # click waits not
def test_a_file_is_shown_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    opener = tmp_path / "xdg-open"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {asked}.new && mv {asked}.new {asked}\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    reveal(Path("/sounds/a b.wav"))
    until = time.monotonic() + 20
    while not asked.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert asked.read_text() == "/sounds"


def test_without_a_file_manager_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="No file manager can show"):
        reveal(Path("a.wav"))
