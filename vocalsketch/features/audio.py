"""Reading audio: what libsndfile or FFmpeg know, as mono float32 at the rate that is asked for.

An AudioError names a file that is missing or cannot be used, and says why.
"""

import hashlib
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

import numpy as np
import soundfile
import soxr

from vocalsketch.errors import AudioError
from vocalsketch.features.level import gain, sounding
from vocalsketch.features.truncation import Extent, extent
from vocalsketch.files import open_regular

if TYPE_CHECKING:
    from vocalsketch.features.containers import Container
    from vocalsketch.features.front_end import FrontEnd

SHORTEST = 0.02  # seconds; less holds no sound that could be recognised, and may lack at an end
SAMPLE_RATES = range(1_000, 768_001)  # hz; outside it a header is damaged
LARGEST_SAMPLE = 1e10  # beyond it float samples are damage, and their power would overflow
FRAMES_TO_SAVE = 1_024  # decoded at once where what is there counts: with damage they are lost
BLOCK = 2**20  # samples over all channels that are decoded at once: a header's count is not trusted
LEFT_OF_CANCELLED = 0.1  # of the power of independent channels: less, and they cancel
STATED = r"(?:data|SSND|Data Size|riff|Riff size) +: (\d+) \(should be (\d+)\)"  # bytes
# bytes that pipes and died recorders state
UNKNOWN = ((0, 0), (0x7FFF_0000, 0x8000_FFFF), (0xFFFF_FF00, 0xFFFF_FFFF), (2**63 - 2**32, 2**64))
Audio: TypeAlias = "soundfile.SoundFile | Container"

MARGIN = 0.05  # seconds read beyond a clip, so that resampling sees what follows its end


def read_audio(
    source: Path | BinaryIO,
    *,
    seconds: float | None = None,
    offset: float = 0.0,
    mono: bool = True,
    whole: bool = True,
    name: str | None = None,
) -> tuple[np.ndarray, int]:
    """Decode audio, average its channels, and return a float32 waveform and its rate in Hz.

    No more is decoded than is asked for, and memory is bounded by that and by the audio that is
    really there, whatever the header says.

    Args:
        source: A file, or a seekable binary stream.
        seconds: Length to read; less is returned where the audio ends before. All by default.
        offset: Seconds to leave out at the beginning.
        mono: Whether the waveform is (samples,), or else (samples, channels).
        whole: Whether a file that is cut short is refused; otherwise what is there is read.
        name: What to call the source in errors; by default its path.

    Raises:
        AudioError: The file is missing, empty, not audio, truncated, holds no samples, less than
            0.02 s or samples that are not finite, or the offset is beyond its end.
    """
    name = name or str(source if isinstance(source, Path) else getattr(source, "name", "audio"))
    decoded = _decoded(source, seconds, offset, name, whole)
    mixed_down = [(mixed(block) if mono else block, rate) for block, rate in decoded]
    blocks, rates = zip(*mixed_down, strict=True)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), rates[0]


def mixed(samples: np.ndarray) -> np.ndarray:
    """Return the average (frames,) of channels (frames, channels), float32.

    Where channels cancel, and less than a tenth of the power is left that independent channels
    would leave, offsets not counted, the loudest stands for all.
    """
    # ``mean(axis=1)`` gives the same, and of two channels takes more time than decoding them
    total = samples[:, 0]
    if samples.shape[1] > 1:
        total = total.copy()
        for channel in samples.T[1:]:
            total += channel
        total /= np.float32(samples.shape[1])
        powers = [each @ each - each.sum() ** 2 / max(1, len(each)) for each in (*samples.T, total)]
        if powers.pop() < LEFT_OF_CANCELLED * sum(powers) / samples.shape[1] ** 2:
            return samples[:, np.argmax(powers)].copy()
    return total


def check_audio(source: Path | BinaryIO, name: str) -> None:
    """Decode all of a source, as ``read_audio``, and keep nothing of it, however long it is."""
    for _ in _decoded(source, None, 0.0, name):
        pass


def read_header(source: Path | BinaryIO, name: str) -> tuple[float, int, int]:
    """Return length in seconds, sample rate in Hz, and number of channels; nothing is decoded."""
    with opened_audio(source, name) as audio:
        return audio.frames / audio.samplerate, audio.samplerate, audio.channels


def resampled(waveform: np.ndarray, rate: int, target_rate: int) -> np.ndarray:
    """Return a float32 waveform (samples,) at another rate: soxr's high quality, 20 bit."""
    if rate == target_rate:
        return waveform
    result: np.ndarray = soxr.resample(waveform, rate, target_rate, quality="HQ")
    return result


def load_clip(
    source: Path | BinaryIO,
    front_end: "FrontEnd",
    *,
    whole: bool = True,
    name: str | None = None,
) -> np.ndarray:
    """Return the clip that a front end looks at: (samples,) float32, cut or zero-padded."""
    seconds = front_end.seconds + MARGIN
    return clip_of(*read_audio(source, seconds=seconds, whole=whole, name=name), front_end)


@dataclass(frozen=True)
class ClipShape:
    """What ``clip_of`` must know of a front end; see there."""

    sample_rate: int  # hz
    seconds: float
    trim: float | None  # dB below the loudest
    absolute: bool = False  # whether the level is set exactly

    @property
    def samples(self) -> int:
        """Length of a clip."""
        return round(self.sample_rate * self.seconds)


def clip_of(waveform: np.ndarray, rate: int, front_end: "FrontEnd | ClipShape") -> np.ndarray:
    """Return the beginning of a waveform as a front end wants it: resampled, cut, zero-padded.

    Silence at both ends is cut before, where the front end declares it. The level is set, so that
    no sound lies below a front end's absolute floor: by a power of two, unless more is declared.
    """
    if front_end.trim is not None and len(waveform):
        waveform = waveform[sounding(waveform, rate, front_end.trim)]
    seen = waveform[: math.ceil((front_end.seconds + MARGIN) * rate)]
    heard = resampled(seen, rate, front_end.sample_rate)[: front_end.samples]
    clip = np.zeros(front_end.samples, dtype=np.float32)
    part = clip[: len(heard)]
    peak = float(np.abs(heard, out=part).max(initial=0.0))
    np.multiply(heard, gain(peak, front_end.absolute), out=part)
    return clip


@contextmanager
def opened_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading."""
    try:
        with open_regular(path) as stream:
            yield stream
    except OSError as error:
        why = f"cannot be read ({error.strerror or error})."
        if isinstance(error, FileNotFoundError):
            why = "there is no such file: put it back or correct its name."
        raise AudioError(f"{path}: {why}") from error


def content_id(stream: BinaryIO) -> str:
    """Return a hash of all bytes of a stream, 32 hexadecimal digits: of what a feature is."""
    try:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]  # type: ignore[arg-type]  # a file
    except OSError as error:
        raise AudioError(f"{stream.name}: cannot be read ({error.strerror or error}).") from error


@contextmanager
def opened_audio(source: Path | BinaryIO, name: str, whole: bool = True) -> Iterator[Audio]:
    """Open audio for decoding; its format is told by its content, never by its name.

    What is cut short is an error if it has to be ``whole``, and so is what goes wrong while open.
    """
    if isinstance(source, Path):
        with opened_file(source) as stream, opened_audio(stream, name, whole) as audio:
            yield audio
        return
    source.seek(0)
    if not source.read(1):
        raise AudioError(f"{name}: the file is empty (0 bytes): get it again or remove it.")
    known = extent(source)
    if known.cut and whole:
        raise _truncated(name, known.cut)
    source.seek(0)
    try:
        with _opened(source, known, name, whole) as audio:
            if whole:
                _check_whole(audio, name)
            yield audio
    except soundfile.SoundFileError as error:
        raise AudioError(
            f"{name}: not audio that can be decoded, or damaged ({_reason(error)}): get it again."
        ) from error


def _opened(source: BinaryIO, known: Extent, name: str, whole: bool) -> Audio:
    """Open by libsndfile what it knows and plays whole, anything else by FFmpeg."""
    refused = None
    if not known.foreign:
        # Each call of a method waits for Python's lock: threads that decode wait for one another.
        own = isinstance(source, FileIO) and os.name == "posix"
        try:
            audio = soundfile.SoundFile(source.fileno() if own else _Stream(source), closefd=False)
        except soundfile.SoundFileError as error:
            refused = error
            if whole and "No 'RIFF' chunk marker" in _reason(error):
                how = "another file is joined to it, which would not be heard"
                raise _truncated(name, how) from error
        else:
            # samples where chunks should be: a recorder died, and its header knows of none
            if audio.frames or not re.search("(Unknown chunk|Have 0) marker", audio.extra_info):
                return audio
            audio.close()
    from vocalsketch.features.containers import Container

    try:
        return Container(cast("BinaryIO", _Stream(source)), name, whole)
    except AudioError:
        if refused is None or "not recognised" in _reason(refused):
            raise
        raise refused from None


def _check_whole(audio: Audio, name: str) -> None:
    """Refuse a file that lacks 20 ms or more of what its header states, by libsndfile's log."""
    stated, there = 0, 0
    for found in re.findall(STATED, getattr(audio, "extra_info", "")):
        stated, there = map(int, found)
    unknown = any(low <= stated <= high for low, high in UNKNOWN)
    lacking = 0 if unknown else stated - there
    if lacking > 0 and lacking * audio.frames >= SHORTEST * audio.samplerate * there:
        raise _truncated(name, f"{there} of {stated} bytes of audio are there")


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
    source: Path | BinaryIO, seconds: float | None, offset: float, name: str, whole: bool = True
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield at least one block, (frames, channels), and with each the rate; check all of them."""
    done = 0
    with opened_audio(source, name, whole) as audio:
        rate = audio.samplerate
        if rate not in SAMPLE_RATES:
            raise AudioError(f"{name}: its sample rate is {rate} Hz: the header is damaged.")
        start: int = round(offset * rate)
        if start and not 0 < start < audio.frames:
            length = audio.frames / rate
            raise AudioError(f"{name}: an offset of {offset} s is outside of its {length:.2f} s.")
        if start:
            audio.seek(start)
        wanted = math.inf if seconds is None else math.ceil(seconds * rate)
        for block in _blocks(audio, wanted, name, whole):
            done += len(block)
            yield block, rate
        promised = min(wanted, _stated(audio) - start) if whole else 0
    if done <= promised - SHORTEST * rate:
        raise _truncated(name, f"{done} of {promised} samples are there")
    if done < SHORTEST * rate:
        why = f"too short: {done} samples, {done / rate:.4f} s; at least {SHORTEST} s are needed."
        raise AudioError(
            f"{name}: {why if done else 'holds no samples: get it again or remove it.'}"
        )


def _stated(audio: Audio) -> int:
    """Return the number of frames that have to come, where it is not an estimate; or 0."""
    if not isinstance(audio, soundfile.SoundFile):
        return audio.stated
    return 0 if audio.format == "OGG" or audio.subtype.startswith("MPEG") else audio.frames


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", "") or "unknown format").rstrip(".")


def _blocks(audio: Audio, wanted: float, name: str, whole: bool) -> Iterator[np.ndarray]:
    """Yield float32 blocks (frames, channels) up to ``wanted`` frames or the end, or the damage."""
    size = max(1, BLOCK // audio.channels) if whole else FRAMES_TO_SAVE
    done = 0
    while done < wanted:
        try:
            block = audio.read(int(min(size, wanted - done)), dtype="float32", always_2d=True)
        except soundfile.SoundFileError:
            if whole or not done:
                raise
            return
        if not len(block):
            return
        # A comparison with NaN is false.
        if not max(block.max(), -block.min()) <= LARGEST_SAMPLE:
            raise AudioError(f"{name}: holds samples that are NaN, infinite or beyond all range.")
        yield block
        done += len(block)


def _truncated(name: str, how: str) -> AudioError:
    return AudioError(f"{name}: truncated: {how}: get it again.")
