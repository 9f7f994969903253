"""Clips to play and pictures of them, from any file that is indexed."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from small_networks import write_sound

from vocalsketch.errors import AudioError
from vocalsketch.web.app import ranged
from vocalsketch.web.clips import (
    DYNAMIC_RANGE,
    PICTURE_RATE,
    audible_clip,
    mel_levels,
    spectrogram_picture,
)


def tone(frequency: float, seconds: float = 1.0, rate: int = PICTURE_RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_a_clip_is_the_part_that_was_asked_for(tmp_path: Path) -> None:
    waveform = np.linspace(-0.9, 0.9, 8000)
    file = write_sound(tmp_path / "ramp.flac", waveform)
    samples, rate = soundfile.read(io.BytesIO(audible_clip(file, 0.25, 0.5)))
    assert rate == 8000
    np.testing.assert_allclose(samples, waveform[2000:6000], atol=2e-4)


def test_high_rates_and_many_channels_become_what_browsers_play(tmp_path: Path) -> None:
    wide = np.stack([tone(300.0, 0.1, 192_000) * gain for gain in (1.0, 0.5, 0.0)], axis=1)
    file = write_sound(tmp_path / "wide.wav", wide, 192_000)
    info = soundfile.info(io.BytesIO(audible_clip(file, 0.0, 8.0)))
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 1, "PCM_16")


def test_samples_beyond_full_scale_are_not_clipped(tmp_path: Path) -> None:
    file = tmp_path / "loud.wav"
    soundfile.write(file, 4.0 * tone(300.0, 0.2), PICTURE_RATE, subtype="FLOAT")
    samples, _ = soundfile.read(io.BytesIO(audible_clip(file, 0.0, 8.0)))
    np.testing.assert_allclose(samples, 2.0 * tone(300.0, 0.2), atol=1e-3)


def test_a_picture_is_bright_where_there_is_sound(tmp_path: Path) -> None:
    waveform = np.concatenate([np.zeros(PICTURE_RATE), tone(4000.0)])
    file = write_sound(tmp_path / "late.wav", waveform, PICTURE_RATE)
    picture = np.asarray(Image.open(io.BytesIO(spectrogram_picture(file, 0.0, 8.0))).convert("L"))
    before, after = np.array_split(picture, 2, axis=1)
    assert before[:, :-5].max() < 10
    assert after.max() > 200
    row = int(after.mean(axis=1).argmax())
    assert 0 < row < len(picture) / 2  # high sounds stand high


@pytest.mark.parametrize("samples", [1, 100, 1024, 50_000])
def test_short_and_silent_sounds_have_a_picture(samples: int) -> None:
    assert (mel_levels(np.zeros(samples, dtype=np.float32)) == -DYNAMIC_RANGE).all()
    levels = mel_levels(tone(500.0, samples / PICTURE_RATE).astype(np.float32) + 1e-3)
    assert levels.max() == 0
    assert 1 <= levels.shape[1] <= 310


def test_a_clip_beyond_the_end_is_refused(tmp_path: Path) -> None:
    file = write_sound(tmp_path / "short.wav", tone(300.0, 0.5, 8000))
    with pytest.raises(AudioError, match="outside of its 0.50 s"):
        audible_clip(file, 3.0, 8.0)


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("", 200, b"0123456789"),
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=7-100", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-30", 206, b"0123456789"),
        ("bytes=10-", 416, b""),
        ("bytes=5-3", 416, b""),
        ("bytes=-", 200, b"0123456789"),
        ("bytes=1-2,4-5", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_one_range_of_bytes_is_given(wanted: str, status: int, body: bytes) -> None:
    answer = ranged(b"0123456789", "audio/wav", wanted)
    assert (answer.status_code, answer.body) == (status, body)
