"""Segments: immutable Arrow files with a row for each window of each sound."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vocalsketch.errors import StorageError
from vocalsketch.files import written_whole

ROWS_AT_ONCE = 32_768  # written together: 14 MB of 108 floats
EMBEDDING = "embedding"

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


def schema_of(width: int, metadata: Mapping[str, str]) -> pa.Schema:
    """Return the columns, all without nulls.

    Args:
        width: Numbers in an embedding.
        metadata: Kept with the file.
    """
    columns = {
        "path": pa.string(),  # within the library
        "start": pa.float64(),  # seconds
        "end": pa.float64(),  # seconds
        "duration": pa.float64(),  # seconds, of the file
        "sample_rate": pa.int32(),  # hz, of the file
        "tags": pa.list_(pa.string()),
        "content": pa.string(),  # sha256 of the file's bytes, 32 hexadecimal digits
        "size": pa.int64(),  # bytes
        "changed": pa.int64(),  # nanoseconds since 1970
        EMBEDDING: pa.list_(pa.field("item", pa.float32(), False), width),
    }
    fields = [pa.field(name, kind, False) for name, kind in columns.items()]
    return pa.schema(fields, metadata=dict(metadata))


class Segment:
    """The rows of one file, memory-mapped: what is not looked at is not read.

    A file's windows are neighbours, in their order. The file may be removed while it is open.

    Attributes:
        rows: Every column but the embeddings.
        blocks: The embeddings, (rows, width) each, views of the file.
        metadata: What the file was written with.

    Raises:
        StorageError: The file is missing or damaged.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        table = _read(file)
        self.rows: pa.Table = table.drop_columns([EMBEDDING]).replace_schema_metadata()
        self.width: int = table.schema.field(EMBEDDING).type.list_size
        self.blocks: list[Floats] = [
            as_numpy(chunk.flatten()).reshape(-1, self.width)
            for chunk in table.column(EMBEDDING).chunks
        ]
        self.metadata = {
            key.decode(errors="replace"): value.decode(errors="replace")
            for key, value in (table.schema.metadata or {}).items()
        }

    def __len__(self) -> int:
        return int(self.rows.num_rows)


class Table:
    """The rows of several segments, one after the other, some of which do not count any more.

    Attributes:
        segments: The segments.
        rows: Every column but the embeddings, also of rows that do not count.
        blocks: The embeddings of these rows, (n, width) each.
        removed: Numbers of the rows that do not count, ascending.
    """

    def __init__(self, segments: Sequence[Segment], removed: Rows | None = None) -> None:
        self.segments = list(segments)
        self.rows = (
            pa.concat_tables([each.rows for each in segments])
            if segments
            else schema_of(1, {}).empty_table().drop_columns([EMBEDDING])
        )
        self.blocks = [block for each in segments for block in each.blocks]
        self.removed = np.empty(0, np.int64) if removed is None else removed

    def __len__(self) -> int:
        """Return the number of rows that count."""
        return int(self.rows.num_rows) - len(self.removed)

    @property
    def offsets(self) -> Rows:
        """Where each segment begins, and where the last one ends: (segments + 1,)."""
        return np.cumsum([0, *map(len, self.segments)])

    @cached_property
    def counting(self) -> Mask:
        """Which rows count."""
        mask = np.ones(self.rows.num_rows, dtype=bool)
        mask[self.removed] = False
        return mask

    @cached_property
    def live(self) -> pa.Table:
        """Every column but the embeddings of the rows that count."""
        return self.rows.filter(pa.array(self.counting)) if len(self.removed) else self.rows

    @cached_property
    def first_of_file(self) -> Mask:
        """Which rows are the first of a file."""
        begins = np.ones(self.rows.num_rows, dtype=bool)
        paths = self.rows.column("path")
        if len(paths) > 1:
            begins[1:] = as_numpy(pc.not_equal(paths.slice(1), paths.slice(0, len(paths) - 1)))
        begins[self.offsets[:-1][np.diff(self.offsets) > 0]] = True
        return begins

    def column(self, name: str) -> list[Any]:
        """Return a column of the rows that count, as Python values."""
        values: list[Any] = self.live.column(name).to_pylist()
        return values

    def embeddings(self, rows: Rows) -> Floats:
        """Return a copy of some rows' embeddings, (rows, width)."""
        ends = np.cumsum([len(block) for block in self.blocks])
        of_block = np.searchsorted(ends, rows, side="right")
        taken = np.empty((len(rows), self.segments[0].width), np.float32)
        for number in np.unique(of_block):
            mine = of_block == number
            first = ends[number] - len(self.blocks[number])
            taken[mine] = self.blocks[number][rows[mine] - first]
        return taken


def _read(file: Path) -> pa.Table:
    try:
        with pa.memory_map(str(file)) as mapped:  # closed, it lives on in what was read from it
            table = pa.ipc.open_file(mapped).read_all()
        table.validate(full=True)  # offsets that lead out of the file would be followed
        width = table.schema.field(EMBEDDING).type.list_size
        of_an_index = table.schema.equals(schema_of(width, {}))
    except (OSError, pa.ArrowException, AttributeError, LookupError, ValueError) as error:
        raise StorageError(f"{file} is missing or damaged ({error}): build it again.") from error
    if not of_an_index:
        raise StorageError(f"{file} is damaged (its columns are others): build it again.")
    return table


def as_numpy(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Return numbers or booleans without nulls, as they lie where they lie in one piece.

    ``to_numpy`` would import pandas where it is installed, which takes half a second.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    places = slice(array.offset, array.offset + len(array))
    if array.type == pa.bool_():
        bits = np.frombuffer(array.buffers()[1] or b"", dtype=np.uint8)
        return np.unpackbits(bits, bitorder="little")[places].astype(bool)
    values: NDArray[Any] = np.frombuffer(array.buffers()[1] or b"", array.type.to_pandas_dtype())
    return values[places]


def write_segment(file: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write batches as one Arrow IPC file, uncompressed, whole or not at all.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    with (
        written_whole(file) as temporary,
        temporary.open("wb") as handle,
        pa.ipc.new_file(handle, schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)


def batch_of(
    schema: pa.Schema, columns: Mapping[str, Sequence[Any]], embeddings: Floats
) -> pa.RecordBatch:
    """Return one batch of rows; ``embeddings`` is (rows, width)."""
    numbers = np.ascontiguousarray(embeddings, np.float32).reshape(-1)
    arrays = [
        pa.FixedSizeListArray.from_arrays(pa.array(numbers), type=field.type)
        if field.name == EMBEDDING
        else pa.array(columns[field.name], field.type)
        for field in schema
    ]
    return pa.record_batch(arrays, schema=schema)


def sorted_rows(schema: pa.Schema, table: Table, chosen: Rows) -> Iterable[pa.RecordBatch]:
    """Yield chosen rows of a table in batches, sorted by path and otherwise as they are."""
    picked = table.rows.take(pa.array(chosen))
    order = as_numpy(pc.sort_indices(picked.column("path")))  # stable
    for start in range(0, len(order), ROWS_AT_ONCE):
        mine = order[start : start + ROWS_AT_ONCE]
        rows = picked.take(pa.array(mine))
        columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
        yield batch_of(schema, columns, table.embeddings(chosen[mine]))
