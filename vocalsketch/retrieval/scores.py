"""What a system said about every query and candidate of an evaluated half, and its file."""

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vocalsketch.domain import Half, Kind
from vocalsketch.errors import StorageError
from vocalsketch.files import open_regular, written_whole
from vocalsketch.retrieval.ranking import Floats, Ranks, mid_ranks

FORMAT = 1  # of the file; raised when a reader of the old layout could not read the new one

DAMAGE = (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class CategoryScores:
    """The scores of one category's queries against all of its candidates.

    Attributes:
        category: Such as ``acoustic instruments``.
        queries: Imitation ids, one per row.
        candidates: Sound ids, one per column.
        targets: (queries,), the index of each query's target among ``candidates``.
        scores: (queries, candidates), higher is closer.
        classes: What kinds of sound each candidate is; empty where none is known.
    """

    category: str
    queries: tuple[str, ...]
    candidates: tuple[str, ...]
    targets: NDArray[np.integer]
    scores: Floats
    classes: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        expected = (len(self.queries), len(self.candidates))
        if self.scores.shape != expected or self.targets.shape != expected[:1]:
            raise ValueError(
                f"{self.category}: {expected[0]} queries and {expected[1]} candidates need scores "
                f"{expected} and targets {expected[:1]}, got {self.scores.shape} and "
                f"{self.targets.shape}"
            )
        if len(set(self.candidates)) != len(self.candidates):
            raise ValueError(f"{self.category}: a candidate is listed twice")
        if self.targets.size and not 0 <= self.targets.min() <= self.targets.max() < expected[1]:
            raise ValueError(f"{self.category}: a target is not among {expected[1]} candidates")
        if len(self.classes) not in (0, expected[1]):
            raise ValueError(
                f"{self.category}: {len(self.classes)} classes of {expected[1]} sounds"
            )

    @property
    def relevant(self) -> NDArray[np.bool_]:
        """(queries, candidates), whether one answers: the target itself, or one of its classes."""
        kinds = {name for names in self.classes for name in names}
        alike = np.eye(len(self.candidates), dtype=bool)
        for name in kinds:
            held = np.flatnonzero([name in names for names in self.classes])
            alike[np.ix_(held, held)] = True
        answers: NDArray[np.bool_] = alike[self.targets]
        return answers

    @property
    def ranks(self) -> Ranks:
        """(queries,) float64, the mid-rank of each query's target."""
        return mid_ranks(self.scores, self.targets)


@dataclass(frozen=True, eq=False)
class Scores:
    """Every score of one system on one half of one split.

    Attributes:
        kind: What a score is, which decides how it becomes a likelihood in a fusion: ``logit`` of
            the pair being positive, ``cosine`` similarity, ``log_likelihood`` (a fusion), or a
            ``similarity`` without such a meaning, which ranks but does not fuse.
        corpus: ``Corpus.name``.
        split: The split's fingerprint.
        split_name: The split's name, for people.
        half: ``validation`` or ``test``.
        system: What made the scores, such as ``iminet_tied``.
        categories: The categories, each once.
    """

    kind: Kind
    corpus: str
    split: str
    split_name: str
    half: Half
    system: str
    categories: tuple[CategoryScores, ...]

    def __post_init__(self) -> None:
        for name, value, known in (
            ("kind", self.kind, get_args(Kind)),
            ("half", self.half, get_args(Half)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        names = [category.category for category in self.categories]
        if len(set(names)) != len(names):
            raise ValueError(f"a category is listed twice: {', '.join(names)}")

    def save(self, path: Path) -> None:
        """Write to ``path`` as npz: ids and names as JSON, and two arrays per category.

        Raises:
            StorageError: The file cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = {"header": _encoded(self._header())}
        for number, category in enumerate(self.categories):
            arrays[f"targets_{number}"] = category.targets
            arrays[f"scores_{number}"] = category.scores
        # A handle, because numpy appends .npz to a name that lacks it.
        with written_whole(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Scores":
        """Read what ``save`` wrote; nothing is unpickled.

        Raises:
            StorageError: The file is missing, damaged or not a scores file.
        """
        try:
            # A handle, because numpy leaves a damaged file open.
            with open_regular(path) as handle, np.load(handle, allow_pickle=False) as arrays:
                header = json.loads(arrays["header"].tobytes().decode("utf-8"))
                return cls._from(header, arrays)
        except FileNotFoundError as error:
            raise StorageError(
                f"No scores at {path}: `vocalsketch test` or `predict` writes them."
            ) from error
        except DAMAGE as error:
            raise StorageError(
                f"{path} is no readable scores file ({error}): write it again with "
                "`vocalsketch test` or `predict`."
            ) from error

    def _header(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "kind": self.kind,
            "corpus": self.corpus,
            "split": self.split,
            "split_name": self.split_name,
            "half": self.half,
            "system": self.system,
            "categories": [
                {
                    "category": category.category,
                    "queries": category.queries,
                    "candidates": category.candidates,
                    **({"classes": category.classes} if category.classes else {}),
                }
                for category in self.categories
            ],
        }

    @classmethod
    def _from(cls, header: dict[str, Any], arrays: Any) -> "Scores":
        if header.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}, which this version reads")
        categories = tuple(
            CategoryScores(
                category=entry["category"],
                queries=tuple(entry["queries"]),
                candidates=tuple(entry["candidates"]),
                targets=arrays[f"targets_{number}"],
                scores=arrays[f"scores_{number}"],
                classes=tuple(map(tuple, entry.get("classes", ()))),
            )
            for number, entry in enumerate(header.pop("categories"))
        )
        return cls(**header, categories=categories)


def _encoded(header: dict[str, object]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(header).encode("utf-8"), dtype=np.uint8)
