"""What an index consists of: segments, which never change, and the manifest that names them.

A segment is an Arrow file with a row for each window of each sound.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, get_origin

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vocalsketch.errors import StorageError
from vocalsketch.features.audio import content_id, opened_file
from vocalsketch.files import read_regular, write_text, written_whole

FORMAT = 3  # raised when a reader of the old layout could not read the new one
FILE = "index.json"
SYSTEM = "system.safetensors"
PARTS = "building"  # the folder of what an unfinished build has embedded
ROWS_AT_ONCE = 32_768  # written together: 14 MB of 108 floats
EMBEDDING = "embedding"

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


def schema_of(width: int, metadata: Mapping[str, str]) -> pa.Schema:
    """Return the columns, all without nulls, of embeddings of ``width`` numbers."""
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


def read_segment(file: Path) -> pa.Table:
    """Map a segment into memory: what is not looked at is not read.

    A file's windows are neighbours, in their order. The file may be removed while it is in use.

    Raises:
        StorageError: The file is missing or damaged.
    """
    try:
        with pa.memory_map(str(file)) as mapped:  # closed, it lives on in what was read from it
            table = pa.ipc.open_file(mapped).read_all()
        table.validate(full=True)  # offsets that lead out of the file would be followed
        of_an_index = table.schema.equals(schema_of(width_of(table), {}))
    except (OSError, pa.ArrowException, AttributeError, LookupError, ValueError) as error:
        raise StorageError(f"{file} is missing or damaged ({error}): build it again.") from error
    if not of_an_index:
        raise StorageError(f"{file} is damaged (its columns are others): build it again.")
    return table


def width_of(segment: pa.Table) -> int:
    """Return how many numbers an embedding has."""
    width: int = segment.schema.field(EMBEDDING).type.list_size
    return width


class Table:
    """The rows of several segments, one after the other, some of which do not count any more.

    Args:
        segments: As ``read_segment`` returns them.
        counting: Which of the first rows count; those after them all do.

    Attributes:
        rows: Every column but the embeddings, also of rows that do not count.
        blocks: The embeddings of these rows, (n, width) each, views of the files.
        counting: Which rows count, (rows,).
        offsets: Where each segment begins, and where the last one ends: (segments + 1,).
    """

    def __init__(self, segments: Sequence[pa.Table], counting: Mask | None = None) -> None:
        self.segments = list(segments)
        whole = pa.concat_tables(
            each.replace_schema_metadata() for each in segments or [schema_of(1, {}).empty_table()]
        )
        self.rows = whole.drop_columns([EMBEDDING])
        self.blocks: list[Floats] = [
            as_numpy(chunk.flatten()).reshape(-1, width_of(whole))
            for chunk in whole.column(EMBEDDING).chunks
        ]
        self.offsets: Rows = np.cumsum([0, *(each.num_rows for each in segments)])
        self.counting: Mask = np.ones(whole.num_rows, dtype=bool)
        if counting is not None:
            self.counting[: len(counting)] = counting

    def __len__(self) -> int:
        """Return the number of rows that count."""
        return int(self.counting.sum())

    @cached_property
    def live(self) -> pa.Table:
        """Every column but the embeddings of the rows that count."""
        return self.rows if self.counting.all() else self.rows.filter(pa.array(self.counting))

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
        taken = np.empty((len(rows), self.blocks[0].shape[1] if self.blocks else 1), np.float32)
        for number in np.unique(of_block):
            mine = of_block == number
            first = ends[number] - len(self.blocks[number])
            taken[mine] = self.blocks[number][rows[mine] - first]
        return taken


def as_numpy(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Return numbers or booleans without nulls, as they lie where they lie in one piece.

    ``to_numpy`` would import pandas where it is installed, which takes half a second.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.type == pa.bool_():
        return np.from_dlpack(array.cast(pa.uint8())).view(np.bool_)
    return np.from_dlpack(array)


def write_segment(file: Path, schema: pa.Schema, blocks: Iterable[pa.Table]) -> None:
    """Write rows as one Arrow IPC file, uncompressed, whole or not at all."""
    with (
        written_whole(file) as temporary,
        temporary.open("wb") as handle,
        pa.ipc.new_file(handle, schema) as writer,
    ):
        for block in blocks:
            writer.write_table(block.combine_chunks())


def with_embeddings(rows: pa.Table, embeddings: Floats) -> pa.Table:
    """Return rows of all other columns with their embeddings (rows, width)."""
    column = schema_of(embeddings.shape[1], {}).field(EMBEDDING)
    numbers = pa.array(np.ascontiguousarray(embeddings, np.float32).reshape(-1))
    return rows.append_column(column, pa.FixedSizeListArray.from_arrays(numbers, type=column.type))


def sorted_rows(table: Table, chosen: Rows) -> Iterable[pa.Table]:
    """Yield chosen rows of a table in blocks, sorted by path and otherwise as they are."""
    picked = table.rows.take(pa.array(chosen))
    order = as_numpy(pc.sort_indices(picked.column("path"))).astype(np.int64)  # stable
    for start in range(0, len(order), ROWS_AT_ONCE):
        mine = order[start : start + ROWS_AT_ONCE]
        yield with_embeddings(picked.take(pa.array(mine)), table.embeddings(chosen[mine]))


@dataclass(frozen=True)
class Part:
    """A segment of an index."""

    file: str  # its name
    rows: int  # how many there are, also of those that do not count any more
    checksum: str  # sha256 of the file, 32 hexadecimal digits

    @classmethod
    def of(cls, file: Path, rows: int) -> "Part":
        """Describe a file."""
        with opened_file(file) as stream:
            return cls(file.name, rows, content_id(stream))

    def __post_init__(self) -> None:
        _check_types(self)
        if Path(self.file).name != self.file:  # an index from elsewhere writes nowhere else
            raise ValueError(f"a segment is {self.file!r}")


@dataclass(frozen=True)
class Manifest:
    """What an index is; it is replaced as a whole, which is what makes a new version current.

    Which rows do not count any more is said by where each run of them begins and ends, counted
    through all segments, in rising order.
    """

    version: int = 0  # counts the builds that changed something
    segments: tuple[Part, ...] = ()  # in their order
    removed: list[int] = field(default_factory=list)
    library: str = ""  # the folder that was indexed
    fingerprint: str = ""  # of the system
    corpus: str = ""  # what the system was trained on
    sounds: int = 0  # files that count
    windows: int = 0  # rows that count
    built: str = field(default="", compare=False)  # when, ISO 8601
    skipped: dict[str, str] = field(default_factory=dict)  # what cannot be used by path, and why
    others: dict[str, int] = field(default_factory=dict)  # how many are no sounds, by suffix

    def __post_init__(self) -> None:
        _check_types(self)
        if not all(isinstance(edge, int) for edge in self.removed):
            raise TypeError("removed holds what is no row")

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is an index in a folder, readable or not."""
        return (folder / FILE).exists()

    def write(self, folder: Path) -> None:
        """Make this the current version of the index in ``folder``."""
        write_text(folder / FILE, json.dumps({"format": FORMAT, **asdict(self)}) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the current version.

        Raises:
            StorageError: There is none, or it cannot be understood.
        """
        file = folder / FILE
        try:
            values = json.loads(read_regular(file))
            form = values.pop("format")
            if form == FORMAT:
                values["segments"] = tuple(Part(**each) for each in values["segments"])
                return cls(**values)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StorageError(
                f"No index in {folder}: make one with `vocalsketch index build LIBRARY "
                f"--index {shlex.quote(str(folder))}`."
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                f"{file} is damaged ({error}): remove {folder} and build it again."
            ) from error
        raise StorageError(
            f"{file} is of format {form!r}, this program reads {FORMAT}: use the program that "
            "made it, or build the index again in another folder."
        )

    def open_table(self, folder: Path) -> Table:
        """Open the segments; a StorageError names a damaged one."""
        segments = [read_segment(folder / part.file) for part in self.segments]
        for segment, part in zip(segments, self.segments, strict=True):
            if segment.num_rows != part.rows:
                raise StorageError(
                    f"{folder / part.file} is damaged ({segment.num_rows} rows): build it again."
                )
        rows = np.arange(sum(part.rows for part in self.segments))
        return Table(segments, np.searchsorted(self.removed, rows, side="right") % 2 == 0)


def runs_of(mask: Mask) -> list[int]:
    """Return where each run of what is true begins and ends.

    >>> runs_of(np.array([True, True, False, True]))
    [0, 2, 3, 4]
    """
    edges: list[int] = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    return edges


def _check_types(values: Any) -> None:
    """Refuse a dataclass's values that are not of its types."""
    for each in fields(values):
        value = getattr(values, each.name)
        if not isinstance(value, get_origin(each.type) or each.type):  # type: ignore[arg-type]
            raise TypeError(f"{each.name} is {value!r}")
