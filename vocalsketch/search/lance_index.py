"""An index as a Lance dataset, on a disk or in object storage: exact, or approximate where large.

The dataset holds a row a window, its embedding padded with zeros; beside its own files lies the
system. What it is stands in the metadata of its schema, written last: it says that it is whole.
"""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from copy import copy
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.search.index import Index, Wishes
from vocalsketch.search.query import Waveform, matches_tags, word_pattern, words_of
from vocalsketch.search.remote import fetch, reaching
from vocalsketch.search.segment import (
    EMBEDDING,
    SYSTEM,
    Floats,
    Manifest,
    Table,
    as_numpy,
    width_of,
    with_embeddings,
)
from vocalsketch.search.shard import WINDOW_COLUMNS

# with as few threads as two cores have, the training of a vector index waits for itself for ever
os.environ.setdefault("LANCE_CPU_THREADS", "8")
try:  # for the export as well
    import lance as lance
except ImportError as error:
    raise ConfigError("Lance datasets need pylance: `pip install 'vocalsketch[lance]'`.") from error
if TYPE_CHECKING:
    from vocalsketch.systems import System

FAULTS = (OSError, RuntimeError, ValueError)  # that Lance raises where an address fails
FORMAT = 1  # raised when a reader of the old layout could not read the new one
METADATA = b"vocalsketch"  # the key of what says what a dataset is
RESCORED = 200  # windows at least that are scored exactly
PER_FILE = 4  # windows for each file that is wanted
WIDER = 10  # times as many where weighed aspects are scored
REFINE = 2  # windows whose embeddings are read for each that is scored
PROBES = 64  # cells of the vector index that are looked into
INDEX_CACHE, METADATA_CACHE = 2**30, 2**28  # bytes of memory at most


class LanceIndex(Index):
    """An index that ``index export`` wrote as a Lance dataset.

    One without a vector index is read into memory and searched exactly. From one with a vector
    index a query takes its nearest windows by compressed embeddings, and those are ranked exactly.

    Its arguments are those of ``Index``, or an address such as ``s3://bucket/sounds``.

    Raises:
        StorageError: It cannot be reached, or is no whole dataset of this kind.
        ConfigError: pylance is not installed.
    """

    def __init__(
        self, address: Path | str, library: Path | str | None = None, threads: int | None = None
    ) -> None:
        self.folder = self._address = str(address)
        self._heard: Floats | None = None  # a query's embedding, where the rows are near it
        with reaching(self._address, FAULTS):
            self._rows = lance.dataset(
                self._address,
                index_cache_size_bytes=INDEX_CACHE,
                metadata_cache_size_bytes=METADATA_CACHE,
            )
        try:
            about = json.loads(self._rows.schema.metadata[METADATA])[str(FORMAT)]
            self.manifest = Manifest(**{**about["index"], "segments": ()})
            self._width: int = about["width"]
            self._tags: dict[str, int] = about["tags"]
            self.libraries = about["libraries"]
            self.approximate = about["approximate"]
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"{self._address} is no whole dataset that this program reads ({error!r}): export "
                "the index again, to another address."
            ) from error
        with reaching(self._address, FAULTS):
            self._use(Table([]) if self.approximate else self._read_all(), library, threads)

    def is_current(self) -> bool:
        """Return True: an export never changes."""
        return True

    def tags(self) -> Counter[str]:
        """Count the windows that have each tag."""
        return Counter(self._tags)

    def paths(self, words: Sequence[str] = ()) -> list[str]:
        """Return the indexed files whose path has all words, within the library, sorted."""
        has = " AND ".join(f"contains(lower(path), {_quoted(word)})" for word in words)
        with reaching(self._address, FAULTS):
            found = self._rows.to_table(columns=["path"], filter=has or None)
        paths: list[str] = found.column("path").unique().sort().to_pylist()
        return paths

    def near(self, query: tuple[Waveform, int], k: int, wishes: Wishes) -> Index:
        """Return an index of the rows to rank for a query: all, or the nearest.

        Those are the nearest windows that have the tags; where there are words also the nearest
        whose path has one, and all, of them.
        """
        if not self.approximate:
            return self
        found, embedding = copy(self), self.embeddings([query])
        asked, count = embedding, max(RESCORED, PER_FILE * k)
        aspects = {n: f for n, f in wishes.get("aspects", {}).items() if f != 1.0}
        if aspects:
            import torch

            count *= WIDER
            asked = self.system.weighed(torch.from_numpy(embedding), aspects).numpy()
        named = words_of(wishes.get("text", ""))
        words = [f"regexp_like(path, '{word_pattern(word)}')" for word in named]
        filters = dict.fromkeys(["", " OR ".join(words), " AND ".join(words)])
        tagged = self._tagged(wishes.get("tags", ()))
        with reaching(self._address, FAULTS):
            tables = [
                self._nearest(asked[0], k, count, [*tagged, *([f"({each})"] if each else [])])
                for each in filters
            ]
        rows = pa.concat_tables(tables)
        _, first = np.unique(as_numpy(rows.column("_rowid")), return_index=True)
        found.table = Table([self._segment(rows.drop_columns(["_rowid"]).take(pa.array(first)))])
        found._heard = embedding
        return found

    def embeddings(self, queries: Sequence[tuple[Waveform, int]]) -> Floats:
        """Embed prepared queries as imitations: (queries, width)."""
        return super().embeddings(queries) if self._heard is None else self._heard

    def _nearest(self, asked: Floats, k: int, count: int, filters: Sequence[str]) -> pa.Table:
        """Return the nearest rows, of k files if there are so many."""
        padded = np.zeros(width_of(self._rows), np.float32)
        padded[: len(asked)] = asked
        while True:
            nearest = {"column": EMBEDDING, "q": padded, "k": count, "refine_factor": REFINE}
            found = self._rows.to_table(
                columns=[*WINDOW_COLUMNS, EMBEDDING],
                nearest={**nearest, "minimum_nprobes": PROBES},
                filter=" AND ".join(filters) or None,
                prefilter=True,
                with_row_id=True,
                disable_scoring_autoprojection=True,
            )
            if found.num_rows < count or len(found.column("path").unique()) >= k:
                return found
            count *= 4

    def _tagged(self, wanted: Sequence[str]) -> list[str]:
        """Return a filter for each wanted tag."""
        filters = []
        for tag in wanted:
            each = pa.chunked_array([[[name] for name in self._tags]], pa.list_(pa.string()))
            same = compress(map(_quoted, self._tags), matches_tags(each, [tag]))
            listed = ", ".join(same)
            filters.append(f"array_has_any(tags, [{listed}])" if listed else "false")
        return filters

    def _read_all(self) -> Table:
        return Table([self._segment(pa.Table.from_batches([b])) for b in self._rows.to_batches()])

    def _segment(self, rows: pa.Table) -> pa.Table:
        """Return rows with embeddings that are not padded."""
        numbers = as_numpy(rows.column(EMBEDDING).combine_chunks().flatten())
        embeddings = numbers.reshape(-1, width_of(rows))[:, : self._width]
        return with_embeddings(rows.drop_columns([EMBEDDING]), embeddings)

    def _known(self, path: str) -> dict[str, int] | None:
        with reaching(self._address, FAULTS):
            found = self._rows.to_table(["size", "changed"], f"path = {_quoted(path)}", limit=1)
        return next(iter(found.to_pylist()), None)

    def _load(self) -> "System":
        from vocalsketch.systems import load_system  # which imports torch

        with tempfile.TemporaryDirectory() as folder:
            fetch(f"{self._address}/{SYSTEM}", Path(folder) / SYSTEM)
            return load_system(folder)


def _quoted(text: str) -> str:
    """Return a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
