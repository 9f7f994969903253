"""Writes indexes as one Lance dataset, from which they can be searched."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from vocalsketch.errors import ConfigError
from vocalsketch.search.index import Index
from vocalsketch.search.lance_index import FILE, FORMAT, lance, reaching
from vocalsketch.search.manifest import SYSTEM
from vocalsketch.search.searcher import Searcher
from vocalsketch.search.segment import (
    EMBEDDING,
    ROWS_AT_ONCE,
    Floats,
    schema_of,
    width_of,
    with_embeddings,
)

EXACT_BELOW = 1_000_000  # windows, of which all are scored faster than some are found
SUBVECTOR = 8  # numbers of an embedding that one byte stands for
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
        files = lance().file.LanceFileSession(address)
        if files.list():
            raise ConfigError(
                f"There is something in {address}: give another address, or remove it (an export "
                "that was killed leaves a part)."
            )
    try:
        with reaching(address):
            return _write(indexes, address, files, exact_below, progress)
    except BaseException:
        with suppress(OSError, RuntimeError, ValueError):
            for file in files.list():
                files.delete_file(file)
        raise


def _write(
    indexes: Sequence[Index], address: str, files: Any, exact_below: int, progress: bool
) -> bool:
    windows = sum(len(index.table) for index in indexes)
    library = os.path.commonpath([index.library.resolve() for index in indexes])
    within = [index.library.resolve().relative_to(library).as_posix() for index in indexes]
    width, tags = width_of(indexes[0].table.segments[0]), Counter[str]()
    with tqdm(total=windows, unit=" windows", disable=not progress) as bar:
        batches = _batches(indexes, within, tags, bar)
        schema = schema_of(_padded(width), {})
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        rows = lance().write_dataset(reader, address, schema=schema)
    approximate = windows >= exact_below
    if approximate:
        rows.create_scalar_index("path", "BTREE")
        rows.create_scalar_index("tags", "LABEL_LIST")
        rows.create_index(
            EMBEDDING,
            "IVF_PQ",
            metric="dot",
            num_partitions=cells(windows),
            num_sub_vectors=_padded(width) // SUBVECTOR,
            sample_rate=SAMPLES,
            progress_callback=_bars() if progress else None,
        )
    first = indexes[0]
    index = replace(
        first.manifest,
        library=library,
        segments=(),
        removed=[],
        sounds=sum(each.sounds for each in indexes),
        windows=windows,
        skipped={},
        others={},
    )
    told = {
        "format": FORMAT,
        "index": asdict(index),
        "kind": first.listener.kind,
        "width": width,
        "approximate": approximate,
        "libraries": within,
        "tags": tags,
    }
    with tempfile.TemporaryDirectory() as folder:
        first.system.save(Path(folder) / SYSTEM)
        (Path(folder) / FILE).write_text(json.dumps(told))
        for name in (SYSTEM, FILE):
            files.upload_file(Path(folder) / name, name)
    return approximate


def cells(windows: int) -> int:
    """Return into how many cells a vector index parts windows.

    >>> cells(1_000_000), cells(10_000_000)
    (1024, 4096)
    """
    return int(2 ** round(np.log2(max(1, windows)) / 2))


def _batches(
    indexes: Sequence[Index], within: Sequence[str], tags: "Counter[str]", bar: "tqdm[Any]"
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that count, with paths within the common folder; count their tags."""
    for index, folder in zip(indexes, within, strict=True):
        table = index.table
        for start in range(0, len(table.counting), ROWS_AT_ONCE):
            live = start + np.flatnonzero(table.counting[start : start + ROWS_AT_ONCE])
            rows = table.rows.take(pa.array(live))
            if folder != ".":
                paths = [f"{folder}/{path}" for path in rows.column("path").to_pylist()]
                rows = rows.set_column(0, rows.schema.field("path"), pa.array(paths))
            for told in rows.column("tags").to_pylist():
                tags.update(told)
            embeddings = _with_zeros(table.embeddings(live))
            yield from with_embeddings(rows, embeddings).combine_chunks().to_batches()
            bar.update(len(live))


def _padded(width: int) -> int:
    return -(-width // (2 * SUBVECTOR)) * 2 * SUBVECTOR


def _with_zeros(embeddings: Floats) -> Floats:
    width = embeddings.shape[1]
    padded: Floats = np.pad(embeddings, ((0, 0), (0, _padded(width) - width)))
    return padded


def _bars() -> Callable[[Any], None]:
    """Return what shows a progress bar of each stage that is told of."""
    bars: dict[str, tqdm[Any]] = {}

    def show(told: Any) -> None:
        if told.stage not in bars:
            bars[told.stage] = tqdm(total=told.total, desc=told.stage, unit=f" {told.unit}")
        bar = bars[told.stage]
        bar.update((told.completed or 0) - bar.n)
        if told.event == "complete":
            bar.close()

    return show
