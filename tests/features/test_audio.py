"""Reading audio: what comes out is what was written, and what is wrong is named."""

import contextlib
import io
import os
import socket
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vocalsketch.errors import AudioError
from vocalsketch.features import audio
from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.audio import (
    BLOCK,
    check_audio,
    clip_of,
    load_clip,
    read_audio,
    resampled,
)
from vocalsketch.features.contours import ContourFeatures
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.level import gain
from vocalsketch.features.mel import ImitationLogMel, PreemphasisedMel, RecordingLogMel

RATE = 16_000


def sine(seconds: float = 0.5, rate: int = RATE, frequency: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def encoded(samples: np.ndarray, rate: int = RATE, **options: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, **({"format": "WAV"} | options))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("WAV", "PCM_16", 1 / 2**15),
        ("WAV", "PCM_24", 1 / 2**23),
        ("WAV", "PCM_32", 1e-7),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "DOUBLE", 1e-7),
        ("FLAC", "PCM_16", 1 / 2**15),
        ("FLAC", "PCM_24", 1 / 2**23),
        ("AIFF", "PCM_16", 1 / 2**15),
        ("OGG", "VORBIS", 0.05),
        ("MP3", "MPEG_LAYER_III", 0.05),
    ],
)
def test_every_format_gives_back_what_was_written(
    tmp_path: Path, form: str, subtype: str, tolerance: float
) -> None:
    file = tmp_path / f"sound.{form.lower()}"
    file.write_bytes(encoded(sine(), format=form, subtype=subtype))
    waveform, rate = read_audio(file)
    assert rate == RATE
    assert waveform.dtype == np.float32
    assert waveform.shape == (8000,)
    middle = slice(1000, 7000)  # lossy codecs ring at the ends
    np.testing.assert_allclose(waveform[middle], sine()[middle], atol=tolerance)
    streamed, _ = read_audio(io.BytesIO(file.read_bytes()))
    np.testing.assert_array_equal(streamed, waveform)


@pytest.mark.skipif(os.name != "posix", reason="descriptors are passed on POSIX systems only")
def test_a_file_is_decoded_without_calls_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sound.wav"
    file.write_bytes(encoded(sine()))
    monkeypatch.setattr(audio, "_Stream", None)  # would fail if it were called
    with audio.opened_file(file) as stream:
        stream.read(100)  # a descriptor has one position, whoever moved it
        stream.seek(0)
        waveform, _ = read_audio(stream)
        assert len(waveform) == 8000
        stream.seek(0)
        assert stream.read() == file.read_bytes()


def test_channels_are_averaged() -> None:
    left, right = sine(), np.zeros(8000)
    waveform, _ = read_audio(io.BytesIO(encoded(np.stack([left, right], 1), subtype="FLOAT")))
    np.testing.assert_allclose(waveform, left / 2, atol=1e-6)


def test_channels_are_kept_where_they_are_asked_for() -> None:
    left, right = sine(frequency=300.0), sine(frequency=700.0)
    stereo = np.stack([left, right], axis=1)
    samples, _ = read_audio(io.BytesIO(encoded(stereo, subtype="FLOAT")), mono=False)
    np.testing.assert_array_equal(samples, stereo.astype(np.float32))
    alone, _ = read_audio(io.BytesIO(encoded(left, subtype="FLOAT")), mono=False)
    assert alone.shape == (len(left), 1)


def test_many_channels_at_a_high_rate() -> None:
    samples = np.tile(sine(0.1, 384_000)[:, None], (1, 32))
    waveform, rate = read_audio(io.BytesIO(encoded(samples, 384_000, subtype="FLOAT")))
    assert rate == 384_000
    np.testing.assert_allclose(waveform, samples[:, 0], atol=1e-6)


def test_only_the_part_asked_for_is_read() -> None:
    samples = np.arange(-8000, 8000) / 2**15
    waveform, _ = read_audio(io.BytesIO(encoded(samples)), offset=0.25, seconds=0.125)
    np.testing.assert_array_equal(waveform, samples[4000:6000].astype(np.float32))


def test_the_format_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    file = tmp_path / "sound.mp3"
    file.write_bytes(encoded(sine(), format="FLAC"))
    assert len(read_audio(file)[0]) == 8000


def test_a_wav_streamed_into_a_pipe_has_no_length_and_is_read() -> None:
    data = bytearray(encoded(sine()))
    start = data.index(b"data") + 4
    data[start : start + 4] = b"\xff\xff\xff\xff"
    assert len(read_audio(io.BytesIO(data))[0]) == 8000


def cut(data: bytes, part: float) -> bytes:
    return data[: int(len(data) * part)]


def rate_of(data: bytes, rate: int) -> bytes:
    return data[:24] + rate.to_bytes(4, "little") + data[28:]


def with_sample(value: float) -> bytes:
    samples = sine()
    samples[4000] = value
    return encoded(samples, subtype="FLOAT")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty (0 bytes)"),
        (b"no audio at all " * 100, "not audio"),
        (encoded(sine())[:20], "not audio"),
        (encoded(np.zeros(0)), "holds no samples"),
        (encoded(sine(0.01)), "too short: 160 samples, 0.0100 s"),
        (encoded(np.zeros(1)), "too short"),
        (cut(encoded(sine()), 0.5), "truncated"),
        (cut(encoded(sine(), subtype="PCM_U8"), 0.9), "truncated"),
        (cut(encoded(sine(), format="AIFF"), 0.5), "truncated"),
        (cut(encoded(sine(2), format="FLAC"), 0.5), "damaged"),
        (cut(encoded(sine(2), format="OGG"), 0.5), "truncated"),
        (with_sample(np.nan), "NaN"),
        (with_sample(np.inf), "infinite"),
        (with_sample(-np.inf), "infinite"),
        (with_sample(3e38), "beyond all range"),
        (rate_of(encoded(sine()), 2_000_000_000), "sample rate is 2000000000 Hz"),
        (rate_of(encoded(sine()), 1), "sample rate is 1 Hz"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "bad.wav"
    file.write_bytes(data)
    with pytest.raises(AudioError) as caught:
        read_audio(file)
    assert str(file) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["sound.raw", "sound.wav"])
def test_nonsense_is_refused_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x07nonsense" * 999)
    with pytest.raises(AudioError, match="not audio"):
        read_audio(tmp_path / name)


def test_a_file_whose_header_points_before_its_beginning_is_refused_quietly() -> None:
    """Exceptions that libsndfile's callbacks swallow would fail the test as warnings."""
    rng = np.random.default_rng(0)
    whole = encoded(sine(), format="AIFF")
    for _ in range(200):
        data = bytearray(whole)
        start = rng.integers(4, 60)
        data[start : start + 4] = rng.choice(
            [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"]
        )
        with contextlib.suppress(AudioError):
            assert np.isfinite(read_audio(io.BytesIO(data))[0]).all()


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav: there is no such file"):
        read_audio(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="cannot be read"):
        read_audio(tmp_path)


def test_an_offset_beyond_the_end() -> None:
    with pytest.raises(AudioError, match=r"an offset of 9.0 s is outside of its 0.50 s"):
        read_audio(io.BytesIO(encoded(sine())), offset=9.0, name="x")


def test_a_header_that_lies_about_its_length_costs_no_memory() -> None:
    data = bytearray(encoded(sine(), format="W64"))
    start = data.index(b"data\xf3\xac\xd3\x11") + 16
    data[start : start + 8] = (2**40).to_bytes(8, "little")
    try:
        assert len(read_audio(io.BytesIO(data))[0]) <= 8001
    except AudioError as error:
        assert "samples" in str(error) or "bytes" in str(error)  # noqa: PT017  # either will do


class CountingStream(io.BytesIO):
    """Counts the bytes that are read from it."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.count += len(content)
        return content


@pytest.mark.parametrize("form", ["WAV", "FLAC", "MP3"])
def test_of_a_long_file_no_more_is_decoded_than_a_clip_needs(form: str) -> None:
    stream = CountingStream()
    second = np.random.default_rng(0).uniform(-0.5, 0.5, 8_000)
    with soundfile.SoundFile(stream, "w", 8_000, 1, format=form) as file:
        for _ in range(100):
            file.write(second)
    size = len(stream.getvalue())
    stream.seek(0)
    stream.count = 0
    load_clip(stream, CQT())
    assert stream.count < max(size / 10, 2**17)  # FFmpeg's first look is at 64 KiB


def test_all_of_a_file_is_checked_and_none_of_it_kept() -> None:
    file = io.BytesIO(encoded(np.zeros(16 * BLOCK), format="FLAC"))
    tracemalloc.start()
    check_audio(file, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 4 * BLOCK
    broken = encoded(np.random.default_rng(0).uniform(-1, 1, 20_000), format="FLAC")
    with pytest.raises(AudioError, match="x: not audio that can be decoded, or damaged"):
        check_audio(io.BytesIO(broken[:-2_000]), "x")


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_resampling_keeps_a_tone_and_its_length(rate: int) -> None:
    converted = resampled(sine(1.0, rate).astype(np.float32), rate, RATE)
    assert converted.dtype == np.float32
    assert len(converted) == RATE
    middle = slice(2000, -2000)
    np.testing.assert_allclose(converted[middle], sine(1.0)[middle], atol=1e-4)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    converted = resampled(sine(1.0, 44_100, 12_000.0).astype(np.float32), 44_100, RATE)
    assert np.abs(converted[1000:-1000]).max() < 1e-4


def test_a_short_clip_is_padded_with_zeros() -> None:
    clip = load_clip(io.BytesIO(encoded(sine(0.5))), CQT())
    assert clip.shape == (53_760,)
    assert clip.dtype == np.float32
    np.testing.assert_allclose(clip[:8000], sine(0.5), atol=1 / 2**15)  # a peak of 0.5 stays
    assert not clip[8000:].any()


def test_a_long_clip_is_cut_as_if_all_of_it_had_been_resampled() -> None:
    front_end = CQT()
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 6 * 44_100)
    data = encoded(samples, 44_100, subtype="FLOAT")
    whole = resampled(samples.astype(np.float32), 44_100, RATE)[: front_end.samples]
    expected = whole * gain(np.abs(whole).max())
    np.testing.assert_allclose(load_clip(io.BytesIO(data), front_end), expected, atol=1e-5)


def test_a_clip_at_the_front_ends_rate_is_touched_in_its_level_only() -> None:
    """The highest peak of 999 / 2**15 lies between 1/64 and 1/32: 32 times that is below 1."""
    samples = (np.random.default_rng(0).integers(-999, 999, 200_000) / 2**15).astype(np.float32)
    clip = load_clip(io.BytesIO(encoded(samples, 44_100)), RecordingLogMel())
    np.testing.assert_array_equal(clip, 32 * samples[:176_400])


FRONT_ENDS = (
    CQT(),
    CQT(scaling="magnitude"),
    ImitationLogMel(),
    RecordingLogMel(),
    AudibleMel(),
    PreemphasisedMel(),
    ContourFeatures(),
)


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("level", [0.6, 0.01, 0.001, 3e-6])
def test_a_sound_gives_the_same_features_at_any_level(front_end: FrontEnd, level: float) -> None:
    noise = np.random.default_rng(0).standard_normal(30_000) * np.linspace(0.2, 0, 30_000)
    noise[:300] = 0
    noise[20] = 1.0  # a click, beside which the rest is soft
    heard = [
        front_end(torch.from_numpy(clip_of(each.astype(np.float32), 44_100, front_end))[None])
        for each in (noise, level * noise)
    ]
    np.testing.assert_allclose(heard[1].numpy(), heard[0].numpy(), atol=2e-3)


@pytest.mark.parametrize("offset", [0.0, 0.1])
@pytest.mark.parametrize("other", [-1.0, -0.98, -0.8])
def test_where_channels_cancel_the_louder_is_heard(other: float, offset: float) -> None:
    stereo = (np.stack([sine(), other * sine()], axis=1) + offset).astype(np.float32)
    waveform, _ = read_audio(io.BytesIO(encoded(stereo, subtype="FLOAT")))
    np.testing.assert_array_equal(waveform, stereo[:, 0])


UNKNOWN = (0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0x80000024, 0xFFFFFF00, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("form", "mark", "width", "lengths"),
    [
        ("WAV", b"data", 4, UNKNOWN),
        ("WAVEX", b"data", 4, UNKNOWN),
        ("AIFF", b"SSND", 4, UNKNOWN),
        ("AU", b".snd\0\0\0\x18", 4, UNKNOWN[-1:]),
        ("CAF", b"data", 8, (2**64 - 1,)),
    ],
)
def test_where_the_length_is_unknown_all_that_is_there_is_read(
    form: str, mark: bytes, width: int, lengths: tuple[int, ...]
) -> None:
    """As pipes and died recorders leave it, in one of the headers' lengths or in all."""
    whole = encoded(sine(), format=form, subtype="PCM_16")
    start = whole.index(mark) + len(mark)
    order = "little" if form.startswith("WAV") else "big"
    for length in lengths:
        data = bytearray(whole)
        data[start : start + width] = length.to_bytes(width, order)  # type: ignore[arg-type]
        if form in ("WAV", "AIFF"):
            data[4:8] = length.to_bytes(4, order)  # type: ignore[arg-type]
        np.testing.assert_array_equal(
            read_audio(io.BytesIO(data))[0], read_audio(io.BytesIO(whole))[0]
        )


def test_a_recorder_that_died_after_silence_is_read() -> None:
    whole = encoded(np.concatenate([np.zeros(500), sine()]))
    data = bytearray(whole)
    data[4:8] = data[40:44] = bytes(4)
    np.testing.assert_array_equal(read_audio(io.BytesIO(data))[0], read_audio(io.BytesIO(whole))[0])


def test_an_empty_wav_with_a_chunk_behind_stays_empty() -> None:
    data = encoded(np.zeros(0)) + b"LIST" + (4_000).to_bytes(4, "little") + bytes(4_000)
    with pytest.raises(AudioError, match="holds no samples"):
        read_audio(io.BytesIO(data))


@pytest.mark.parametrize("name", ["sox_pipe.wav", "recorder_died_data0.wav"])
def test_pipes_and_died_recorders_are_read(shared: Path, name: str) -> None:
    assert len(read_audio(shared / "cases/wav-unknown-length" / name)[0]) == 45_981


@pytest.mark.parametrize("lacking", [319, 320])
def test_less_than_20_ms_may_lack_at_the_end(lacking: int) -> None:
    data = encoded(sine(60.0))[: -2 * lacking]
    if lacking < 0.02 * RATE:
        assert len(read_audio(io.BytesIO(data))[0]) == 60 * RATE - lacking
    else:
        with pytest.raises(AudioError, match="truncated"):
            read_audio(io.BytesIO(data))
    assert len(read_audio(io.BytesIO(data), whole=False)[0]) == 60 * RATE - lacking


@pytest.mark.parametrize(
    ("form", "kind", "tolerance"),
    [("MP3", "MPEG_LAYER_III", 0.3), ("OGG", "VORBIS", 0.1), ("OGG", "OPUS", 0.1)],
)
def test_joined_files_play_whole(form: str, kind: str, tolerance: float) -> None:
    parts = [encoded(sine(1.0, frequency=f), format=form, subtype=kind) for f in (300, 500, 900)]
    if form == "OGG":  # each sound's pages have a number of their own
        assert len({part[14:18] for part in parts}) == 3
    waveform, rate = read_audio(io.BytesIO(b"".join(parts)))
    assert len(waveform) / rate == pytest.approx(3.0, abs=tolerance)


@pytest.mark.parametrize(
    ("rates", "channels"),
    [((44_100,) * 3, (1, 1, 1)), ((44_100, 22_050, 48_000), (1, 1, 1)), ((44_100,) * 3, (1, 2, 1))],
)
def test_joined_mp3s_with_tags_play_whole_whatever_their_rates(
    rates: tuple[int, ...], channels: tuple[int, ...]
) -> None:
    tag = b"ID3\x04\0\0\0\0\0\x64" + bytes(100)
    parts = [
        encoded(np.tile(sine(1.0, rate)[:, None], count), rate, format="MP3")
        for rate, count in zip(rates, channels, strict=True)
    ]
    waveform, rate = read_audio(io.BytesIO(b"".join(tag + part for part in parts)))
    assert rate in rates
    assert len(waveform) / rate == pytest.approx(3.0, abs=0.3)
    spectrum = np.abs(np.fft.rfft(waveform))
    assert spectrum.argmax() * rate / len(waveform) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("name", [b"Xing", b"Info"])
def test_an_mp3_whose_header_counts_too_few_frames_plays_whole(name: bytes) -> None:
    data = bytearray(encoded(sine(2.0), format="MP3").replace(b"Xing", name).replace(b"Info", name))
    count = data.index(name) + 8
    frames = int.from_bytes(data[count : count + 4], "big")
    data[count : count + 4] = (frames // 3).to_bytes(4, "big")
    waveform, rate = read_audio(io.BytesIO(data))
    assert len(waveform) / rate == pytest.approx(2.0, abs=0.15)


def test_a_flac_of_unknown_length_plays_whole() -> None:
    data = bytearray(encoded(sine(2.0), format="FLAC"))
    data[21] &= 0xF0  # how many samples there are: 36 bits
    data[22:26] = bytes(4)
    data[26:42] = bytes(16)  # and their checksum
    waveform, _ = read_audio(io.BytesIO(data))
    np.testing.assert_allclose(waveform, sine(2.0), atol=1 / 2**15)


def test_a_wav_that_another_is_joined_to_is_not_played_short_in_silence() -> None:
    joined = io.BytesIO(2 * encoded(sine()))
    with pytest.raises(AudioError, match="another file is joined to it"):
        read_audio(joined)
    assert len(read_audio(joined, whole=False)[0]) == 8000


def test_of_a_flac_that_was_cut_all_before_is_kept_on_request() -> None:
    data = encoded(np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE), format="FLAC")
    with pytest.raises(AudioError, match="damaged"):
        read_audio(io.BytesIO(cut(data, 0.5)))
    kept, _ = read_audio(io.BytesIO(cut(data, 0.5)), whole=False)
    np.testing.assert_array_equal(kept, read_audio(io.BytesIO(data))[0][: len(kept)])
    assert len(kept) / RATE == pytest.approx(2.0, abs=0.3)


def test_an_mp3_of_varying_rate_without_a_tag_plays_whole() -> None:
    parts = []
    for samples in (0.001 * sine(2.0), np.random.default_rng(0).uniform(-0.9, 0.9, 2 * RATE)):
        part = encoded(samples, format="MP3", subtype="MPEG_LAYER_III")
        parts.append(part.replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0"))
    waveform, _ = read_audio(io.BytesIO(b"".join(parts)))
    assert len(waveform) / RATE == pytest.approx(4.0, abs=0.3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.wav")
    with pytest.raises(AudioError, match="a folder, pipe or device, not a file"):
        read_audio(tmp_path / "x.wav")


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("x.wav")
        with pytest.raises(AudioError, match=r"x\.wav: cannot be read"):
            read_audio(Path("x.wav"))
