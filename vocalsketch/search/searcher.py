"""Ranks the sounds of one library or several, by one system or by the product of several."""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Unpack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from vocalsketch.errors import ConfigError, StorageError, VocalSketchError
from vocalsketch.search.index import Index, Wishes
from vocalsketch.search.query import HeardPart, Waveform, heard_part, prepared
from vocalsketch.search.segment import Rows, as_numpy
from vocalsketch.search.text import matches_tags, text_log_likelihoods, words_of

SCORES_AT_ONCE = 2**22  # of all queries that are scored together, 16 MB; of one query, if more
BLOCK = 1024  # scores whose maximum stands for them

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


class Searcher:
    """Searches one library or several at once, each an index: the shards of one large library.

    It may be used by several threads at once.

    Args:
        indexes: Indexes of different libraries by one system; or, to ``fuse``, of one library by
            several systems, each built since the library last changed.
        fuse: Whether to rank by the product of the systems' likelihoods.
        missing: Shards that could not be opened, and why.

    Attributes:
        indexes: The indexes.
        missing: As given.

    Raises:
        ConfigError: There is no index, or they do not go together.
    """

    def __init__(
        self,
        indexes: Sequence[Index],
        *,
        fuse: bool = False,
        missing: Mapping[str, str] | None = None,
    ) -> None:
        if not indexes:
            raise ConfigError("No index to search: give at least one.")
        self.indexes = tuple(indexes)
        self.missing = dict(missing or {})
        if fuse and any(index.approximate for index in self.indexes):
            raise ConfigError(
                "An approximate index cannot be fused with others: the nearest of one system are "
                "not those of another. Search each by itself, or export an ensemble's index."
            )
        if fuse:
            self._shards = [_Shard(self.indexes)]
        else:
            _check_different(self.indexes)
            self._shards = [_Shard([index]) for index in self.indexes]

    @classmethod
    def open(cls, folders: Sequence[Path | str], *, fuse: bool = False) -> "Searcher":
        """Open the indexes in these folders; of several shards, some may be missing.

        Raises:
            StorageError: None can be opened; with ``fuse``, one cannot.
            CheckpointError: A system is missing, or not the one that made its index.
            ConfigError: They do not go together.
        """
        indexes, missing = [], {}
        for folder in folders:
            try:
                indexes.append(Index.open(folder))
            except StorageError as error:
                if fuse or len(folders) == 1:
                    raise
                missing[str(folder)] = str(error)
        if folders and not indexes:
            raise StorageError(" ".join(missing.values()))
        return cls(indexes, fuse=fuse, missing=missing)

    @property
    def partial(self) -> bool:
        """Whether a shard is missing: what it holds is not found."""
        return bool(self.missing)

    def heard_part(self, waveform: ArrayLike, rate: int, trim: bool = True) -> HeardPart:
        """Return which part of a query the systems listen to.

        Raises:
            AudioError: As ``search``.
        """
        ends = (index.listener.clip_shape("imitation") for index in self.indexes)
        return heard_part(waveform, rate, trim, max(end.seconds for end in ends))

    def search(
        self, waveform: ArrayLike, rate: int, k: int = 10, **wishes: Unpack[Wishes]
    ) -> list[Hit]:
        """Return the k sounds that are most likely meant, best first; each file once.

        The ranking is exact: every window of every sound is scored.

        Args:
            waveform: The imitation, (samples,) or (samples, channels).
            rate: Its sample rate, Hz.
            k: How many; fewer are returned where there are fewer.
            tags: Only sounds with all of these tags are ranked.
            text: Words; sounds whose path lacks one count as a tenth as likely.
            aspects: Factors on what the systems' ``aspects`` name, such as ``{"pitch": 0}``.
            trim: Whether silence at both ends is cut.

        Raises:
            AudioError: The query is silent, shorter than 0.1 s, or not finite.
            ConfigError: k is not positive, no sound has the tags, or there is no such aspect.
        """
        return self.search_many([(waveform, rate)], k, **wishes)[0]

    def search_many(
        self,
        queries: Sequence[tuple[ArrayLike, int]],
        k: int = 10,
        *,
        tags: Sequence[str] = (),
        text: str = "",
        aspects: Mapping[str, float] = MappingProxyType({}),
        trim: bool = True,
    ) -> list[list[Hit]]:
        """Return each query's hits; see ``search``. Sounds are read once for many queries."""
        if k < 1:
            raise ConfigError(f"{k} results cannot be shown: ask for 1 or more.")
        self._check_aspects(aspects)
        wishes: Wishes = {"tags": tags, "text": text, "aspects": aspects}
        ready = [(prepared(waveform, rate, trim), rate) for waveform, rate in queries]
        if self.note:
            return [self._answers([each], k, self._near(each, k, wishes))[0] for each in ready]
        shards = _narrowed(self._shards, wishes)
        at_once = max(1, SCORES_AT_ONCE // max(len(shard.counting) for shard in shards))
        return [
            hits
            for start in range(0, len(ready), at_once)
            for hits in self._answers(ready[start : start + at_once], k, shards)
        ]

    @property
    def note(self) -> str:
        """What has to be known of the answers; empty where they are exact."""
        windows = sum(index.windows for index in self.indexes if index.approximate)
        told = (
            f"Approximate: of {windows:,} windows the nearest by compressed embeddings are scored "
            "exactly, and probabilities are among these."
        )
        return told if windows else ""

    def _near(self, query: tuple[Waveform, int], k: int, wishes: Wishes) -> "list[_Shard]":
        """Return the shards with the rows to rank for a query; one out of reach is missing."""
        near = []
        for index in self.indexes:
            try:
                near.append(index.near(query, k, **wishes))
                self.missing.pop(str(index.folder), None)
            except StorageError as error:
                self.missing[str(index.folder)] = str(error)
        if not near:
            raise StorageError(" ".join(self.missing.values()))
        return _narrowed([_Shard([index]) for index in near if len(index.table)], wishes)

    @property
    def aspects(self) -> tuple[str, ...]:
        """The names of what may count more or less."""
        named = (name for index in self.indexes for name in index.listener.aspects)
        return tuple(dict.fromkeys(named))

    def _check_aspects(self, aspects: Mapping[str, float]) -> None:
        for name, weight in aspects.items():
            if name not in self.aspects or not 0 <= weight < math.inf:
                raise ConfigError(
                    f"The aspect {name!r} cannot count {weight} times: give 0 or more for one of "
                    f"{', '.join(self.aspects)}."
                )

    def _answers(self, queries: Queries, k: int, shards: "Sequence[_Shard]") -> list[list[Hit]]:
        """Return the hits of some queries, whose scores are held together."""
        candidates: list[list[Candidate]] = [[] for _ in queries]
        masses: list[Scores] = []  # of the shards' likelihoods, logarithms
        for number, shard in enumerate(shards):
            scores, mass = shard.ranked(queries)
            masses += [] if mass is None else [mass]
            for mine, row in zip(candidates, scores, strict=True):
                mine += shard.best(row, k, number)
        total = np.logaddexp.reduce(masses, axis=0) if masses else np.zeros(len(queries))
        return [
            [
                shards[each.shard].hit(rank, each, float(mass))
                for rank, each in enumerate(sorted(mine)[:k], start=1)
            ]
            for mine, mass in zip(candidates, total, strict=True)
        ]


class _Shard:
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

    def narrowed(self, tags: Sequence[str], text: str, aspects: Mapping[str, float]) -> "_Shard":
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


def _narrowed(shards: Sequence[_Shard], wishes: Wishes) -> list[_Shard]:
    """Return shards as a search ranks them.

    Raises:
        ConfigError: No sound has the tags.
    """
    tags = wishes["tags"]
    narrowed = [shard.narrowed(tags, wishes["text"], wishes["aspects"]) for shard in shards]
    if not any(shard.count for shard in narrowed):
        raise ConfigError(
            f"No sound is tagged {' and '.join(tags)}: tags are the names of the folders "
            "around a sound; `vocalsketch index info` lists them."
        )
    return narrowed


ABSOLUTE = ("logit", "log_likelihood")  # kinds whose likelihoods need no other candidates
WINDOW_COLUMNS = ("path", "start", "end", "duration", "sample_rate", "tags")


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


def _check_different(indexes: Sequence[Index]) -> None:
    """Refuse shards that are not of different libraries by one system."""
    for number, other in enumerate(indexes[1:], start=1):
        one = indexes[0]
        if one.fingerprint != other.fingerprint:
            raise ConfigError(
                f"{one.folder} and {other.folder} cannot be searched as shards: they are of "
                "different systems. Indexes of one library by several systems are fused with "
                "--fuse (fuse=True)."
            )
        for earlier in indexes[:number]:
            if earlier.library.resolve() == other.library.resolve():
                raise ConfigError(
                    f"{earlier.folder} and {other.folder} are of one library, {other.library}, by "
                    "one system: give one of them."
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
