"""One library's rows, ranked by one system or by the product of several, and what is found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.search.index import Index, Wishes
from vocalsketch.search.query import matches_tags, text_log_likelihoods, words_of
from vocalsketch.search.segment import Floats, Rows, as_numpy

BLOCK = 1024  # scores whose maximum stands for them
ABSOLUTE = ("logit", "log_likelihood")  # kinds whose likelihoods need no other candidates
WINDOW_COLUMNS = ("path", "start", "end", "duration", "sample_rate", "tags")

Aligned = tuple[Sequence[Index], Sequence[Rows | None]]  # of one library, each with its order
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
    """One library's rows as a search ranks them, by one system or by the product of several.

    Its indexes have orders as ``fused`` returns them.
    """

    def __init__(
        self, indexes: Sequence[Index], orders: Sequence[Rows | None], wishes: Wishes
    ) -> None:
        self.indexes, self.orders, self.first = indexes, orders, indexes[0]
        rows, self.counting = self.first.table.rows, self.first.table.counting
        self.aspects = wishes.get("aspects", {})
        if tags := wishes.get("tags"):
            self.counting = self.counting & matches_tags(rows.column("tags"), tags)
        self.count = int(np.count_nonzero(self.counting))
        self.penalties: Scores | None = None
        if words_of(text := wishes.get("text", "")):
            _check_likely(self.first)
            self.penalties = text_log_likelihoods(rows.column("path"), text)
        # whether scores are log-likelihoods, not those of one system
        self.fuses = len(indexes) > 1 or self.penalties is not None

    def ranked(self, asked: Mapping[str, Floats]) -> tuple[Scores, Scores | None]:
        """Return what rows are ranked by, and the logarithm of all rows' likelihoods.

        (queries, rows), minus infinity where a row does not count; (queries,), or None where a
        likelihood is one by itself and need not be divided by all rows'.
        """
        mass = None
        total: Scores = np.zeros((1, 1))
        for index, order in zip(self.indexes, self.orders, strict=True):
            scores = _checked(index.scores(asked[index.fingerprint], self.aspects), index)
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
        """Return the best windows by their scores (rows,), of k files or fewer, one for each."""
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


def fused(indexes: Sequence[Index]) -> list[Rows | None]:
    """Return the order of each index's rows where systems are fused; refuse where they cannot."""
    if any(index.approximate for index in indexes):
        raise ConfigError(
            "An approximate index cannot be fused with others: the nearest of one system are "
            "not those of another. Search each by itself, or export an ensemble's index."
        )
    orders = [None, *(_aligned(indexes[0], other) for other in indexes[1:])]
    for index in indexes if len(indexes) > 1 else ():
        _check_likely(index)
    return orders


def _check_likely(index: Index) -> None:
    """Refuse an index whose scores enter no product of likelihoods, with a ConfigError."""
    if index.listener.kind == "similarity":
        raise ConfigError(
            f"Scores of the index {index.folder} are similarities without a meaning as "
            "likelihoods: they cannot be fused, neither with words nor with other systems."
        )


def _aligned(one: Index, other: Index) -> Rows | None:
    """Return for each row of an index the row of another that is of the same window.

    None where they are the same rows in the same order; a ConfigError where they are of other
    sounds.
    """
    pair = f"{one.folder} and {other.folder} cannot be fused"
    if one.library.resolve() != other.library.resolve():
        raise ConfigError(
            f"{pair}: they are of different libraries, {one.library} and {other.library}."
        )
    mine, theirs = (each.table.rows.select(["path", "start", "content"]) for each in (one, other))
    if mine.equals(theirs) and one.manifest.removed == other.manifest.removed:
        return None
    by_path = [("path", "ascending"), ("start", "ascending")]
    orders = [
        np.flatnonzero(each.table.counting)[as_numpy(pc.sort_indices(each.table.live, by_path))]
        for each in (one, other)
    ]
    if not mine.take(pa.array(orders[0])).equals(theirs.take(pa.array(orders[1]))):
        raise ConfigError(
            f"{pair}: they are of different states of {one.library}. Bring both up to date "
            f"with `{one.update}` and `{other.update}`."
        )
    order = np.zeros(mine.num_rows, dtype=np.int64)  # of rows that do not count, any
    order[orders[0]] = orders[1]
    return order
