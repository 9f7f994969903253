"""What is synthesised as recipes.yaml says (the demo's recordings, city sounds), and written."""

import operator
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import ndimage, signal
from scipy.io import wavfile
from tqdm import tqdm

from vocalsketch.datasets.synthetic import synthesis
from vocalsketch.datasets.synthetic.synthesis import Curve

Thing = TypeVar("Thing")
Result = TypeVar("Result")

SEED = 13_862


class Part(NamedTuple):
    """What a word stands for that is made anew wherever it is named."""

    recipe: Any


def recipes(name: str) -> list[Any]:
    """Return the documents of a file of recipes beside this one."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return list(yaml.load_all(text, yaml.CSafeLoader))


def first(count: int, values: Any) -> Any:
    """Return that many values, or those that there are."""
    return values[:count]


def peak(sound: Curve) -> float:
    """Return how far a sound swings."""
    return float(np.abs(sound).max())


# Category -> name -> what makes the sound; class -> what makes it; what corpora.Language has
CATALOGUE, SCENES, LANGUAGES = recipes("recipes.yaml")
_NUMPY = "arange clip cos cumsum exp flatnonzero geomspace maximum sin sort std tanh where"
_WORDS: dict[str, Callable[..., Any]] = {
    **vars(operator),
    **vars(synthesis),
    **{name: getattr(np, name) for name in _NUMPY.split()},
    **{word.__name__: word for word in (len, max, min, range, round, sorted, first, peak)},
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


def made_together(
    make: Callable[[Thing], Result], things: Sequence[Thing], what: str, unit: str
) -> list[Result]:
    """Return ``make`` of each thing, in their order, on all cores under a progress bar.

    Threads do, since numpy and scipy let others run while they compute; unlike processes they
    can be started from a notebook, a script without a main guard and a data loader's worker.
    """
    with ThreadPoolExecutor() as pool:
        return list(tqdm(pool.map(make, things), desc=what, total=len(things), unit=unit))


def write_wav(path: Path, waveform: NDArray[np.floating], sample_rate: int) -> None:
    """Write a mono 16-bit file; ``waveform`` is (samples,) in [-1, 1]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, sample_rate, np.round(waveform * 32_767.0).astype(np.int16))
