"""Sounds that are synthesised as recipes.yaml says: the demo's recordings, city sounds.

Control curves, and ways to make a sound of them: additive, plucked, struck, filtered, noise. A
curve is what a sound's pitch or loudness does, sample by sample. Every sound is a waveform at
``SAMPLE_RATE``, float64, of no particular level.
"""

import operator
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import ndimage, signal
from scipy.io import wavfile

Curve = NDArray[np.float64]

SAMPLE_RATE = 44_100  # hz, of the demo's sounds and of every curve here
WINDOW = 1024  # samples of the frames in which filters move: 23 ms
HARMONICS = 1.0, 2.0, 3.0, 4.0, 5.0  # modes of a string or a tuned bar
BAR = 1.0, 3.93, 9.24  # modes of a free bar, as of a marimba before tuning
BELL = 0.5, 1.0, 1.19, 1.5, 2.0, 2.74, 3.76  # partials of a church bell
DRUM = 1.0, 1.59, 2.14, 2.3, 2.65, 2.92  # modes of a round membrane
METAL = 1.0, 1.41, 2.09, 2.56, 3.01, 3.87, 4.71, 5.93  # a plate: no common fundamental


def line(seconds: float, *values: float) -> Curve:
    """Return straight lines through ``values``, which stand at equal distances in time."""
    places = np.linspace(0.0, 1.0, max(len(values), 2))
    moments = np.linspace(0.0, 1.0, round(seconds * SAMPLE_RATE))
    return np.interp(moments, places, values if len(values) > 1 else values * 2)


def glide(seconds: float, *frequencies: float) -> Curve:
    """Return a pitch in Hz that glides through ``frequencies``, even to the ear (geometric)."""
    return np.asarray(np.exp(line(seconds, *np.log(frequencies))))


def steps(seconds: float, *values: float) -> Curve:
    """Return ``values`` one after another, each for the same time."""
    moments = np.arange(round(seconds * SAMPLE_RATE)) / (seconds * SAMPLE_RATE)
    places = (moments * len(values)).astype(int)
    return np.asarray(np.take(np.array(values, dtype=np.float64), places))


def swell(seconds: float, attack: float, release: float) -> Curve:
    """Return a loudness that rises for ``attack`` and falls for ``release`` seconds, 1 between."""
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    rising = np.clip(moments / attack, 0.0, 1.0)
    return np.minimum(rising, np.clip((seconds - moments) / release, 0.0, 1.0))


def strikes(seconds: float, times: list[float], fall: float, attack: float = 0.004) -> Curve:
    """Return a loudness that is struck at each of ``times`` and falls to 1/e in ``fall`` seconds.

    A later strike takes over from an earlier one, as on a damped drum.
    """
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    loudness = np.zeros_like(moments)
    for time in times:
        since = moments - time
        struck = np.clip(since / attack, 0.0, 1.0) * np.exp(-np.maximum(since, 0.0) / fall)
        loudness = np.maximum(loudness, struck)
    return loudness


def every(period: float, seconds: float, start: float = 0.02) -> list[float]:
    """Return the times of a steady beat, ``period`` seconds apart."""
    return [float(time) for time in np.arange(start, seconds - 0.05, period)]


def speeding(first: float, last: float, seconds: float) -> list[float]:
    """Return the times of a beat whose period goes from ``first`` to ``last`` seconds."""
    times = [0.02]
    while times[-1] < seconds - max(first, last):
        done = times[-1] / seconds
        times.append(times[-1] + first * (last / first) ** done)
    return times


def wave(seconds: float, rate: float, low: float, high: float) -> Curve:
    """Return a sine of ``rate`` Hz between ``low`` and ``high``, starting at ``low``."""
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return low + (high - low) * 0.5 * (1.0 - np.cos(2.0 * np.pi * rate * moments))


def gate(seconds: float, rate: float, share: float = 0.5) -> Curve:
    """Return a loudness that is on for ``share`` of each period of ``rate`` Hz, with soft edges."""
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    place = (moments * rate) % 1.0
    edge = 0.008 * rate
    return np.clip(place / edge, 0.0, 1.0) * np.clip((share - place) / edge, 0.0, 1.0)


def phase(pitch: Curve) -> Curve:
    """Return the phase in radians of an oscillator at ``pitch`` Hz."""
    return 2.0 * np.pi * np.cumsum(pitch) / SAMPLE_RATE


def tone(
    pitch: Curve, loudness: Curve, slope: float = 1.0, partials: int = 20, odd: bool = False
) -> Curve:
    """Return a sum of harmonics, the k-th at amplitude k ** -slope; none above 20 kHz.

    Slope 1 is a sawtooth; with ``odd`` harmonics only, a square wave.
    """
    turn = phase(pitch)
    sound = np.zeros_like(turn)
    for order in range(1, partials + 1, 2 if odd else 1):
        heard = pitch * order < 20_000.0
        if heard.any():
            sound += order**-slope * heard * np.sin(order * turn)
    return sound * loudness


def frequency_modulated(pitch: Curve, loudness: Curve, ratio: float, index: Curve | float) -> Curve:
    """Return a sine at ``pitch`` whose phase a sine at ``ratio * pitch`` moves by ``index``."""
    turn = phase(pitch)
    return np.sin(turn + index * np.sin(ratio * turn)) * loudness


def plucked(
    frequency: float, seconds: float, sustain: float = 0.996, *, rng: np.random.Generator
) -> Curve:
    """Return a plucked string (Karplus and Strong, 1983): noise in a damped delay loop.

    ``sustain`` is the gain of one turn of the loop, below 1.
    """
    period = round(SAMPLE_RATE / frequency - 0.5)
    excitation = np.zeros(round(seconds * SAMPLE_RATE))
    excitation[:period] = rng.uniform(-1.0, 1.0, period)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1.0, -0.5 * sustain, -0.5 * sustain
    return np.asarray(signal.lfilter([1.0], loop, excitation))


def struck(
    frequency: float, seconds: float, modes: Sequence[float] = BAR, fall: float = 0.3
) -> Curve:
    """Return a struck body: decaying sines at ``modes`` times ``frequency``.

    ``fall`` is the time in seconds in which the lowest mode falls to 1/e; higher ones fall faster.
    """
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros_like(moments)
    for mode in modes:
        ring = np.exp(-moments * np.sqrt(mode / modes[0]) / fall)
        sound += ring * np.sin(2.0 * np.pi * mode * frequency * moments) / np.sqrt(mode)
    return sound * np.clip(moments / 0.002, 0.0, 1.0)


def hiss(loudness: Curve, centre: Curve | float, width: float, rng: np.random.Generator) -> Curve:
    """Return noise around ``centre`` Hz, ``width`` octaves broad, both sides together."""
    centres = np.broadcast_to(np.asarray(centre, dtype=float), loudness.shape)
    noise = rng.standard_normal(len(loudness))

    def gain(frequency: Curve, middle: Curve) -> Curve:
        away = np.log2(np.maximum(frequency, 20.0) / middle) / (width / 2.0)
        return np.asarray(np.exp(-0.5 * away**2) / np.sqrt(middle))

    return _filtered(noise, centres, gain) * loudness


def lowpassed(sound: Curve, cutoff: Curve | float, resonance: float = 0.0) -> Curve:
    """Return ``sound`` through a low-pass filter of 24 dB per octave, whose cutoff in Hz may move.

    ``resonance`` is the gain of the peak at the cutoff, beside 1 below it.
    """
    cutoffs = np.broadcast_to(np.asarray(cutoff, dtype=float), sound.shape)

    def gain(frequency: Curve, corner: Curve) -> Curve:
        ratio = np.maximum(frequency, 20.0) / corner
        peak = resonance * np.exp(-0.5 * (np.log2(ratio) / 0.15) ** 2)
        return np.asarray(1.0 / np.sqrt(1.0 + ratio**8) + peak)

    return _filtered(sound, cutoffs, gain)


def mixed(seconds: float, *placed: tuple[float, Curve]) -> Curve:
    """Return clips added up, each from its start time in seconds; what overhangs is cut."""
    sound = np.zeros(round(seconds * SAMPLE_RATE))
    for time, clip in placed:
        start = round(time * SAMPLE_RATE)
        part = clip[: max(len(sound) - start, 0)]
        sound[start : start + len(part)] += part
    return sound


def _filtered(sound: Curve, control: Curve, gain: Callable[[Curve, Curve], Curve]) -> Curve:
    """Return ``sound`` with each frame's spectrum multiplied by ``gain(frequency, control)``."""
    hop = WINDOW // 4
    frequency, times, spectrum = signal.stft(
        sound, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - hop
    )
    frames = np.minimum((times * SAMPLE_RATE).astype(int), len(control) - 1)
    spectrum = spectrum * gain(frequency[:, None], control[None, frames])
    _, filtered = signal.istft(spectrum, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - hop)
    return np.asarray(filtered[: len(sound)])


SEED = 13_862


class Part(NamedTuple):
    """What a word stands for that is made anew wherever it is named."""

    recipe: Any


def recipes(name: str) -> list[Any]:
    """Return the documents of a file of recipes beside this one."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return list(yaml.load_all(text, yaml.CSafeLoader))


# Category -> name -> what makes the sound; class -> what makes it; what corpora.Language has
CATALOGUE, SCENES, LANGUAGES = recipes("recipes.yaml")
_NUMPY = "arange clip cos cumsum exp flatnonzero geomspace maximum sin sort std tanh where"
_WORDS: dict[str, Callable[..., Any]] = {
    **vars(operator),
    **globals(),
    **{name: getattr(np, name) for name in _NUMPY.split()},
    **{word.__name__: word for word in (len, max, min, range, round, sorted)},
    "first": lambda count, values: values[:count],
    "peak": lambda sound: float(np.abs(sound).max()),
    "joined": lambda *curves: np.concatenate(curves),
    "layered": lambda *sounds: np.sum(sounds, axis=0, dtype=np.float64),
    "fftconvolve": signal.fftconvolve,
}
_DRAWS = "uniform integers permutation choice normal random exponential"


def generator(*names: str) -> np.random.Generator:
    """Return the random generator of the thing with these names, whatever was made before it."""
    return np.random.default_rng([SEED, *(zlib.crc32(name.encode()) for name in names)])


def recording(category: str, name: str) -> Curve:
    """Return the sound's waveform at 44.1 kHz, its peak at 0.7, over a recording's faint noise."""
    rng = generator("sound", name)
    sound = made(CATALOGUE[category][name], rng)
    noise = 10.0 ** (rng.uniform(-62.0, -50.0) / 20.0) * rng.standard_normal(len(sound))
    noisy = sound / np.abs(sound).max() + ndimage.gaussian_filter1d(noise, 2.0)
    return np.asarray(0.7 * noisy / np.abs(noisy).max())


def made(recipe: Any, rng: np.random.Generator, **words: Any) -> Curve:
    """Return the waveform at 44.1 kHz of a recipe; ``words`` are the values of its names."""
    drawn = {name: getattr(rng, name) for name in _DRAWS.split()}
    for name in ("hiss", "plucked"):
        drawn[name] = lambda *given, make=_WORDS[name]: make(*given, rng=rng)
    return np.asarray(_value(recipe, {**_WORDS, **drawn, **words}))


def _value(recipe: Any, words: Mapping[str, Any]) -> Any:
    """Return what a part of a recipe stands for: a number, a list of these, or a waveform."""
    if isinstance(recipe, str):
        found = words[recipe]
        return _value(found.recipe, words) if isinstance(found, Part) else found
    if not isinstance(recipe, list):
        return recipe
    if recipe[0] == "let":
        for name, value in recipe[1].items():
            words = {**words, name: _value(value, words)}
        return _value(recipe[2], words)
    if recipe[0] == "if":
        return _value(recipe[2 if _value(recipe[1], words) else 3], words)
    if recipe[0] == "case":
        return _value(recipe[2 + _value(recipe[1], words)], words)
    values = [value for part in recipe for value in _values(part, words)]
    return values[0](*values[1:]) if callable(values[0]) else values


def _values(part: Any, words: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the value of a part of a list, or the several for which ``all`` and ``each`` stand."""
    special = part[0] if isinstance(part, list) else None
    if special == "all":
        yield from _value(part[1], words)
        return
    if special != "each":
        yield _value(part, words)
        return
    _, names, body = part
    columns = [_value(column, words) for column in names.values()]
    for row in zip(*columns, strict=True):
        yield _value(body, {**words, **dict(zip(names, row, strict=True))})


def write_wav(path: Path, waveform: NDArray[np.floating], sample_rate: int) -> None:
    """Write a mono 16-bit file; ``waveform`` is (samples,) in [-1, 1]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, sample_rate, np.round(waveform * 32_767.0).astype(np.int16))
