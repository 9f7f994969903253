"""Ranks the sounds of one library or several, by one system or by the product of several."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.search.index import Index, Wishes
from vocalsketch.search.query import HeardPart, heard_part, prepared
from vocalsketch.search.segment import Floats
from vocalsketch.search.shard import Aligned, Candidate, Hit, Scores, Shard, fused

SCORES_AT_ONCE = 2**22  # of all queries that are scored together, 16 MB; of one query, if more


class Searcher:
    """Searches one library or several at once, each an index: the shards of one large library.

    It may be used by several threads at once.

    Args:
        indexes: Indexes of different libraries by one system; or, to ``fuse``, of one library by
            several systems, each built since the library last changed.
        fuse: Whether to rank by the product of the systems' likelihoods.
        missing: Shards that could not be opened, and why.

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
        self._shards: list[Aligned] = [([index], [None]) for index in indexes]
        if fuse:
            self._shards = [(self.indexes, fused(self.indexes))]
        else:
            _check_different(self.indexes)

    @classmethod
    def open(cls, folders: Sequence[Path | str], *, fuse: bool = False) -> "Searcher":
        """Open the indexes in these folders; of several shards, some may be missing.

        Raises:
            StorageError: None can be opened; with ``fuse``, one cannot.
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

    def heard_part(self, waveform: ArrayLike, rate: int, trim: bool = True) -> HeardPart:
        """Return which part of a query the systems listen to."""
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
        self, queries: Sequence[tuple[ArrayLike, int]], k: int = 10, **wishes: Unpack[Wishes]
    ) -> list[list[Hit]]:
        """Return each query's hits; see ``search``. Sounds are read once for many queries."""
        if k < 1:
            raise ConfigError(f"{k} results cannot be shown: ask for 1 or more.")
        self._check_aspects(wishes.get("aspects", {}))
        trim = wishes.get("trim", True)
        ready = [(prepared(waveform, rate, trim), rate) for waveform, rate in queries]
        systems = {index.fingerprint: index for index in self.indexes}
        shards = [] if self.note else _narrowed(self._shards, wishes)
        most = max((len(shard.counting) for shard in shards), default=SCORES_AT_ONCE)
        at_once = max(1, SCORES_AT_ONCE // most)
        found: list[list[Hit]] = []
        for start in range(0, len(ready), at_once):
            some = ready[start : start + at_once]
            asked = {name: index.embeddings(some) for name, index in systems.items()}
            found += _answers(asked, k, shards or self._near(asked, k, wishes))
        return found

    @property
    def note(self) -> str:
        """What has to be known of the answers; empty where they are exact."""
        windows = sum(index.windows for index in self.indexes if index.approximate)
        told = (
            f"Approximate: of {windows:,} windows the nearest by compressed embeddings are scored "
            "exactly, and probabilities are among these."
        )
        return told if windows else ""

    def _near(self, asked: Mapping[str, Floats], k: int, wishes: Wishes) -> list[Shard]:
        """Return the shards with the rows to rank for a query; one out of reach is missing."""
        near = []
        for index in self.indexes:
            try:
                near.append(index.near(asked[index.fingerprint], k, wishes))
                self.missing.pop(str(index.folder), None)
            except StorageError as error:
                self.missing[str(index.folder)] = str(error)
        if not near:
            raise StorageError(" ".join(self.missing.values()))
        return _narrowed([([index], [None]) for index in near if len(index.table)], wishes)

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


def _answers(asked: Mapping[str, Floats], k: int, shards: Sequence[Shard]) -> list[list[Hit]]:
    """Return the hits of some queries, as systems heard them; their scores are held together."""
    candidates: list[list[Candidate]] = []
    masses: list[Scores] = []  # of the shards' likelihoods, logarithms
    for number, shard in enumerate(shards):
        scores, mass = shard.ranked(asked)
        masses += [] if mass is None else [mass]
        best = [shard.best(row, k, number) for row in scores]
        candidates = [a + b for a, b in zip(candidates, best, strict=True)] if number else best
    total = np.logaddexp.reduce(masses, axis=0) if masses else np.zeros(len(candidates))
    return [
        [
            shards[each.shard].hit(rank, each, float(mass))
            for rank, each in enumerate(sorted(mine)[:k], start=1)
        ]
        for mine, mass in zip(candidates, total, strict=True)
    ]


def _check_different(indexes: Sequence[Index]) -> None:
    """Refuse shards that are not of different libraries by one system."""
    for one, other in combinations(indexes, 2):
        if one.fingerprint != other.fingerprint:
            raise ConfigError(
                f"{one.folder} and {other.folder} cannot be searched as shards: they are of "
                "different systems. Indexes of one library by several systems are fused with "
                "--fuse (fuse=True)."
            )
        if one.library.resolve() == other.library.resolve():
            raise ConfigError(
                f"{one.folder} and {other.folder} are of one library, {other.library}, by one "
                "system: give one of them."
            )


def _narrowed(shards: Sequence[Aligned], wishes: Wishes) -> list[Shard]:
    narrowed = [Shard(indexes, orders, wishes) for indexes, orders in shards]
    if not any(shard.count for shard in narrowed):
        raise ConfigError(
            f"No sound is tagged {' and '.join(wishes.get('tags', ()))}: tags are the names of the "
            "folders around a sound; `vocalsketch index info` lists them."
        )
    return narrowed
