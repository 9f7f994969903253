"""The yardstick without learning, on the queries and candidates of a study's runs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vocalsketch.datasets.records import Corpus
from vocalsketch.features.audio import read_audio
from vocalsketch.features.contours import Array, contour_features, contour_scores
from vocalsketch.features.threads import available_cores
from vocalsketch.retrieval.scores import CategoryScores, Scores

NAME = "without_learning"


def yardstick_scores(corpus: Corpus, reference: Scores, *, progress: bool = True) -> Scores:
    """Rank a half by the distance of contours and averages: nothing is trained.

    Each side is standardised over all clips of the half.

    Args:
        corpus: Where the audio is.
        reference: A run whose queries and candidates are ranked.
        progress: Whether to show a progress bar.

    Raises:
        AudioError: A file cannot be read.
    """
    queries = [query for each in reference.categories for query in each.queries]
    candidates = [sound for each in reference.categories for sound in each.candidates]
    paths = {each.id: each.path for each in corpus.imitations}
    sounds = {each.id: each.path for each in corpus.sounds}
    files = [*(paths[query] for query in queries), *(sounds[sound] for sound in candidates)]
    features = _features(files, progress)
    scores = contour_scores(features[: len(queries)], features[len(queries) :])
    return replace(
        reference,
        kind="similarity",
        system=NAME,
        categories=tuple(_by_category(reference.categories, scores)),
    )


def _features(files: Sequence[Path], progress: bool) -> Array:
    """Return the vectors of files, (files, width)."""
    with ThreadPoolExecutor(available_cores()) as pool:
        made = pool.map(lambda path: contour_features(*read_audio(path)), files)
        bar = tqdm(
            made, total=len(files), desc="without learning", unit="clip", disable=not progress
        )
        return np.stack(list(bar))


def _by_category(categories: Sequence[CategoryScores], scores: Array) -> list[CategoryScores]:
    cut, row, column = [], 0, 0
    for each in categories:
        rows, columns = len(each.queries), len(each.candidates)
        block = scores[row : row + rows, column : column + columns]
        cut.append(replace(each, scores=block))
        row, column = row + rows, column + columns
    return cut
