"""What is synthesised as recipes.yaml says: the demo's recordings, and city sounds."""

import operator
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import ndimage

from vocalsketch.datasets.synthetic import synthesis
from vocalsketch.datasets.synthetic.synthesis import Curve

SEED = 13_862
# Category -> name -> what makes the sound; class -> what makes it; what languages.Language has
CATALOGUE, SCENES, LANGUAGES = yaml.load_all(
    Path(__file__).with_name("recipes.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader
)
_WORDS: dict[str, Callable[..., Any]] = {
    **vars(operator),
    **vars(synthesis),
    **{word.__name__: word for word in (max, round, sorted, np.maximum, np.sin)},
}


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


def made(recipe: Any, rng: np.random.Generator, **words: float) -> Curve:
    """Return the waveform at 44.1 kHz of a recipe; ``words`` are the values of its names."""
    drawn = {name: getattr(rng, name) for name in ("uniform", "integers", "permutation", "choice")}
    for name in ("hiss", "plucked"):
        drawn[name] = lambda *given, make=_WORDS[name]: make(*given, rng=rng)
    return np.asarray(_value(recipe, {**_WORDS, **drawn, **words}))


def _value(recipe: Any, words: Mapping[str, Any]) -> Any:
    """Return what a part of a recipe stands for: a number, a list of these, or a waveform."""
    if isinstance(recipe, str):
        return words[recipe]
    if not isinstance(recipe, list):
        return recipe
    if recipe[0] == "let":
        for name, value in recipe[1].items():
            words = {**words, name: _value(value, words)}
        return _value(recipe[2], words)
    values = [value for part in recipe for value in _values(part, words)]
    return values[0](*values[1:]) if callable(values[0]) else values


def _values(part: Any, words: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the value of a part of a list, or the several that ``each`` stands for."""
    if not isinstance(part, list) or part[0] != "each":
        yield _value(part, words)
        return
    _, names, body = part
    columns = [_value(column, words) for column in names.values()]
    for row in zip(*columns, strict=True):
        yield _value(body, {**words, **dict(zip(names, row, strict=True))})
