"""What a build must do: which stored rows still hold, and which files are to be embedded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vocalsketch.errors import StorageError
from vocalsketch.search.library import LibraryFile
from vocalsketch.search.table import SoundTable

PARTS = "building"  # the folder of what an unfinished build has embedded


@dataclass(frozen=True, eq=False)
class Plan:
    """Stored rows that hold, and files that have none.

    Attributes:
        chosen: (rows, 2), the number of a table and of a row in it.
        todo: Files to embed.
        reusable: For contents whose file is gone from where it was, the rows of the current
            version that hold them: a file that was moved is not embedded again.
    """

    chosen: NDArray[np.int64]
    todo: list[LibraryFile]
    reusable: dict[str, list[int]]


def make_plan(
    files: Sequence[LibraryFile], current: SoundTable | None, parts: Sequence[SoundTable]
) -> Plan:
    """Compare the library with what is stored.

    A file counts as unchanged when path, size and time of change are the stored ones.

    Args:
        files: The library's files.
        current: The index's current version; table 0 of ``Plan.chosen`` where there is one.
        parts: What unfinished builds left; the first that has a file counts.
    """
    stamps = {file.path: (file.size, file.changed) for file in files}
    owner: dict[str, int] = {}
    chosen: list[tuple[int, int]] = []
    gone: dict[str, list[int]] = {}
    for number, table in enumerate([current, *parts] if current else parts):
        stored = (table.column(name) for name in ("path", "size", "changed", "content"))
        for row, (path, size, changed, content) in enumerate(zip(*stored, strict=True)):
            if stamps.get(path) == (size, changed):
                if owner.setdefault(path, number) == number:
                    chosen.append((number, row))
            elif table is current:
                gone.setdefault(content, []).append(row)
    return Plan(
        np.array(chosen, dtype=np.int64).reshape(-1, 2),
        [file for file in files if file.path not in owner],
        _of_one_file(gone, current),
    )


def open_parts(folder: Path, fingerprint: str) -> list[SoundTable]:
    """Open what unfinished builds left; parts of another network and damaged ones are removed."""
    parts = []
    for file in sorted((folder / PARTS).glob("*.arrow")):
        try:
            part = SoundTable(file)
        except StorageError:
            file.unlink()
            continue
        if part.metadata.get("fingerprint") == fingerprint:
            parts.append(part)
        else:
            file.unlink()
    return parts


def _of_one_file(gone: dict[str, list[int]], current: SoundTable | None) -> dict[str, list[int]]:
    """Of several files with the same content, keep the rows of the first."""
    if not gone or current is None:
        return {}
    paths = current.column("path")
    return {
        content: [row for row in rows if paths[row] == paths[rows[0]]]
        for content, rows in gone.items()
    }
