"""Sounds that FFmpeg decodes."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from vocalsketch.errors import AudioError
from vocalsketch.features.audio import read_audio, read_header

RATE = 16_000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE).astype(np.float32)


def recorded(form: str, codec: str, rate: int = RATE, **options: str) -> bytes:
    """Two seconds of a tone as a phone or browser records it."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=form, options=options) as file:
        track = file.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(TONE[None], "fltp", "mono")
        frame.rate = RATE
        resampler = av.AudioResampler(
            track.codec_context.format, "mono", rate, track.codec_context.frame_size or None
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(track.encode(part))
        file.mux(track.encode(None))
    return stream.getvalue()


FORMS = {
    "m4a": recorded("ipod", "aac"),
    "mp4": recorded("mp4", "aac", movflags="frag_keyframe+empty_moov"),  # as browsers write it
    "webm": recorded("webm", "libopus", rate=48_000),
    "live.webm": recorded("webm", "libopus", rate=48_000, live="1"),  # without a length
    "aac": recorded("adts", "aac"),
    "mka": recorded("matroska", "pcm_s16le"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_phones_and_browsers_record_is_read(tmp_path: Path, form: str) -> None:
    file = tmp_path / "query.wav"  # by content, whatever its name
    file.write_bytes(FORMS[form])
    waveform, rate = read_audio(file)
    streamed, _ = read_audio(io.BytesIO(FORMS[form]))
    np.testing.assert_array_equal(streamed, waveform)
    assert len(waveform) / rate == pytest.approx(2.0, abs=0.2)
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    assert spectrum.argmax() * rate / len(waveform) == pytest.approx(440, abs=1)
    assert np.abs(waveform[rate // 2 : rate]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("form", FORMS)
def test_a_part_is_that_of_the_whole(form: str) -> None:
    whole, rate = read_audio(io.BytesIO(FORMS[form]))
    part, _ = read_audio(io.BytesIO(FORMS[form]), offset=1.0, seconds=0.25)
    np.testing.assert_allclose(part, whole[rate : rate + len(part)], atol=1e-4)
    assert len(part) == rate // 4


def test_lengths_are_counted_where_no_header_says_them() -> None:
    seconds = [read_header(io.BytesIO(data), name)[0] for name, data in FORMS.items()]
    assert sum(seconds) == pytest.approx(2.0 * len(FORMS), abs=0.8)


@pytest.mark.parametrize("form", ["webm", "mp4", "aac"])
def test_a_recording_that_was_cut_is_said_or_read_on_request(form: str) -> None:
    data = FORMS[form][: len(FORMS[form]) // 2]
    with pytest.raises(AudioError, match="x: (truncated|damaged)"):
        read_audio(io.BytesIO(data), name="x")
    waveform, rate = read_audio(io.BytesIO(data), name="x", whole=False)
    assert 0.5 < len(waveform) / rate < 1.5


def test_pictures_are_no_sound() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="matroska") as file:
        track = file.add_stream("mpeg4", rate=25, width=16, height=16, pix_fmt="yuv420p")
        frame = av.VideoFrame.from_ndarray(np.zeros((24, 16), np.uint8), "yuv420p")
        file.mux(track.encode(frame))
        file.mux(track.encode(None))
    with pytest.raises(AudioError, match="x: holds no sound"):
        read_audio(io.BytesIO(stream.getvalue()), name="x")


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret.m4a").write_bytes(FORMS["m4a"])
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{tmp_path}/secret.m4a\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {tmp_path}/secret.m4a\n",
    ):
        (tmp_path / "list.m4a").write_text(text)
        with pytest.raises(AudioError, match="not audio that can be decoded"):
            read_audio(tmp_path / "list.m4a")
