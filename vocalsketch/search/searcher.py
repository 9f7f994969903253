"""Ranks a library's sounds by one network, or by the product of several networks' likelihoods."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.search.best import best_first
from vocalsketch.search.index import Index
from vocalsketch.search.query import prepared
from vocalsketch.search.text import matches_tags, text_log_likelihoods, words_of


@dataclass(frozen=True)
class Hit:
    """A found sound.

    Attributes:
        rank: 1 is the best.
        path: Within the library, its parts joined by ``/``.
        file: Where it lies.
        start: Where in the file the window that matches best begins, seconds.
        end: Where it ends, seconds.
        score: What the ranking is by: a network's logit, or a log-likelihood where several
            networks or words take part.
        probability: That the sound was meant, as the networks (and words) have it, 0 to 1.
        duration: Of the file, seconds.
        sample_rate: Of the file, Hz.
        tags: The names of the folders around it, outermost first.
    """

    rank: int
    path: str
    file: Path
    start: float
    end: float
    score: float
    probability: float
    duration: float
    sample_rate: int
    tags: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as for JSON."""
        return {**asdict(self), "file": str(self.file), "tags": list(self.tags)}


class Searcher:
    """Searches one library by one index, or by several made with different networks.

    It may be used by several threads at once.

    Args:
        indexes: Indexes of the same library, each built since it last changed.

    Raises:
        ConfigError: There is none, or they are not of the same sounds.
    """

    def __init__(self, indexes: Sequence[Index]) -> None:
        if not indexes:
            raise ConfigError("No index to search: give at least one.")
        self.indexes = tuple(indexes)
        self._rows = indexes[0].table.rows
        for other in indexes[1:]:
            _check_same_sounds(indexes[0], other)

    def search(
        self,
        waveform: ArrayLike,
        rate: int,
        k: int = 10,
        *,
        tags: Sequence[str] = (),
        text: str = "",
        trim: bool = True,
    ) -> list[Hit]:
        """Return the k sounds that are most likely meant, best first; each file once.

        The ranking is exact: every window of every sound is scored.

        Args:
            waveform: The imitation, (samples,) or (samples, channels).
            rate: Its sample rate, Hz.
            k: How many; fewer are returned where there are fewer.
            tags: Only sounds with all of these tags are ranked.
            text: Words; sounds whose path lacks one count as a tenth as likely.
            trim: Whether silence at the beginning is cut.

        Raises:
            AudioError: The query is silent, shorter than 0.1 s, or not finite.
            ConfigError: k is not positive, or no sound has the tags.
        """
        return self.search_many([(waveform, rate)], k, tags=tags, text=text, trim=trim)[0]

    def search_many(
        self,
        queries: Sequence[tuple[ArrayLike, int]],
        k: int = 10,
        *,
        tags: Sequence[str] = (),
        text: str = "",
        trim: bool = True,
    ) -> list[list[Hit]]:
        """Return each query's hits; see ``search``. Sounds are read once for all queries."""
        if k < 1:
            raise ConfigError(f"{k} results cannot be shown: ask for 1 or more.")
        wanted = self._wanted(tags)
        ready = [(prepared(waveform, rate, trim), rate) for waveform, rate in queries]
        if not ready:
            return []
        scores = self._scores(ready, text)
        return [self._hits(row, k, wanted, logits=not self._fuses(text)) for row in scores]

    def _fuses(self, text: str) -> bool:
        """Whether scores are log-likelihoods, not the logits of one network."""
        return len(self.indexes) > 1 or bool(words_of(text))

    def _scores(
        self, queries: Sequence[tuple[NDArray[np.float32], int]], text: str
    ) -> NDArray[np.floating]:
        """Return what windows are ranked by, (queries, windows)."""
        if not self._fuses(text):
            return _checked(self.indexes[0].scores(queries), self.indexes[0])
        # Imported here because scipy takes a third of a second, and few searches fuse.
        from vocalsketch.retrieval.fusion import log_likelihoods

        total = np.zeros((len(queries), self._rows.num_rows))
        for index in self.indexes:
            total += log_likelihoods(_checked(index.scores(queries), index), "logit")
        return total + text_log_likelihoods(self._rows.column("path"), text)

    def _wanted(self, tags: Sequence[str]) -> NDArray[np.intp] | None:
        """Return the rows that have all tags; None for all rows."""
        if not tags:
            return None
        rows = np.flatnonzero(matches_tags(self._rows.column("tags"), tags))
        if not len(rows):
            raise ConfigError(
                f"No sound is tagged {' and '.join(tags)}: tags are the names of the folders "
                "around a sound; `vocalsketch index info` lists them."
            )
        return rows

    def _hits(
        self, scores: NDArray[np.floating], k: int, wanted: NDArray[np.intp] | None, logits: bool
    ) -> list[Hit]:
        ranked = best_first(scores if wanted is None else scores[wanted], k)
        hits: dict[str, Hit] = {}
        for place in ranked:
            row = int(place if wanted is None else wanted[place])
            window = {name: self._rows.column(name)[row].as_py() for name in WINDOW_COLUMNS}
            if window["path"] in hits:
                continue
            score = float(scores[row])
            hits[window["path"]] = Hit(
                rank=len(hits) + 1,
                file=self.indexes[0].library / window["path"],
                score=score,
                probability=_sigmoid(score) if logits else math.exp(score),
                **{**window, "tags": tuple(window["tags"])},
            )
            if len(hits) == k:
                break
        return list(hits.values())


WINDOW_COLUMNS = ("path", "start", "end", "duration", "sample_rate", "tags")


def _checked(scores: NDArray[np.float32], index: Index) -> NDArray[np.float32]:
    """Refuse scores that are not numbers: they would rank nowhere, in silence."""
    if not np.isfinite(scores.sum(dtype=np.float64)):
        raise VocalSketchError(
            f"Scores of the index {index.folder} are not finite: its network is damaged or its "
            "training diverged. `vocalsketch index check` looks closer."
        )
    return scores


def _check_same_sounds(one: Index, other: Index) -> None:
    pair = f"{one.folder} and {other.folder} cannot be searched together"
    if one.library.resolve() != other.library.resolve():
        raise ConfigError(
            f"{pair}: they are of different libraries, {one.library} and {other.library}."
        )
    mine, theirs = one.table.rows, other.table.rows
    for column in ("path", "start", "content"):
        if not mine.column(column).equals(theirs.column(column)):
            raise ConfigError(
                f"{pair}: they are of different states of {one.library}. Bring both up to date "
                "with `vocalsketch index build`."
            )


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
