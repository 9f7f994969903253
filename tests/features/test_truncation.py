"""Compressed files that were cut short."""

import io

import numpy as np
import pytest
import soundfile

from vocalsketch.errors import AudioError
from vocalsketch.features.audio import read_audio
from vocalsketch.features.truncation import extent


def encoded(form: str, kind: str, rate: int = 16_000, channels: int = 1) -> bytes:
    stream = io.BytesIO()
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * rate, channels))
    soundfile.write(stream, samples, rate, format=form, subtype=kind)
    return stream.getvalue()


COMPRESSED = [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")]


@pytest.mark.parametrize(("form", "kind"), [*COMPRESSED, ("W64", "PCM_16"), ("RF64", "PCM_16")])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.8, 0.97])
def test_a_file_that_was_cut_anywhere_is_refused(form: str, kind: str, part: float) -> None:
    data = encoded(form, kind)
    with pytest.raises(AudioError, match="x: truncated: .*get it again"):
        read_audio(io.BytesIO(data[: int(part * len(data))]), name="x")


@pytest.mark.parametrize(("form", "kind"), COMPRESSED)
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (24_000, 2), (48_000, 1), (48_000, 2)])
def test_a_whole_file_is_not(form: str, kind: str, rate: int, channels: int) -> None:
    data = encoded(form, kind, rate, channels)
    assert extent(io.BytesIO(data)).cut == ""
    assert extent(io.BytesIO(data + b"TAG" + bytes(125))).cut == ""  # ID3v1 at the end


def test_a_chunk_of_odd_length_is_padded_and_lacks_nothing() -> None:
    stream = io.BytesIO()
    soundfile.write(stream, np.full(1_001, 0.5), 16_000, format="WAV", subtype="PCM_U8")
    listed = stream.getvalue() + b"LIST\4\0\0\0INFO"
    assert len(read_audio(io.BytesIO(listed))[0]) == 1_001


def test_what_an_mp3_lacks_is_counted_from_behind_its_tag() -> None:
    data = encoded("MP3", "MPEG_LAYER_III")
    picture = b"ID3\x04\0\0" + bytes([0, 0, 2, 1]) + bytes(257)
    assert extent(io.BytesIO(picture + data)).cut == ""
    half = len(data) // 2
    expected = f"{half} of {len(data)} bytes of audio are there"
    assert extent(io.BytesIO(picture + data[:half])).cut == expected


@pytest.mark.parametrize(
    "data", [b"", b"ID3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb", b"RIFF" + bytes(99)]
)
def test_of_other_files_nothing_is_known(data: bytes) -> None:
    assert extent(io.BytesIO(data)).cut == ""


@pytest.mark.parametrize("length", range(4, 30))
def test_an_ogg_file_that_ends_in_a_pages_header_is_cut(length: int) -> None:
    header = b"OggS" + bytes(22) + bytes([1, 5])
    assert extent(io.BytesIO((header + bytes(5))[:length])).cut == "its last page is cut"
    assert extent(io.BytesIO(header + bytes(5))).cut == ""
