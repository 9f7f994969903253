"""What a build must do: which stored rows still hold, and which files are to be embedded."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vocalsketch.errors import StorageError
from vocalsketch.search.embedding import Embedded, LibraryFile
from vocalsketch.search.library import COLUMNS, tags_of
from vocalsketch.search.segment import (
    Mask,
    Rows,
    Segment,
    Table,
    as_numpy,
    batch_of,
    schema_of,
    write_segment,
)

PARTS = "building"  # the folder of what an unfinished build has embedded


@dataclass(frozen=True, eq=False)
class Plan:
    """Stored rows that hold, and files that have none."""

    keep: Mask  # of every stored row, whether it holds
    first: Mask  # of every stored row, whether it is the first of its file
    todo: pa.Table  # files to embed, as library.COLUMNS
    gone: Rows  # the first rows of files that are gone or have changed

    def rows_by_content(self, stored: Table) -> dict[str, Rows]:
        """Return rows of a table whose files are gone, by what they held; of one file for each.

        A file that was moved has its content and need not be embedded again.
        """
        ends = np.append(np.flatnonzero(self.first), len(self.first))
        contents = stored.rows.column("content")
        return {
            contents[int(row)].as_py(): np.arange(row, ends[np.searchsorted(ends, row, "right")])
            for row in self.gone[self.gone < stored.rows.num_rows][::-1]
        }


def make_plan(files: pa.Table, stored: Table) -> Plan:
    """Compare the library with what is stored.

    A file counts as unchanged when path, size and time of change are the stored ones; where
    several stored files are it, the first counts.

    Args:
        files: The library's files, as ``library.COLUMNS``.
        stored: The index's rows, then what unfinished builds left.
    """
    first = stored.first_of_file
    beginnings = np.flatnonzero(first)
    heads = stored.rows.select(COLUMNS.names).filter(pa.array(first))
    place = pc.index_in(heads.column("path"), value_set=files.column("path").combine_chunks())
    place = as_numpy(pc.fill_null(place, -1)).astype(np.int64)
    counts = stored.counting[beginnings]
    holds = (place >= 0) & counts
    for name in ("size", "changed"):
        holds &= as_numpy(files.column(name))[place] == as_numpy(heads.column(name))
    kept = np.flatnonzero(holds)
    found, chosen = np.unique(place[kept], return_index=True)
    keep_file = np.zeros(len(beginnings), dtype=bool)
    keep_file[kept[chosen]] = True
    missing = np.ones(files.num_rows, dtype=bool)
    missing[found] = False
    return Plan(
        keep_file[np.cumsum(first) - 1],
        first,
        files.filter(pa.array(missing)),
        beginnings[counts & ~holds],
    )


def library_files(todo: pa.Table) -> list[LibraryFile]:
    """Return the files of a plan."""
    columns = (todo.column(name).to_pylist() for name in COLUMNS.names)
    return [LibraryFile(*each) for each in zip(*columns, strict=True)]


def open_parts(folder: Path, fingerprint: str) -> list[Segment]:
    """Open what unfinished builds left; parts of another system and damaged ones are removed."""
    parts = []
    for file in sorted((folder / PARTS).glob("*.arrow")):
        try:
            part = Segment(file)
            json.loads(part.metadata["skipped"])
        except (StorageError, KeyError, ValueError):
            file.unlink()
            continue
        if part.metadata.get("fingerprint") == fingerprint:
            parts.append(part)
        else:
            file.unlink()
    return parts


def part_names(folder: Path, rank: int) -> Iterator[Path]:
    """Yield files for one process's parts, beside those that are there."""
    building = folder / PARTS
    there = [int(file.stem.rpartition("-")[2]) for file in building.glob(f"part-{rank}-*.arrow")]
    for number in count(1 + max(there, default=0)):
        yield building / f"part-{rank}-{number}.arrow"


def write_part(file: Path, fingerprint: str, width: int, embedded: Embedded) -> None:
    """Write rows, and in the file's metadata what was skipped.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    metadata = {"fingerprint": fingerprint, "skipped": json.dumps(embedded.skipped)}
    schema = schema_of(width, metadata)
    rows = [(each, number) for each in embedded.files for number in range(len(each.starts))]
    columns: dict[str, list[Any]] = {
        "path": [each.file.path for each, _ in rows],
        "start": [each.starts[number] for each, number in rows],
        "end": [each.ends[number] for each, number in rows],
        "duration": [each.duration for each, _ in rows],
        "sample_rate": [each.sample_rate for each, _ in rows],
        "tags": [tags_of(each.file.path) for each, _ in rows],
        "content": [each.content for each, _ in rows],
        "size": [each.file.size for each, _ in rows],
        "changed": [each.file.changed for each, _ in rows],
    }
    embeddings: NDArray[np.float32] = np.array(
        [each.embeddings[number] for each, number in rows], dtype=np.float32
    )
    write_segment(file, schema, [batch_of(schema, columns, embeddings.reshape(-1, width))])


def reasons(parts: Iterable[Segment], todo: pa.Table) -> Iterator[tuple[str, str]]:
    """Yield the files that were to be embedded and could not be, and why."""
    said = [item for part in parts for item in json.loads(part.metadata["skipped"]).items()]
    paths = pa.array([path for path, _ in said], pa.string())
    without = pc.is_in(paths, value_set=todo.column("path").combine_chunks())
    return (each for each, asked in zip(said, without.to_pylist(), strict=True) if asked)
