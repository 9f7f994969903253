"""The yardstick without learning, on the queries and candidates of a study's runs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vocalsketch.datasets.records import Corpus
from vocalsketch.domain import Side
from vocalsketch.features.audio import load_clip
from vocalsketch.features.threads import available_cores
from vocalsketch.retrieval.scores import CategoryScores, Scores
from vocalsketch.systems import System, load_system

NAME = "without_learning"


def yardstick_scores(corpus: Corpus, reference: Scores, *, progress: bool = True) -> Scores:
    """Rank a half by the distance of contours and averages: nothing is trained.

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
    system = load_system("contours")
    asked = _embedded(system, "imitation", [paths[query] for query in queries], progress)
    found = _embedded(system, "recording", [sounds[sound] for sound in candidates], progress)
    scores = system.score(asked, found).double().numpy()
    return replace(
        reference,
        kind=system.kind,
        system=NAME,
        categories=tuple(_by_category(reference.categories, scores)),
    )


def _embedded(system: System, side: Side, files: Sequence[Path], progress: bool) -> Tensor:
    """Return the embeddings of files, (files, width)."""

    def embedded(path: Path) -> Tensor:
        return system.hear(side, torch.from_numpy(load_clip(path, system.front_ends[side]))[None])

    with ThreadPoolExecutor(available_cores()) as pool:
        made = pool.map(embedded, files)
        bar = tqdm(
            made, total=len(files), desc="without learning", unit="clip", disable=not progress
        )
        return torch.cat(list(bar))


def _by_category(
    categories: Sequence[CategoryScores], scores: NDArray[np.float64]
) -> list[CategoryScores]:
    cut, row, column = [], 0, 0
    for each in categories:
        rows, columns = len(each.queries), len(each.candidates)
        block = scores[row : row + rows, column : column + columns]
        cut.append(replace(each, scores=block))
        row, column = row + rows, column + columns
    return cut
