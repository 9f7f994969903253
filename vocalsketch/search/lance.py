"""An index as a Lance dataset, on a disk or in object storage: exact, or approximate where large.

The dataset holds a row a window, its embedding padded with zeros; beside its own files lies the
system. What it is stands in the metadata of its schema, written last: it says that it is whole.
"""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import asdict
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pyarrow as pa
from fsspec.core import url_to_fs
from tqdm import tqdm

from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.search.index import Index, Wishes
from vocalsketch.search.query import matches_tags, word_pattern, words_of
from vocalsketch.search.remote import fetch, reaching, send
from vocalsketch.search.searcher import Searcher
from vocalsketch.search.segment import (
    EMBEDDING,
    ROWS_AT_ONCE,
    SYSTEM,
    Floats,
    Manifest,
    Table,
    as_numpy,
    schema_of,
    width_of,
    with_embeddings,
)
from vocalsketch.search.shard import WINDOW_COLUMNS

# with as few threads as two cores have, the training of a vector index waits for itself for ever
os.environ.setdefault("LANCE_CPU_THREADS", "8")
try:
    import lance
except ImportError as error:
    raise ConfigError("Lance datasets need pylance: `pip install 'vocalsketch[lance]'`.") from error
if TYPE_CHECKING:
    from vocalsketch.systems import System

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
    """

    def __init__(
        self, address: Path | str, library: Path | str | None = None, threads: int | None = None
    ) -> None:
        self.folder = self._address = str(address)
        with reaching(self._address):
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
        with reaching(self._address):
            batches = [] if self.approximate else self._rows.to_batches()
            segments = [self._segment(pa.Table.from_batches([each])) for each in batches]
        self._use(Table(segments), library, threads)

    def is_current(self) -> bool:
        """Return True: an export never changes."""
        return True

    def tags(self) -> Counter[str]:
        """Count the windows that have each tag."""
        return Counter(self._tags)

    def paths(self, words: Sequence[str] = ()) -> list[str]:
        """Return the indexed files whose path has all words, within the library, sorted."""
        has = " AND ".join(f"contains(lower(path), {_quoted(word)})" for word in words)
        with reaching(self._address):
            found = self._rows.to_table(columns=["path"], filter=has or None)
        paths: list[str] = found.column("path").unique().sort().to_pylist()
        return paths

    def near(self, asked: Floats, k: int, wishes: Wishes) -> Index:
        """Return an index of the rows to rank for a query: all, or the nearest.

        Those are the nearest windows that have the tags; where there are words also the nearest
        whose path has one, and all, of them.
        """
        if not self.approximate:
            return self
        found, count = copy(self), max(RESCORED, PER_FILE * k)
        aspects = {n: f for n, f in wishes.get("aspects", {}).items() if f != 1.0}
        if aspects:
            import torch

            count *= WIDER
            asked = self.system.weighed(torch.from_numpy(asked), aspects).numpy()
        named = words_of(wishes.get("text", ""))
        words = [f"regexp_like(path, '{word_pattern(word)}')" for word in named]
        filters = dict.fromkeys(["", " OR ".join(words), " AND ".join(words)])
        tagged = self._tagged(wishes.get("tags", ()))
        with reaching(self._address):
            tables = [
                self._nearest(asked[0], k, count, [*tagged, *([f"({each})"] if each else [])])
                for each in filters
            ]
        rows = pa.concat_tables(tables)
        _, first = np.unique(as_numpy(rows.column("_rowid")), return_index=True)
        found.table = Table([self._segment(rows.drop_columns(["_rowid"]).take(pa.array(first)))])
        return found

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

    def _segment(self, rows: pa.Table) -> pa.Table:
        """Return rows with embeddings that are not padded."""
        numbers = as_numpy(rows.column(EMBEDDING).combine_chunks().flatten())
        embeddings = numbers.reshape(-1, width_of(rows))[:, : self._width]
        return with_embeddings(rows.drop_columns([EMBEDDING]), embeddings)

    def _known(self, path: str) -> dict[str, int] | None:
        with reaching(self._address):
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


EXACT_BELOW = 1_000_000  # windows, of which all are scored faster than some are found
SUBVECTOR = 2  # numbers of an embedding that one byte stands for
ROWS_PER_FILE = 2**24  # a query begins to read each column in each file
SAMPLES = 64  # windows for each cell that the cells are trained with


def export_lance(
    indexes: Sequence[Index], address: str, exact_below: int = EXACT_BELOW, progress: bool = True
) -> bool:
    """Write the shards of a library as one Lance dataset, whole or not at all.

    Args:
        indexes: By one system whose score is an inner product, of different libraries.
        address: A folder that is not there yet, or an address such as ``s3://bucket/sounds``.
        exact_below: Of fewer windows no vector index is made: they are searched exactly.
        progress: Whether to show progress bars on standard error.

    Returns:
        Whether there is a vector index: whether searches are approximate.

    Raises:
        ConfigError: The system has no such score, the indexes do not go together, or something is
            there already.
    """
    first = Searcher(indexes).indexes[0]
    if not first.system.inner_product:
        raise ConfigError(
            f"{first.folder} is of the system {first.system.description()['system']}, whose score "
            "is no inner product of two embeddings: no vector index finds its nearest. Search it "
            "as it is, in shards if need be."
        )
    with reaching(address):
        files, folder = url_to_fs(address)
        if files.exists(folder):
            raise ConfigError(
                f"There is something in {address}: give another address, or remove it (an export "
                "that was killed leaves a part)."
            )
    try:
        with reaching(address), tqdm(unit=" windows", disable=not progress) as bar:
            return _write(indexes, address, exact_below, bar)
    except BaseException:
        with suppress(Exception):  # each kind of address has its own
            files.rm(folder, recursive=True)
        raise


def _write(indexes: Sequence[Index], address: str, exact_below: int, bar: "tqdm[NoReturn]") -> bool:
    first, windows = indexes[0], sum(len(index.table) for index in indexes)
    library = os.path.commonpath([index.library.resolve() for index in indexes])
    within = [index.library.resolve().relative_to(library).as_posix() for index in indexes]
    width, approximate = width_of(first.table.segments[0]), windows >= exact_below
    schema = schema_of(_padded(width), {})
    bar.total = windows
    batches = pa.RecordBatchReader.from_batches(schema, _batches(indexes, within, bar))
    rows = lance.write_dataset(batches, address, schema=schema, max_rows_per_file=ROWS_PER_FILE)
    if approximate:
        _add_indexes(rows, bar)
    with tempfile.TemporaryDirectory() as folder:
        first.system.save(Path(folder) / SYSTEM)
        send(Path(folder) / SYSTEM, f"{address}/{SYSTEM}")
    index = Manifest(
        version=1,
        library=library,
        fingerprint=first.fingerprint,
        corpus=first.corpus,
        sounds=sum(index.sounds for index in indexes),
        windows=windows,
        built=first.manifest.built,
    )
    about = {
        "index": asdict(index),
        "width": width,
        "approximate": approximate,
        "libraries": within,
        "tags": sum((index.tags() for index in indexes), Counter()),
    }
    rows.update_schema_metadata({METADATA.decode(): json.dumps({FORMAT: about})})
    return approximate


def _add_indexes(rows: "lance.LanceDataset", bar: "tqdm[NoReturn]") -> None:
    """Make what finds paths, tags and neighbours without a look at every row."""

    def show(told: "lance.progress.IndexProgress") -> None:
        bar.set_description(told.stage)
        bar.unit, bar.total, bar.n = f" {told.unit}", told.total, told.completed or 0
        bar.refresh()

    rows.create_scalar_index("path", "BTREE")
    rows.create_scalar_index("tags", "LABEL_LIST")
    rows.create_index(
        EMBEDDING,
        "IVF_PQ",
        metric="dot",
        num_partitions=cells(rows.count_rows()),
        num_sub_vectors=width_of(rows) // SUBVECTOR,
        sample_rate=SAMPLES,
        progress_callback=show,
    )


def cells(windows: int) -> int:
    """Return into how many cells a vector index parts windows.

    >>> cells(1_000_000), cells(10_000_000)
    (1024, 4096)
    """
    return int(2 ** round(np.log2(max(1, windows)) / 2))


def _batches(
    indexes: Sequence[Index], within: Sequence[str], bar: "tqdm[NoReturn]"
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that count, with paths within the common folder."""
    for index, folder in zip(indexes, within, strict=True):
        table = index.table
        for start in range(0, len(table.counting), ROWS_AT_ONCE):
            live = start + np.flatnonzero(table.counting[start : start + ROWS_AT_ONCE])
            rows = table.rows.take(pa.array(live))
            if folder != ".":
                paths = [f"{folder}/{path}" for path in rows.column("path").to_pylist()]
                rows = rows.set_column(0, rows.schema.field("path"), pa.array(paths))
            embeddings = table.embeddings(live)
            width = embeddings.shape[1]
            padded = np.pad(embeddings, ((0, 0), (0, _padded(width) - width)))
            yield from with_embeddings(rows, padded).combine_chunks().to_batches()
            bar.update(len(live))


def _padded(width: int) -> int:
    return -(-width // 8) * 8
