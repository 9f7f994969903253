"""Makes damaged and malicious audio files from a seed, and says what becomes of each.

Run as a script, so that a crash, a hang or a flood of memory ends this process and not the test:

    python hostile_audio.py FOLDER FIRST LAST

It writes files FIRST to LAST (exclusive) into FOLDER and prints a JSON line before and after each.
"""

import io
import json
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import torch

from vocalsketch.errors import AudioError
from vocalsketch.features.audio import load_clip, read_audio, read_header
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.mel import ImitationLogMel, RecordingLogMel
from vocalsketch.search.embedding import windows_of

SECONDS_PER_FILE = 5  # of a busy machine; after that the file counts as a hang
ADDRESS_SPACE = 2**30  # bytes beyond what the program itself takes
FRONT_ENDS: tuple[FrontEnd, ...] = (CQT(), ImitationLogMel(), RecordingLogMel())
FORMATS = (
    *(("WAV", kind) for kind in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW")),
    *(("WAV", kind) for kind in ("IMA_ADPCM", "MS_ADPCM", "GSM610")),
    *(("AIFF", kind) for kind in ("PCM_16", "FLOAT")),
    *(("FLAC", kind) for kind in ("PCM_16", "PCM_24")),
    *(("OGG", kind) for kind in ("VORBIS", "OPUS")),
    ("MP3", "MPEG_LAYER_III"),
    *((form, "PCM_16") for form in ("W64", "RF64", "CAF", "AU", "WAVEX", "NIST", "VOC")),
)
SUFFIXES = ("wav", "flac", "ogg", "mp3", "aiff", "aif", "w64", "caf", "au", "raw", "txt", "")
SHAPES = (
    *((0, 1), (0, 2), (1, 1), (2, 2), (30, 1), (319, 1), (320, 2), (5_000, 1), (5_000, 255)),
    *((30_000, 32), (100_000, 1), (600_000, 1)),
)  # samples and channels
EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def encoded(samples: np.ndarray, rate: int, form: str = "WAV", kind: str = "FLOAT") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=form, subtype=kind)
    return stream.getvalue()


@cache
def sound(number: int) -> bytes:
    """Half a second of noise in one of the formats, all of which are damaged below."""
    form, kind = FORMATS[number % len(FORMATS)]
    channels = 1 if number < len(FORMATS) or kind == "GSM610" else 2
    samples = np.random.default_rng(number).uniform(-0.5, 0.5, (8_000, channels))
    return encoded(samples, 16_000, form, kind)


def flipped(data: bytearray, rng: random.Random, end: int | None = None) -> bytearray:
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(min(end or len(data), len(data)))] = rng.randrange(256)
    return data


def header_flipped(data: bytearray, rng: random.Random) -> bytearray:
    return flipped(data, rng, end=128)


def field_overwritten(data: bytearray, rng: random.Random) -> bytearray:
    """A length, rate, count or position of the header becomes a value at the edge of its type."""
    for _ in range(rng.randint(1, 3)):
        start, width = rng.randrange(4, 100), rng.choice([1, 2, 4, 4, 8])
        value = rng.choice(EXTREMES) & (2 ** (8 * width) - 1)
        data[start : start + width] = value.to_bytes(width, rng.choice(["little", "big"]))
    return data


def truncated(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def shortened(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(1, 4_000)]
    return data


def repeated(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(data))
    return data[: start + rng.randrange(1, 4_000)] + data[start:]


def nested(data: bytearray, rng: random.Random) -> bytearray:
    """The file within itself, at any place, as a chunk within a chunk."""
    start = rng.randrange(min(200, len(data)))
    chunk = rng.choice([b"LIST", b"RIFF", b"data", b"fmt ", b"junk", b"FORM", b"SSND", b"ID3\4"])
    size = rng.choice([len(data), 0, 0xFFFFFFFF]).to_bytes(4, "little")
    return data[:start] + (chunk + size) * rng.randint(1, 50) + data + data[start:]


def followed_by_junk(data: bytearray, rng: random.Random) -> bytearray:
    return data + rng.randbytes(rng.randrange(1, 4_000))


def preceded_by_junk(data: bytearray, rng: random.Random) -> bytearray:
    return bytearray(rng.randbytes(rng.randrange(1, 600))) + data


def spliced(data: bytearray, rng: random.Random) -> bytearray:
    """The beginning of one format with the end of another."""
    other = sound(rng.randrange(2 * len(FORMATS)))
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def junk(data: bytearray, rng: random.Random) -> bytearray:
    """Random bytes behind a format's first bytes, or behind none."""
    return data[: rng.choice([0, 4, 12, 40])] + rng.randbytes(rng.randrange(6_000))


def zeroed(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(data))
    length = len(data[start : start + rng.randrange(1, 6_000)])
    data[start : start + length] = bytes(length)
    return data


MUTATIONS: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    *(flipped, header_flipped, header_flipped, field_overwritten, field_overwritten, truncated),
    *(shortened, repeated, nested, followed_by_junk, preceded_by_junk, spliced, junk, zeroed),
)


def peculiar(data: bytearray, rng: random.Random) -> bytearray:
    """A whole file of samples, rates, lengths and channels that nobody expects."""
    length, channels = rng.choice(SHAPES)
    rate = rng.choice([1, 7, 999, 1_000, 1_001, 8_000, 44_100, 384_000, 768_000, 2**31 - 1])
    samples = np.random.default_rng(rng.randrange(2**32)).uniform(-1, 1, (length, channels))
    samples = rng.choice([np.zeros_like, np.ones_like, np.sign, np.array])(samples)  # DC, clipping
    samples *= rng.choice([1.0, 1.0, 1e-5, 1e-30, 1e-40, 5e-324, 1e9, 1e20, 1e38])
    if samples.size and rng.random() < 0.3:
        value = rng.choice([np.nan, np.inf, -np.inf, 1e39, -1e300, 3e38])
        samples[rng.randrange(length), rng.randrange(channels)] = value
    return bytearray(encoded(samples, rate, *rng.choice([("WAV", "FLOAT"), ("CAF", "DOUBLE")])))


def hostile(number: int) -> tuple[str, bytes]:
    """Return the name and the bytes of one file: the same on every run and machine."""
    rng = random.Random(number)
    make = peculiar if number % 8 == 0 else MUTATIONS[number % len(MUTATIONS)]
    data = bytearray(sound(rng.randrange(2 * len(FORMATS))))
    suffix = rng.choice(SUFFIXES)
    return f"{number}-{make.__name__}.{suffix}".rstrip("."), bytes(make(data, rng))


def outcome(file: Path, number: int) -> str:
    """Read a file in every way there is; return ``heard`` or why it was refused.

    Raises:
        AssertionError: A refusal does not name the file, or features are not finite.
    """
    with suppress(AudioError):
        read_header(file, file.name)
    try:
        waveform, _ = read_audio(file)
        assert np.isfinite(waveform).all(), "samples that are not finite"
        front_end = FRONT_ENDS[number % len(FRONT_ENDS)]
        clip = load_clip(file, front_end)
        assert clip.shape == (front_end.samples,)
        features = front_end(torch.from_numpy(clip)[None])[0]
        assert features.shape == front_end.shape
        assert torch.isfinite(features).all(), "features that are not finite"
        with file.open("rb") as stream:
            for _, window in windows_of(stream, front_end, str(file)):
                assert np.isfinite(window).all(), "windows that are not finite"
    except AudioError as error:
        refusal = str(error)
    else:
        return "heard"
    assert str(file) in refusal, f"a refusal that names no file: {refusal}"
    return refusal.replace(str(file), "FILE")


def main(folder: Path, first: int, last: int) -> None:
    torch.set_num_threads(1)
    for front_end in FRONT_ENDS:
        front_end(torch.zeros(1, front_end.samples))  # tables are made once
    for number in range(len(FORMATS)):
        sound(number)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ADDRESS_SPACE, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process, whatever C code runs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(first, last):
        name, data = hostile(number)
        print(json.dumps({"file": name}), flush=True)
        file = folder / name
        file.write_bytes(data)
        signal.alarm(SECONDS_PER_FILE)
        started = time.monotonic()
        found = outcome(file, number)
        signal.alarm(0)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        row = {"outcome": found, "seconds": time.monotonic() - started, "mebibytes": grown}
        print(json.dumps(row), flush=True)
        file.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
