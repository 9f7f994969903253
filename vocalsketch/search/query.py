"""From what was sung to what a network listens to, the words beside it, and the user's desktop.

A tag narrows: only sounds in a folder of that name are ranked. Text re-weights: a sound whose path
lacks a word counts as a tenth as likely for each word that it lacks, so that voice and words are
fused as two systems are, by the product of their likelihoods. The sound card records and plays,
for which sounddevice is needed, an extra; the file manager shows a file.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from vocalsketch.errors import AudioError, ConfigError
from vocalsketch.features.audio import SAMPLE_RATES, mixed, read_audio
from vocalsketch.features.level import sounding
from vocalsketch.search.segment import as_numpy

if TYPE_CHECKING:
    from vocalsketch.search.shard import Hit

Waveform = NDArray[np.float32]

LONGEST = 60.0  # seconds that are looked at for a sound; the networks take its first 4
SHORTEST = 0.1  # seconds; less is a click
SILENCE = 1e-5  # of full scale (-100 dB)
OFFSET = 0.01  # of the peak: a mean beyond it is no sound
PEAK = 0.5  # of full scale, to which every query is brought
RATE = 44_100  # hz, of a recording
LOG_LIKELIHOOD_OF_LACK = math.log(0.1)


def read_query(file: Path | str, start: float = 0.0) -> tuple[Waveform, int]:
    """Read a query, or a found sound from where it begins, at most a minute.

    Returns a mono waveform (samples,), and its rate in Hz.
    """
    return read_audio(Path(file), seconds=LONGEST, offset=start)


@dataclass(frozen=True)
class HeardPart:
    """Which part of a query of some seconds is listened to, and the same in words."""

    seconds: float
    start: float
    end: float
    note: str


def prepared(waveform: ArrayLike, rate: int, trim: bool = True) -> Waveform:
    """Return a query as every network is given it, before it is resampled.

    Channels are averaged, a constant offset is taken away, the level is set, and silence at both
    ends is cut: the front ends measure against a clip's maximum, but only above an absolute floor.

    Args:
        waveform: (samples,) or (samples, channels); its first minute is looked at.
        rate: Hz.
        trim: Whether to cut silence.

    Raises:
        AudioError: It is silent, shorter than 0.1 s, or holds values that are not finite.
    """
    audio = _levelled(waveform, rate)
    return audio[sounding(audio, rate)] if trim else audio


def heard_part(
    waveform: ArrayLike, rate: int, trim: bool = True, seconds: float = LONGEST
) -> HeardPart:
    """Say which part of a query is listened to, by a system that looks at so many seconds."""
    audio = _levelled(waveform, rate)
    whole = slice(0, len(audio))
    kept = sounding(audio, rate) if trim else whole
    start, end = kept.start / rate, min(kept.stop / rate, kept.start / rate + seconds)
    told = "silence was cut" if kept != whole else "nothing was cut"
    told += ": there is no silence at its ends" if trim and kept == whole else ""
    told += f"; no more than {seconds:g} s are looked at" if end < kept.stop / rate else ""
    told = f"Heard: {start:.2f} to {end:.2f} s of {len(audio) / rate:.2f} s ({told})."
    return HeardPart(len(audio) / rate, start, end, told)


def _levelled(waveform: ArrayLike, rate: int) -> Waveform:
    """Return one channel without its offset, at the level of every query."""
    if rate not in SAMPLE_RATES:
        raise AudioError(f"The query's sample rate is {rate} Hz: give it in Hz, such as 44100.")
    audio = np.atleast_1d(np.asarray(waveform))[: round(LONGEST * rate)].astype(np.float32)
    if audio.ndim == 2 and audio.shape[1]:
        audio = mixed(audio)
    if audio.ndim != 1:
        raise AudioError(f"The query is of shape {audio.shape}: give (samples,) or add channels.")
    if len(audio) < SHORTEST * rate:
        raise AudioError(
            f"The query is too short: {len(audio) / rate:.3f} s; imitate for {SHORTEST} s or more."
        )
    if not np.isfinite(audio).all():
        raise AudioError("The query holds samples that are NaN or infinite.")
    offset = float(audio.mean(dtype=np.float64))
    if abs(offset) > OFFSET * np.abs(audio).max():
        audio = audio - np.float32(offset)
    peak = float(np.abs(audio).max())
    if peak <= SILENCE:
        raise AudioError("The query is silent: check the microphone, and its level.")
    levelled: Waveform = audio * np.float32(PEAK / peak)
    return levelled


def matches_tags(tags: pa.ChunkedArray, wanted: Sequence[str]) -> NDArray[np.bool_]:
    """Return which sounds have every wanted tag, of the list of names of each.

    A tag is the name of a folder around the sound, or whole words of it, in any case: ``kick``
    matches a folder ``Kick Drums``, and not ``Kicks``.
    """
    joined = pc.binary_join(tags, "/")
    found = np.ones(len(tags), dtype=bool)
    for tag in wanted:
        pattern = rf"(?i)(?:^|[^\pL\pN]){_quoted(tag)}(?:$|[^\pL\pN])"
        found &= as_numpy(pc.match_substring_regex(joined, pattern))
    return found


def text_log_likelihoods(paths: pa.ChunkedArray, text: str) -> NDArray[np.float64]:
    """Return the logarithm of how likely each sound is by words alone, up to a constant.

    A word matches where a word of the path begins with it, in any case: ``door`` matches
    ``Doors/x.wav``, ``car_door.wav`` and ``CarDoor.wav``, and not ``outdoor.wav``.
    """
    total = np.zeros(len(paths))
    for word in words_of(text):
        total[~as_numpy(pc.match_substring_regex(paths, word_pattern(word)))] += (
            LOG_LIKELIHOOD_OF_LACK
        )
    return total


def words_of(text: str) -> list[str]:
    """Return the different words of a text, in small letters.

    >>> words_of("Car door, car!")
    ['car', 'door']
    """
    return list(dict.fromkeys(re.findall(r"[^\W_]+", text.casefold())))


def aspect_weights(told: Sequence[str]) -> dict[str, float]:
    """Return the factors that are told as ``NAME=FACTOR``.

    >>> aspect_weights(["pitch=2"])
    {'pitch': 2.0}
    """
    weights = {}
    for each in told:
        name, _, factor = each.rpartition("=")
        try:
            weights[name] = float(factor)
        except ValueError as error:
            raise ConfigError(f"{each!r} is no aspect and factor: give such as pitch=2.") from error
    return weights


def word_pattern(word: str) -> str:
    """Return what a path that has a word matches, in RE2's syntax."""
    anywhere = rf"(?:^|[^\pL\pN])(?i:{_quoted(word)})"
    inside_camel_case = rf"\p{{Ll}}{_quoted(word[0].upper())}(?i:{_quoted(word[1:])})"
    return f"{anywhere}|{inside_camel_case}"


def _quoted(literal: str) -> str:
    """Return a pattern that matches a text as it is, in RE2's syntax."""
    return "".join(f"\\x{{{ord(letter):x}}}" for letter in literal)


def record(seconds: float, begun: Callable[[], object] = lambda: None) -> tuple[Waveform, int]:
    """Record from the default microphone; ``begun`` is called when it listens.

    Returns a mono waveform (samples,), and its rate in Hz.

    Raises:
        ConfigError: ``seconds`` is out of range, or there is no sounddevice or PortAudio.
        AudioError: There is no microphone, or it cannot be used.
    """
    if not 0 < seconds <= LONGEST:
        raise ConfigError(f"{seconds} s cannot be recorded: give more than 0 and at most 60.")
    sounddevice = _sounddevice()
    try:
        audio = sounddevice.rec(round(seconds * RATE), samplerate=RATE, channels=1, dtype="float32")
        begun()
        sounddevice.wait()
    except sounddevice.PortAudioError as error:
        raise AudioError(
            f"The microphone cannot be used ({error}): check that it is on."
        ) from error
    return np.asarray(audio)[:, 0], RATE


def play(hit: "Hit") -> None:
    """Play a found sound's best window, and return when it is over."""
    sounddevice = _sounddevice()
    audio, rate = read_audio(hit.file, offset=hit.start, seconds=hit.end - hit.start)
    try:
        sounddevice.play(audio, rate)
        sounddevice.wait()
    except sounddevice.PortAudioError as error:
        raise AudioError(f"{hit.file} cannot be played ({error}).") from error


def reveal(file: Path) -> None:
    """Show a file in the file manager, selected where the manager can do that."""
    import click

    if click.launch(str(file.absolute()), locate=True):
        raise ConfigError(f"No file manager can show {file}: open its folder yourself.")


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ImportError as error:
        raise ConfigError(
            "Recording and playing need sounddevice: `pip install 'vocalsketch[audio]'`."
        ) from error
    except OSError as error:  # it is there, and the library that it wraps is not
        raise ConfigError(
            f"Recording and playing need PortAudio ({error}): install it, on Debian with "
            "`apt install libportaudio2`."
        ) from error
    module: ModuleType = sounddevice
    return module
