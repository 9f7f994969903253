"""Writes indexes as one Lance dataset, from which they can be searched."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
from fsspec.core import url_to_fs
from tqdm import tqdm

from vocalsketch.errors import ConfigError
from vocalsketch.search.index import Index
from vocalsketch.search.lance_index import FAULTS, FORMAT, METADATA, lance
from vocalsketch.search.remote import reaching, send
from vocalsketch.search.searcher import Searcher
from vocalsketch.search.segment import (
    EMBEDDING,
    ROWS_AT_ONCE,
    SYSTEM,
    Manifest,
    schema_of,
    width_of,
    with_embeddings,
)

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
        ConfigError: The system has no such score, the indexes do not go together, something is
            there already, or pylance is not installed.
        StorageError: The address cannot be reached or written.
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
        with reaching(address, FAULTS), tqdm(unit=" windows", disable=not progress) as bar:
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
