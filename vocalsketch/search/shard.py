"""One library's rows, ranked by one system or by the product of several, and what is found."""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.search.index import Index, Wishes
from vocalsketch.search.query import Waveform, matches_tags, text_log_likelihoods, words_of
from vocalsketch.search.segment import Rows, as_numpy

BLOCK = 1024  # scores whose maximum stands for them
ABSOLUTE = ("logit", "log_likelihood")  # kinds whose likelihoods need no other candidates
WINDOW_COLUMNS = ("path", "start", "end", "duration", "sample_rate", "tags")

Queries = Sequence[tuple[Waveform, int]]
Scores = NDArray[np.floating]


@dataclass(frozen=True)
class Hit:
    """A found sound."""

    rank: int  # 1 is the best
    path: str  # within the library, its parts joined by /
    file: Path  # where it lies
    start: float  # seconds in the file, where the window that matches best begins
    end: float  # seconds, where it ends
    score: float  # a system's, or a log-likelihood where several systems or words take part
    probability: float  # that the sound was meant, as the systems (and words) have it, 0 to 1
    duration: float  # seconds, of the file
    sample_rate: int  # hz, of the file
    tags: tuple[str, ...]  # names of the folders around it, outermost first
    gone: bool = False  # whether the file is not there any more: the index is out of date

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as for JSON."""
        return {**asdict(self), "file": str(self.file), "tags": list(self.tags)}


class Candidate(NamedTuple):
    """A window that may be among the best: smaller is better, and order decides among equals."""

    worse: float  # the score, negated
    path: str
    start: float
    shard: int
    row: int


class Shard:
    """One library, by one system or by the product of several.

    Args:
        indexes: Of one library.

    Raises:
        ConfigError: They are not of the same sounds, or a system's scores are no likelihoods.
    """

    def __init__(self, indexes: Sequence[Index]) -> None:
        self.indexes = tuple(indexes)
        self.first = indexes[0]
        self.counting = self.first.table.counting
        self.count = len(self.first.table)
        self.penalties: Scores | None = None
        self.aspects: Mapping[str, float] = {}
        self._orders: list[Rows | None] = [None] * len(indexes)
        if len(indexes) > 1:
            self._orders = [None, *(_order(self.first, other) for other in indexes[1:])]
            for index in indexes:
                _check_likely(index)

    @property
    def fuses(self) -> bool:
        """Whether scores are log-likelihoods, not those of one system."""
        return len(self.indexes) > 1 or self.penalties is not None

    def narrowed(self, tags: Sequence[str], text: str, aspects: Mapping[str, float]) -> "Shard":
        """Return this shard as a search with tags, words and weighed aspects ranks it."""
        rows = self.first.table.rows
        narrowed = copy(self)
        narrowed.aspects = aspects
        if tags:
            narrowed.counting = self.counting & matches_tags(rows.column("tags"), tags)
            narrowed.count = int(narrowed.counting.sum())
        if words_of(text):
            _check_likely(self.first)
            narrowed.penalties = text_log_likelihoods(rows.column("path"), text)
        return narrowed

    def ranked(self, queries: Queries) -> tuple[Scores, Scores | None]:
        """Return what rows are ranked by, and the logarithm of all rows' likelihoods.

        Returns:
            (queries, rows), minus infinity where a row does not count; (queries,), or None where a
            likelihood is one by itself and need not be divided by all rows'.
        """
        mass = None
        total: Scores = np.zeros((len(queries), 1))
        for index, order in zip(self.indexes, self._orders, strict=True):
            scores = _checked(index.scores(queries, self.aspects), index)
            scores = scores if order is None else scores[:, order]
            if index.listener.kind not in ABSOLUTE:
                summed = _log_sum(scores[:, self.first.table.counting])
                mass = summed if mass is None else mass + summed
            if self.fuses and index.listener.kind == "logit":
                scores = -np.logaddexp(0.0, -scores, dtype=np.float64)  # of a sigmoid
            total = total + scores if self.fuses else scores
        if self.penalties is not None:
            total += self.penalties
        if self.count < len(self.counting):
            total[:, ~self.counting] = -np.inf
        return total, mass

    def best(self, scores: Scores, k: int, number: int) -> list[Candidate]:
        """Return the best window of each of the k best files, or of fewer if there are fewer.

        Args:
            scores: (rows,), minus infinity where a row does not count.
            k: How many files.
            number: Of this shard.
        """
        paths, starts = (self.first.table.rows.column(name) for name in ("path", "start"))
        best: dict[str, Candidate] = {}
        count = k
        while self.count:
            places = highest(scores, min(count, self.count)).tolist()
            found = sorted(
                Candidate(-float(scores[row]), paths[row].as_py(), starts[row].as_py(), number, row)
                for row in places
            )
            best = {}
            for each in found:
                best.setdefault(each.path, each)
            if len(best) >= k or count >= self.count:
                break
            count *= 4
        return list(best.values())[:k]

    def hit(self, rank: int, found: Candidate, mass: float) -> Hit:
        """Return what was found, with the logarithm of all rows' likelihoods."""
        rows, score = self.first.table.rows, -found.worse
        window = {name: rows.column(name)[found.row].as_py() for name in WINDOW_COLUMNS}
        if self.fuses:
            score -= mass
            probability = math.exp(score)
        elif self.first.listener.kind == "logit":
            probability = float(np.exp(-np.logaddexp(0.0, -score)))
        else:
            probability = math.exp(min(0.0, score - mass))
        file = self.first.library / found.path
        return Hit(
            rank=rank,
            file=file,
            score=score,
            probability=probability,
            gone=not file.exists(),
            **{**window, "tags": tuple(window["tags"])},
        )


def narrowed(shards: Sequence[Shard], wishes: Wishes) -> list[Shard]:
    """Return shards as a search ranks them.

    Raises:
        ConfigError: No sound has the tags.
    """
    tags = wishes["tags"]
    chosen = [shard.narrowed(tags, wishes["text"], wishes["aspects"]) for shard in shards]
    if not any(shard.count for shard in chosen):
        raise ConfigError(
            f"No sound is tagged {' and '.join(tags)}: tags are the names of the folders "
            "around a sound; `vocalsketch index info` lists them."
        )
    return chosen


def highest(scores: Scores, k: int) -> NDArray[np.intp]:
    """Return the places of the k highest scores and of all that equal the last, in any order.

    At least k scores reach the k-th highest of the blocks' maxima, and all of the k highest do.
    """
    blocks = len(scores) // BLOCK
    if blocks > k:
        maxima = scores[: blocks * BLOCK].reshape(blocks, BLOCK).max(axis=1)
        places = np.flatnonzero(scores >= np.partition(maxima, -k)[-k])
    else:
        places = np.arange(len(scores))
    if k < len(places):
        reached = scores[places]
        places = places[reached >= np.partition(reached, -k)[-k]]
    return places


def _log_sum(scores: Scores) -> NDArray[np.float64]:
    """Return the logarithm of the sum of exponentials, (queries,)."""
    highest_score = scores.max(axis=1, keepdims=True, initial=-np.inf).astype(np.float64)
    summed: NDArray[np.float64] = highest_score[:, 0] + np.log(
        np.exp(scores - highest_score).sum(axis=1)
    )
    return summed


def _checked(scores: Scores, index: Index) -> Scores:
    """Refuse scores that are not numbers: they would rank nowhere, in silence."""
    if not np.isfinite(scores.sum(dtype=np.float64)):
        raise VocalSketchError(
            f"Scores of the index {index.folder} are not finite: its system is damaged or its "
            "training diverged. `vocalsketch index check` looks closer."
        )
    return scores


def _check_likely(index: Index) -> None:
    if index.listener.kind == "similarity":
        raise ConfigError(
            f"Scores of the index {index.folder} are similarities without a meaning as "
            "likelihoods: they cannot be fused, neither with words nor with other systems."
        )


def _order(one: Index, other: Index) -> Rows | None:
    """Return for each row of an index the row of another that is of the same window.

    None where they are the same rows in the same order.

    Raises:
        ConfigError: They are not of the same sounds.
    """
    pair = f"{one.folder} and {other.folder} cannot be fused"
    if one.library.resolve() != other.library.resolve():
        raise ConfigError(
            f"{pair}: they are of different libraries, {one.library} and {other.library}."
        )
    keys = ["path", "start", "content"]
    mine, theirs = (each.table.rows.select(keys) for each in (one, other))
    if mine.equals(theirs) and one.manifest.removed == other.manifest.removed:
        return None
    orders = []
    for index, rows in ((one, mine), (other, theirs)):
        live = np.flatnonzero(index.table.counting)
        by_path = [("path", "ascending"), ("start", "ascending")]
        orders.append(live[as_numpy(pc.sort_indices(index.table.live, by_path))])
        if not rows.take(pa.array(orders[-1])).equals(mine.take(pa.array(orders[0]))):
            raise ConfigError(
                f"{pair}: they are of different states of {one.library}. Bring both up to date "
                f"with `{one.update}` and `{other.update}`."
            )
    order = np.zeros(mine.num_rows, dtype=np.int64)  # of rows that do not count, any
    order[orders[0]] = orders[1]
    return order
