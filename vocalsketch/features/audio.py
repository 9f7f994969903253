"""Reading audio: any format libsndfile knows, as mono float32 at the rate that is asked for."""

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile
import soxr

from vocalsketch.errors import AudioError
from vocalsketch.features.containers import as_wav
from vocalsketch.features.truncation import TOLERATED, truncation
from vocalsketch.files import open_regular

if TYPE_CHECKING:
    from vocalsketch.features.front_end import FrontEnd

SHORTEST = 0.02  # seconds; less holds no sound that could be recognised
SAMPLE_RATES = range(1_000, 768_001)  # hz; outside it a header is damaged
LARGEST_SAMPLE = 1e10  # beyond it float samples are damage, and their power would overflow
BLOCK = 2**20  # samples over all channels that are decoded at once: a header's count is not trusted
LEFT_OF_CANCELLED = 0.1  # of the power of independent channels: less, and they cancel
MARGIN = 0.05  # seconds read beyond a clip, so that resampling sees what follows its end


def read_audio(
    source: Path | BinaryIO,
    *,
    seconds: float | None = None,
    offset: float = 0.0,
    mono: bool = True,
    name: str | None = None,
) -> tuple[np.ndarray, int]:
    """Decode audio and average its channels.

    No more is decoded than is asked for, and memory is bounded by that and by the audio that is
    really there, whatever the header says.

    Args:
        source: A file, or a seekable binary stream.
        seconds: Length to read; less is returned where the audio ends before. All by default.
        offset: Seconds to leave out at the beginning.
        mono: Whether channels are averaged.
        name: What to call the source in errors; by default its path.

    Returns:
        Float32 waveform (samples,), or (samples, channels) where ``mono`` is false, integers scaled
        to [-1, 1], and its sample rate in Hz.

    Raises:
        AudioError: The file is missing, empty, not audio, truncated, holds no samples, less than
            0.02 s or samples that are not finite, or the offset is beyond its end.
    """
    name = name or str(source if isinstance(source, Path) else getattr(source, "name", "audio"))
    blocks, rates = zip(
        *(
            (mixed(block) if mono else block, rate)
            for block, rate in _decoded(source, seconds, offset, name)
        ),
        strict=True,
    )
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), rates[0]


def mixed(samples: np.ndarray) -> np.ndarray:
    """Return the average (frames,) of channels (frames, channels), float32.

    Where channels cancel, and less than a tenth of the power is left that independent channels
    would leave, the loudest stands for all.

    Channels are added one after the other: ``mean(axis=1)`` gives the same, and of two channels
    takes more time than decoding them.
    """
    total = samples[:, 0]
    if samples.shape[1] > 1:
        total = total.copy()
        for channel in samples.T[1:]:
            total += channel
        total /= np.float32(samples.shape[1])
        powers = np.einsum("fc,fc->c", samples, samples)
        if total @ total < LEFT_OF_CANCELLED * powers.sum() / samples.shape[1] ** 2:
            return samples[:, powers.argmax()].copy()
    return total


def check_audio(source: Path | BinaryIO, name: str) -> None:
    """Decode all of a source and keep nothing of it, however long it is.

    Raises:
        AudioError: As ``read_audio``.
    """
    for _ in _decoded(source, None, 0.0, name):
        pass


def resampled(waveform: np.ndarray, rate: int, target_rate: int) -> np.ndarray:
    """Return a float32 waveform (samples,) at another rate: soxr's high quality, 20 bit."""
    if rate == target_rate:
        return waveform
    result: np.ndarray = soxr.resample(waveform, rate, target_rate, quality="HQ")
    return result


def load_clip(
    source: Path | BinaryIO, front_end: "FrontEnd", *, name: str | None = None
) -> np.ndarray:
    """Return the clip that a front end looks at: (samples,) float32, cut or zero-padded.

    Raises:
        AudioError: As ``read_audio``.
    """
    return clip_of(*read_audio(source, seconds=front_end.seconds + MARGIN, name=name), front_end)


def clip_of(waveform: np.ndarray, rate: int, front_end: "FrontEnd") -> np.ndarray:
    """Return the beginning of a waveform as a front end wants it: resampled, cut, zero-padded.

    Its level is set, so that no sound lies below a front end's absolute floor: by a power of two,
    which changes no digit, to a peak between 0.5 and 1.
    """
    seen = waveform[: math.ceil((front_end.seconds + MARGIN) * rate)]
    heard = resampled(seen, rate, front_end.sample_rate)[: front_end.samples]
    clip = np.zeros(front_end.samples, dtype=np.float32)
    clip[: len(heard)] = heard
    return levelled(clip)


def levelled(clip: np.ndarray) -> np.ndarray:
    """Return a float32 clip times that power of two which brings its peak into [0.5, 1)."""
    peak = float(np.abs(clip).max(initial=0.0))
    if not 0 < peak < math.inf:
        return clip
    scaled: np.ndarray = np.ldexp(clip, -math.frexp(peak)[1])
    return scaled


@contextmanager
def opened_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Raises:
        AudioError: It is missing or cannot be read.
    """
    try:
        with open_regular(path) as stream:
            yield stream
    except FileNotFoundError as error:
        raise AudioError(
            f"{path}: there is no such file: put it back or correct its name."
        ) from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error}).") from error


@contextmanager
def opened_audio(source: Path | BinaryIO, name: str) -> Iterator[soundfile.SoundFile]:
    """Open audio for decoding; its format is told by its content, never by its name.

    Raises:
        AudioError: It is missing or cannot be decoded; also of what goes wrong while it is open.
    """
    if isinstance(source, Path):
        with opened_file(source) as stream, opened_audio(stream, name) as audio:
            yield audio
        return
    if not source.read(1):
        raise AudioError(f"{name}: the file is empty (0 bytes): get it again or remove it.")
    source.seek(0)
    cut = truncation(source)
    if cut:
        raise _truncated(name, cut)
    source.seek(0)
    try:
        with _sound_file(source, name) as audio:
            yield audio
    except soundfile.SoundFileError as error:
        raise AudioError(
            f"{name}: not audio that can be decoded, or damaged ({_reason(error)})."
        ) from error


def _sound_file(source: BinaryIO, name: str) -> soundfile.SoundFile:
    """Open what libsndfile reads, or what else is decoded into memory first."""
    try:
        return soundfile.SoundFile(_readable(source), closefd=False)
    except soundfile.SoundFileError:
        return soundfile.SoundFile(as_wav(source, name))


def _readable(source: BinaryIO) -> "int | _Stream":
    """Return what libsndfile reads: the descriptor of a file, or else calls of a stream's methods.

    Each call of a method waits for Python's lock, and threads that decode wait for one another.
    """
    if isinstance(source, FileIO) and os.name == "posix":
        return source.fileno()
    return _Stream(source)


class _Stream:
    """A stream as libsndfile needs it: without a name to guess from, and deaf to senseless seeks.

    In damaged files it seeks before the beginning, and an exception cannot pass through it.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.read, self.tell = stream.read, stream.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek where that is possible; return the position, whence libsndfile sees a failure."""
        with suppress(ValueError, OverflowError, OSError):
            self._stream.seek(offset, whence)
        return self._stream.tell()


def _decoded(
    source: Path | BinaryIO, seconds: float | None, offset: float, name: str
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield at least one block, (frames, channels), and with each the rate; check all of them."""
    done = 0
    with opened_audio(source, name) as audio:
        rate = audio.samplerate
        if rate not in SAMPLE_RATES:
            raise AudioError(f"{name}: its sample rate is {rate} Hz: the header is damaged.")
        _check_whole(audio, name)
        promised = audio.frames - _sought(audio, offset, name)
        if seconds is not None:
            promised = min(promised, math.ceil(seconds * rate))
        for block in _blocks(audio, promised, name):
            done += len(block)
            yield block, rate
        lossy = audio.format in ("MP3", "OGG", "MPEG")  # their counts of frames are estimates
    _check_length(done, 0 if lossy else promised, rate, name)


def _reason(error: Exception) -> str:
    reason = getattr(error, "error_string", "") or "unknown format"
    return str(reason).rstrip(".")


def _sought(audio: soundfile.SoundFile, offset: float, name: str) -> int:
    """Move to ``offset`` seconds and return it in frames."""
    frame: int = round(offset * audio.samplerate)
    if frame:
        if not 0 < frame < audio.frames:
            raise AudioError(
                f"{name}: an offset of {offset} s is outside of its "
                f"{audio.frames / audio.samplerate:.2f} s."
            )
        audio.seek(frame)
    return frame


def _blocks(audio: soundfile.SoundFile, wanted: int, name: str) -> Iterator[np.ndarray]:
    """Yield float32 blocks (frames, channels) up to ``wanted`` frames or the end."""
    size = max(1, BLOCK // audio.channels)
    done = 0
    while done < wanted:
        block = audio.read(min(size, wanted - done), dtype="float32", always_2d=True)
        if not len(block):
            return
        # A comparison with NaN is false.
        if not max(block.max(), -block.min()) <= LARGEST_SAMPLE:
            raise AudioError(f"{name}: holds samples that are NaN, infinite or beyond all range.")
        yield block
        done += len(block)


def _check_whole(audio: soundfile.SoundFile, name: str) -> None:
    """Refuse a file that is shorter than its header says, where libsndfile noticed.

    It reads such a file to its end and tells of it only in its log. Lengths near 2 GiB, 4 GiB and
    of 2^63 or more are what programs write that stream into a pipe: the length was not known.
    """
    for promised, found in re.findall(
        r"(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", audio.extra_info
    ):
        if not _unknown(int(promised)) and int(found) < (1 - TOLERATED) * int(promised):
            raise _truncated(name, f"{found} of {promised} bytes of audio are there")


def _unknown(length: int) -> bool:
    """Whether a length in bytes is what is written where the length is not known."""
    return (
        0x7FFF_0000 <= length <= 0x8000_0000
        or 0xFFFF_FF00 <= length <= 0xFFFF_FFFF
        or length >= 2**63
    )


def _truncated(name: str, how: str) -> AudioError:
    return AudioError(f"{name}: truncated: {how}: get it again.")


def _check_length(frames: int, promised: int, rate: int, name: str) -> None:
    if frames < (1 - TOLERATED) * promised:
        raise _truncated(name, f"{frames} of {promised} samples are there")
    if not frames:
        raise AudioError(f"{name}: holds no samples: get it again or remove it.")
    if frames < SHORTEST * rate:
        raise AudioError(
            f"{name}: too short: {frames} samples, {frames / rate:.4f} s; "
            f"at least {SHORTEST} s are needed."
        )
