"""Stored sounds: an Arrow file with a row for each window of each sound."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vocalsketch.errors import StorageError
from vocalsketch.files import written_whole

Precision = Literal["float32", "float16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16")
ROWS_AT_ONCE = 32_768  # written together: 14 MB of 108 floats
SHARE = "share"


def schema_of(width: int, precision: Precision, metadata: Mapping[str, str]) -> pa.Schema:
    """Return the columns, all without nulls.

    Args:
        width: Numbers in a share.
        precision: Of a share's numbers.
        metadata: Kept with the file.
    """
    number = pa.field("item", pa.float32() if precision == "float32" else pa.float16(), False)
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
        SHARE: pa.list_(number, width),
    }
    fields = [pa.field(name, kind, False) for name, kind in columns.items()]
    return pa.schema(fields, metadata=dict(metadata))


class SoundTable:
    """The rows of one file, memory-mapped: what is not looked at is not read.

    Attributes:
        rows: Every column but the shares.
        blocks: The shares, (rows, width) each, views of the file.
        metadata: What the file was written with.

    Raises:
        StorageError: The file is missing or damaged.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        table = _read(file)
        self.rows: pa.Table = table.drop_columns([SHARE])
        chunks = table.column(SHARE).chunks
        width = table.schema.field(SHARE).type.list_size
        self.blocks: list[NDArray[np.floating]] = [
            _view(chunk.flatten()).reshape(-1, width) for chunk in chunks
        ]
        self.metadata = {
            key.decode(errors="replace"): value.decode(errors="replace")
            for key, value in (table.schema.metadata or {}).items()
        }

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def column(self, name: str) -> list[Any]:
        """Return a column as Python values."""
        values: list[Any] = self.rows.column(name).to_pylist()
        return values

    def shares(self, rows: NDArray[np.integer]) -> NDArray[np.floating]:
        """Return a copy of some rows' shares, (rows, width)."""
        ends = np.cumsum([len(block) for block in self.blocks])
        of_block = np.searchsorted(ends, rows, side="right")
        width = self.blocks[0].shape[1] if self.blocks else 0
        taken = np.empty((len(rows), width), self.blocks[0].dtype if self.blocks else np.float32)
        for number in np.unique(of_block):
            mine = of_block == number
            first = ends[number] - len(self.blocks[number])
            taken[mine] = self.blocks[number][rows[mine] - first]
        return taken


def _read(file: Path) -> pa.Table:
    try:
        table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
        table.validate(full=True)  # offsets that lead out of the file would be followed
        width = table.schema.field(SHARE).type.list_size
        of_an_index = any(table.schema.equals(schema_of(width, each, {})) for each in PRECISIONS)
    except (OSError, pa.ArrowException, AttributeError, LookupError, ValueError) as error:
        raise StorageError(f"{file} is missing or damaged ({error}): build it again.") from error
    if not of_an_index:
        raise StorageError(f"{file} is damaged (its columns are others): build it again.")
    return table


def _view(numbers: pa.Array) -> NDArray[np.floating]:
    """Return numbers without nulls as they lie; ``to_numpy`` would import pandas if it is there."""
    kind = numbers.type.to_pandas_dtype()
    whole = np.frombuffer(numbers.buffers()[1], dtype=kind)
    return whole[numbers.offset : numbers.offset + len(numbers)]


def write_table(file: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
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
    schema: pa.Schema, columns: Mapping[str, Sequence[Any]], shares: NDArray[np.floating]
) -> pa.RecordBatch:
    """Return one batch of rows; ``shares`` is (rows, width)."""
    kind = schema.field(SHARE).type
    numbers = np.ascontiguousarray(shares, kind.value_type.to_pandas_dtype()).reshape(-1)
    arrays = [
        pa.FixedSizeListArray.from_arrays(pa.array(numbers), type=kind)
        if field.name == SHARE
        else pa.array(columns[field.name], field.type)
        for field in schema
    ]
    return pa.record_batch(arrays, schema=schema)


def merged(
    schema: pa.Schema, sources: Sequence[SoundTable], chosen: NDArray[np.integer]
) -> Iterable[pa.RecordBatch]:
    """Yield the chosen rows of several tables, sorted by path and then as they are.

    Args:
        schema: Of the result.
        sources: The tables.
        chosen: (rows, 2), the number of a table and of a row in it.
    """
    if not len(chosen):
        return
    firsts = np.cumsum([0, *(len(source) for source in sources)])
    everything = pa.concat_tables([source.rows.replace_schema_metadata() for source in sources])
    everything = everything.take(pa.array(firsts[chosen[:, 0]] + chosen[:, 1]))
    order = pc.sort_indices(everything.column("path")).to_numpy()  # stable
    for start in range(0, len(order), ROWS_AT_ONCE):
        picked = order[start : start + ROWS_AT_ONCE]
        rows = everything.take(pa.array(picked))
        shares = np.empty((len(picked), schema.field(SHARE).type.list_size), np.float32)
        for number, source in enumerate(sources):
            mine = chosen[picked, 0] == number
            if mine.any():
                shares[mine] = source.shares(chosen[picked[mine], 1])
        columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
        yield batch_of(schema, columns, shares)
