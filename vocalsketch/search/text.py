"""Words beside the voice: what they match, and what a match is worth.

A tag narrows: only sounds in a folder of that name are ranked. Text re-weights: a sound whose path
lacks a word counts as a tenth as likely for each word that it lacks, so that voice and words are
fused as two systems are, by the product of their likelihoods.
"""

import math
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vocalsketch.errors import ConfigError
from vocalsketch.search.segment import as_numpy

LOG_LIKELIHOOD_OF_LACK = math.log(0.1)


def matches_tags(tags: pa.ChunkedArray, wanted: Sequence[str]) -> NDArray[np.bool_]:
    """Return which sounds have every wanted tag.

    A tag is the name of a folder around the sound, or whole words of it, in any case: ``kick``
    matches a folder ``Kick Drums``, and not ``Kicks``.

    Args:
        tags: A list of names for each sound.
        wanted: Tags.
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

    Raises:
        ConfigError: One is told in another way.

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
